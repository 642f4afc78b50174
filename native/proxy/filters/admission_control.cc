#include "proxy/filters/admission_control.h"

#include <algorithm>
#include <charconv>
#include <new>

#include "base/ascii.h"
#include "proxy/filters/admission_control_stats.h"
#include "proxy/filters/admission_window.h"
#include "proxy/http_filter.h"
#include "proxy/runtime.h"
#include "proxy/worker_context.h"

namespace millrace {

namespace {

// Of a cache line's own: workers do not disturb each other.
struct alignas(64) PerWorker {
  AdmissionWindow window;
};

constexpr uint32_t kGrpcStatuses = 17;  // 0 to 16

// "application/grpc", with a format or not; "application/grpc-web" is something else.
bool isGrpc(const HeaderList& headers) {
  constexpr std::string_view kType = "application/grpc";
  std::string_view type = headers.value(HeaderId::kContentType);
  if (!startsWithLower(type, kType)) return false;
  return type.size() == kType.size() || type[kType.size()] == '+' || type[kType.size()] == ';';
}

class Factory final : public HttpFilterFactory {
 public:
  Factory(spec::AdmissionControl spec, const FilterContext& context)
      : HttpFilterFactory(FilterType::kAdmissionControl),
        spec_(std::move(spec)),
        stats_(context.stats),
        block_(stats_.block(context.scope.within("admission_control."), admission_stat::kLeaves)),
        workers_(std::make_unique<PerWorker[]>(context.workers)) {
    for (uint32_t i = 0; i < context.workers; i++) workers_[i].window.resize(spec_.windowSeconds);
  }
  ~Factory() override { stats_.release(block_); }

  HttpFilter* create(FilterCallbacks& stream, const FilterRouteConfig*) const override;

  BlockId statBlock() const { return block_; }
  AdmissionWindow& window(uint32_t worker) const { return workers_[worker].window; }
  AdmissionRules rules(const RuntimeSnapshot* runtime) const {
    auto part = [runtime](const spec::RuntimeNumber& percent) {
      return std::clamp(runtimeNumber(runtime, percent.flag, percent.value), 0.0, 100.0) / 100;
    };
    double aggression = runtimeNumber(runtime, spec_.aggression.flag, spec_.aggression.value);
    return {std::max(aggression, 1.0), part(spec_.threshold), part(spec_.mostRejected)};
  }
  double rpsThreshold(const RuntimeSnapshot* runtime) const {
    return runtimeNumber(runtime, spec_.rpsThreshold.flag, spec_.rpsThreshold.value);
  }
  bool enabled(const RuntimeSnapshot* runtime) const {
    return runtimeNumber(runtime, spec_.enabled.flag, spec_.enabled.value) != 0;
  }
  bool httpSuccess(uint16_t status) const {
    return std::ranges::any_of(spec_.httpSuccess, [status](const auto& range) {
      return status >= range.first && status < range.second;
    });
  }
  bool grpcSuccess(std::string_view text) const {
    uint32_t status = kGrpcStatuses;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), status);
    return error == std::errc() && end == text.data() + text.size() && status < kGrpcStatuses &&
           (spec_.grpcSuccess >> status & 1) != 0;
  }

 private:
  const spec::AdmissionControl spec_;
  StatsRegistry& stats_;
  const BlockId block_;
  const std::unique_ptr<PerWorker[]> workers_;
};

class AdmissionControl final : public HttpFilter {
 public:
  AdmissionControl(FilterCallbacks& stream, const Factory& factory)
      : stream_(stream), factory_(factory) {}

  FilterStatus onRequestHeaders(RequestHead&, bool) override {
    WorkerContext& worker = stream_.worker();
    AdmissionWindow& window = factory_.window(worker.index);
    uint64_t now = worker.loop.nowNs();
    const RuntimeSnapshot* runtime = worker.runtime();
    recording_ = true;
    if (double(window.averageRps(now)) < factory_.rpsThreshold(runtime)) {
      return FilterStatus::kContinue;
    }
    double probability = rejectionProbability(window.counts(now), factory_.rules(runtime));
    // Four digits, as Envoy has them.
    constexpr uint64_t kAccuracy = 10'000;
    if (probability * kAccuracy <= double(worker.random.next() % kAccuracy)) {
      return FilterStatus::kContinue;
    }
    // What is turned away says nothing of who is behind us.
    recording_ = false;
    ++worker.stats.block(factory_.statBlock())[admission_stat::kRqRejected];
    stream_.reply({.status = 503, .details = "denied_by_admission_control"});
    return FilterStatus::kStop;
  }
  FilterStatus onRequestData(std::string_view, bool) override { return FilterStatus::kContinue; }
  void onRequestTrailers(HeaderList&) override {}

  void onResponseHeaders(ResponseHead& head, bool end) override {
    if (!recording_) return;
    const Header* status = head.headers.find(HeaderId::kGrpcStatus);
    bool grpc = end ? status != nullptr : head.status == 200 && isGrpc(head.headers);
    if (!grpc) {
      record(factory_.httpSuccess(head.status));
    } else if (status != nullptr) {
      record(factory_.grpcSuccess(status->value));
    }
  }
  // Where the status of a gRPC response is that has a body.
  void onResponseTrailers(HeaderList& trailers) override {
    if (recording_) record(factory_.grpcSuccess(trailers.value(HeaderId::kGrpcStatus)));
  }

 private:
  void record(bool success) {
    recording_ = false;
    WorkerContext& worker = stream_.worker();
    factory_.window(worker.index).record(success, worker.loop.nowNs());
    StatBlock stats = worker.stats.block(factory_.statBlock());
    ++stats[success ? admission_stat::kRqSuccess : admission_stat::kRqFailure];
  }

  FilterCallbacks& stream_;
  const Factory& factory_;
  bool recording_ = false;
};

HttpFilter* Factory::create(FilterCallbacks& stream, const FilterRouteConfig*) const {
  if (!enabled(stream.worker().runtime())) return nullptr;
  void* place = stream.arena().allocate(sizeof(AdmissionControl), alignof(AdmissionControl));
  return new (place) AdmissionControl(stream, *this);
}

}  // namespace

Result<std::shared_ptr<const HttpFilterFactory>> make(spec::AdmissionControl spec,
                                                      const FilterContext& context) {
  if (spec.windowSeconds == 0 || spec.windowSeconds > spec::AdmissionControl::kMostSeconds) {
    return Error{"ERR_MILLRACE_LISTENER", context.where + ".config.windowSeconds: out of range"};
  }
  return std::shared_ptr<const HttpFilterFactory>(
      std::make_shared<Factory>(std::move(spec), context));
}

}  // namespace millrace
