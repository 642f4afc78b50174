// NativeCore: what it tells about its workers.
#include <array>
#include <span>
#include <string>

#include "binding/core_class.h"

namespace millrace {

Napi::Value Core::workerStats(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Array result = Napi::Array::New(env);
  uint32_t i = 0;
  for (const WorkerGroup::WorkerStats& w : group_->workerStats()) {
    Napi::Object s = Napi::Object::New(env);
    s.Set("connections", number(env, w.connections));
    s.Set("requests", number(env, double(w.requests)));
    s.Set("busyNs", number(env, double(w.busyNs)));
    s.Set("turns", number(env, double(w.turns)));
    s.Set("handedOver", number(env, double(w.handedOver)));
    s.Set("received", number(env, double(w.received)));
    s.Set("lag", number(env, double(w.lag)));
    s.Set("bytesHeld", number(env, double(w.bytesHeld)));
    s.Set("poolHits", number(env, double(w.poolHits)));
    s.Set("poolMisses", number(env, double(w.poolMisses)));
    result.Set(i++, s);
  }
  return result;
}

namespace {

// Texts that are needed again for each of very many objects: making them is most of the work.
template <size_t N>
class Texts {
 public:
  Texts(Napi::Env env, const char* const (&texts)[N]) {
    for (size_t i = 0; i < N; i++) values_[i] = Napi::String::New(env, texts[i]);
  }
  napi_value operator[](size_t i) const { return values_[i]; }

 private:
  std::array<napi_value, N> values_;
};

// Builds the array of NativeStat while the registry enumerates. All of it in one handle scope.
class StatCollector final : public StatVisitor {
 public:
  StatCollector(Napi::Env env, std::span<const double> bounds)
      : env_(env),
        bounds_(bounds),
        result_(Napi::Array::New(env)),
        texts_(env, {"name", "tags", "type", "value", "counter", "gauge", "histogram"}) {}
  void counter(const StatName& name, uint64_t value) override {
    Napi::HandleScope scope(env_);
    add(name, kCounter, double(value));
  }
  void gauge(const StatName& name, int64_t value) override {
    Napi::HandleScope scope(env_);
    add(name, kGauge, double(value));
  }
  void histogram(const StatName& name, HistogramUnit unit, const HistogramData& data) override {
    Napi::HandleScope scope(env_);
    double scale = unit == HistogramUnit::kMicroseconds ? 1000 : 1;
    Napi::Object h = Napi::Object::New(env_);
    h.Set("count", number(env_, double(data.count())));
    h.Set("sum", number(env_, double(data.sum()) / scale));
    h.Set("min", number(env_, double(data.min()) / scale));
    h.Set("max", number(env_, double(data.max()) / scale));
    h.Set("p50", number(env_, data.quantile(0.5) / scale));
    h.Set("p90", number(env_, data.quantile(0.9) / scale));
    h.Set("p99", number(env_, data.quantile(0.99) / scale));
    h.Set("p999", number(env_, data.quantile(0.999) / scale));
    Napi::Array cumulative = Napi::Array::New(env_, bounds_.size());
    for (size_t i = 0; i < bounds_.size(); i++) {
      cumulative.Set(uint32_t(i),
                     number(env_, double(data.countUpTo(uint64_t(bounds_[i] * scale)))));
    }
    h.Set("cumulative", cumulative);
    add(name, kHistogram, double(data.count())).Set(texts_[kHistogram], h);
  }
  Napi::Array result() const { return result_; }

 private:
  enum Text : uint8_t { kName, kTags, kType, kValue, kCounter, kGauge, kHistogram };

  Napi::Object add(const StatName& name, Text type, double value) {
    Napi::Object s = Napi::Object::New(env_);
    name_.assign(name.prefix).append(name.name);
    s.Set(texts_[kName], Napi::String::New(env_, name_));
    s.Set(texts_[kTags], tagsOf(name));
    s.Set(texts_[kType], texts_[type]);
    s.Set(texts_[kValue], number(env_, value));
    result_.Set(size_++, s);
    return s;
  }
  // Those of a cluster have the same: one array is for all of them.
  Napi::Value tagsOf(const StatName& name) {
    if (lastTags_ == &name.tags) {
      // Empty while the environment is being terminated.
      Napi::Value last = result_.Get(size_ - 1);
      if (last.IsObject()) return last.As<Napi::Object>().Get(texts_[kTags]);
    }
    lastTags_ = &name.tags;
    Napi::Array tags = Napi::Array::New(env_, name.tags.size() * 2);
    uint32_t i = 0;
    for (const auto& [key, text] : name.tags) {
      tags.Set(i++, key);
      tags.Set(i++, text);
    }
    return tags;
  }

