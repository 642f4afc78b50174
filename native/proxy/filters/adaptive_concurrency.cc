#include "proxy/filters/adaptive_concurrency.h"

#include <array>
#include <new>
#include <utility>

#include "proxy/filters/adaptive_concurrency_stats.h"
#include "proxy/filters/gradient_controller.h"
#include "proxy/http_filter.h"
#include "proxy/worker_context.h"

namespace millrace {

namespace {

class Factory final : public HttpFilterFactory {
 public:
  Factory(spec::AdaptiveConcurrency spec, const FilterContext& context)
      : HttpFilterFactory(FilterType::kAdaptiveConcurrency),
        spec_(std::move(spec)),
        stats_(context.stats),
        block_(stats_.block(context.scope.within("adaptive_concurrency.gradient_controller."),
                            adaptive_stat::kLeaves)),
        controller_(spec_.gradient, context.workers) {
    show(stats_.mainShard(), controller_.figures());
  }
  // Gauges are sums over all threads: what was shown of this controller is taken out again.
  ~Factory() override {
    show(stats_.mainShard(), {});
    stats_.release(block_);
  }

  HttpFilter* create(FilterCallbacks& stream, const FilterRouteConfig*) const override;

  const spec::AdaptiveConcurrency& spec() const { return spec_; }
  GradientController& controller() const { return controller_; }
  BlockId statBlock() const { return block_; }
  void tick(WorkerContext& worker) const {
    controller_.tick(moment(worker), [&](const GradientFigures& f) { show(worker.stats, f); });
  }
  static GradientController::Moment moment(WorkerContext& worker) {
    return {worker.index, worker.loop.nowNs(), worker.runtime(), worker.random.next()};
  }

 private:
  static constexpr size_t kGauges = adaptive_stat::kCount - 1;
  // Who computed last: the controller calls one worker at a time.
  void show(StatsShard& shard, const GradientFigures& f) const {
    const std::array<uint64_t, kGauges> now{f.concurrencyLimit, f.gradient, f.burstQueueSize,
                                            f.measuring,        f.minRttMs, f.sampleRttMs};
    StatBlock block = shard.block(block_);
    for (size_t i = 0; i < kGauges; i++) block[i + 1].add(now[i] - shown_[i]);
    shown_ = now;
  }

  const spec::AdaptiveConcurrency spec_;
  StatsRegistry& stats_;
  const BlockId block_;
  mutable GradientController controller_;
  mutable std::array<uint64_t, kGauges> shown_{};
};

class AdaptiveConcurrency final : public HttpFilter {
 public:
  AdaptiveConcurrency(FilterCallbacks& stream, const Factory& factory)
      : stream_(stream), factory_(factory) {}

  FilterStatus onRequestHeaders(RequestHead&, bool) override {
    WorkerContext& worker = stream_.worker();
    factory_.tick(worker);
    taken_ = factory_.controller().tryTake();
    if (taken_) {
      sentNs_ = worker.loop.nowNs();
      return FilterStatus::kContinue;
    }
    ++worker.stats.block(factory_.statBlock())[adaptive_stat::kRqBlocked];
    stream_.reply({.status = factory_.spec().exceededStatus,
                   .body = "reached concurrency limit",
                   .details = "reached_concurrency_limit"});
    return FilterStatus::kStop;
  }
  FilterStatus onRequestData(std::string_view, bool) override { return FilterStatus::kContinue; }
  void onRequestTrailers(HeaderList&) override {}

  void onResponseHeaders(ResponseHead&, bool end) override {
    if (end) answered();
  }
  void onResponseData(std::string_view, bool end) override {
    if (end) answered();
  }
  void onResponseTrailers(HeaderList&) override { answered(); }
  // Without a whole answer, its time says nothing.
  void onStreamEnd() override {
    if (std::exchange(taken_, false)) factory_.controller().give();
  }

 private:
  void answered() {
    if (!std::exchange(taken_, false)) return;
    WorkerContext& worker = stream_.worker();
    factory_.controller().record(Factory::moment(worker), sentNs_);
    factory_.tick(worker);
  }

  FilterCallbacks& stream_;
  const Factory& factory_;
  uint64_t sentNs_ = 0;
  bool taken_ = false;  // it counts among those under way
};

HttpFilter* Factory::create(FilterCallbacks& stream, const FilterRouteConfig*) const {
  const spec::RuntimeNumber& enabled = spec_.enabled;
  if (runtimeNumber(stream.worker().runtime(), enabled.flag, enabled.value) == 0) return nullptr;
  void* place = stream.arena().allocate(sizeof(AdaptiveConcurrency), alignof(AdaptiveConcurrency));
  return new (place) AdaptiveConcurrency(stream, *this);
}

}  // namespace

Result<std::shared_ptr<const HttpFilterFactory>> make(spec::AdaptiveConcurrency spec,
                                                      const FilterContext& context) {
  return std::shared_ptr<const HttpFilterFactory>(
      std::make_shared<Factory>(std::move(spec), context));
}

}  // namespace millrace