  Napi::Env env_;
  std::span<const double> bounds_;
  Napi::Array result_;
  uint32_t size_ = 0;
  Texts<7> texts_;
  std::string name_;
  const StatTags* lastTags_ = nullptr;  // of the stat before; compared, not read
};

}  // namespace

Napi::Value Core::readStats(const Napi::CallbackInfo& info) {
  std::vector<double> bounds;
  if (!argument(info, 0, bounds)) return info.Env().Undefined();
  StatCollector collector(info.Env(), bounds);
  group_->visitStats(collector);
  return collector.result();
}

Napi::Value Core::clusterHosts(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SlotId slot = kNoSlot;
  if (!argument(info, 0, slot)) return env.Undefined();
  Napi::Array result = Napi::Array::New(env);
  Texts healths(env, {"healthy", "degraded", "unhealthy"});
  Texts keys(env, {"id", "address", "hostname", "weight", "health", "priority", "locality",
                   "canary", "cxActive", "cxTotal", "cxConnectFail", "rqActive", "rqTotal",
                   "rqSuccess", "rqError", "rqTimeout"});
  uint32_t i = 0;
  for (const WorkerGroup::HostStats& h : group_->clusterHosts(slot)) {
    Napi::HandleScope scope(env);
    Napi::Object s = Napi::Object::New(env);
    size_t key = 0;
    auto set = [&](napi_value value) { s.Set(keys[key++], value); };
    set(number(env, double(h.id)));
    set(Napi::String::New(env, h.address));
    set(Napi::String::New(env, h.hostname));
    set(number(env, h.weight));
    set(healths[size_t(h.health)]);
    set(number(env, h.priority));
    set(number(env, h.locality));
    set(Napi::Boolean::New(env, h.canary));
    set(number(env, double(h.cxActive)));
    set(number(env, double(h.cxTotal)));
    set(number(env, double(h.cxConnectFail)));
    set(number(env, double(h.rqActive)));
    set(number(env, double(h.rqTotal)));
    set(number(env, double(h.rqSuccess)));
    set(number(env, double(h.rqError)));
    set(number(env, double(h.rqTimeout)));
    result.Set(i++, s);
  }
  return result;
}

Napi::Value Core::takeOutlierEvents(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  static constexpr const char* kKinds[] = {"consecutive-5xx", "consecutive-gateway-failure",
                                           "consecutive-local-origin-failure", "immediate-fail"};
  Napi::Array result = Napi::Array::New(env);
  uint32_t i = 0;
  for (const OutlierEvent& event : group_->takeOutlierEvents()) {
    Napi::HandleScope scope(env);
    Napi::Object e = Napi::Object::New(env);
    e.Set("slot", number(env, event.slot));
    e.Set("host", number(env, double(event.host)));
    e.Set("kind", kKinds[int(event.kind)]);
    result.Set(i++, e);
  }
  return result;
}

Napi::Value Core::outlierWindow(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SlotId slot = kNoSlot;
  if (!argument(info, 0, slot)) return env.Undefined();
  Napi::Array result = Napi::Array::New(env);
  uint32_t i = 0;
  for (const OutlierCount& count : group_->outlierWindow(slot)) {
    Napi::HandleScope scope(env);
    Napi::Object c = Napi::Object::New(env);
    c.Set("host", number(env, double(count.host)));
    c.Set("total", number(env, count.total));
    c.Set("success", number(env, count.success));
    c.Set("localTotal", number(env, count.localTotal));
    c.Set("localSuccess", number(env, count.localSuccess));
    result.Set(i++, c);
  }
  return result;
}

void Core::resetOutliers(const Napi::CallbackInfo& info) {
  SlotId slot = kNoSlot;
  std::vector<uint64_t> hosts;
  if (argument(info, 0, slot) && argument(info, 1, hosts)) {
    group_->resetOutliers(slot, std::move(hosts));
  }
}

Napi::Value Core::connectionCount(const Napi::CallbackInfo& info) {
  return number(info.Env(), group_->connectionCount());
}

Napi::Value Core::socketCount(const Napi::CallbackInfo& info) {
  return number(info.Env(), group_->socketCount());
}

Napi::Value Core::listenerConnections(const Napi::CallbackInfo& info) {
  std::string name;
  if (!argument(info, 0, name)) return info.Env().Undefined();
  return number(info.Env(), group_->listenerConnections(name));
}

}  // namespace millrace
