// NativeCore: what it tells about its workers.
#include <span>

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
    s.Set("poolHits", number(env, double(w.poolHits)));
    s.Set("poolMisses", number(env, double(w.poolMisses)));
    result.Set(i++, s);
  }
  return result;
}

namespace {

// Builds the array of NativeStat while the registry enumerates.
class StatCollector final : public StatVisitor {
 public:
  StatCollector(Napi::Env env, std::span<const double> bounds)
      : env_(env), bounds_(bounds), result_(Napi::Array::New(env)) {}
  void counter(const StatName& name, uint64_t value) override {
    add(name, "counter", double(value));
  }
  void gauge(const StatName& name, int64_t value) override { add(name, "gauge", double(value)); }
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
    add(name, "histogram", double(data.count())).Set("histogram", h);
  }
  Napi::Array result() const { return result_; }

 private:
  Napi::Object add(const StatName& name, const char* type, double value) {
    Napi::Object s = Napi::Object::New(env_);
    s.Set("name", std::string(name.prefix) + std::string(name.name));
    Napi::Array tags = Napi::Array::New(env_, name.tags.size() * 2);
    uint32_t i = 0;
    for (const auto& [key, text] : name.tags) {
      tags.Set(i++, key);
      tags.Set(i++, text);
    }
    s.Set("tags", tags);
    s.Set("type", type);
    s.Set("value", number(env_, value));
    result_.Set(size_++, s);
    return s;
  }
  Napi::Env env_;
  std::span<const double> bounds_;
  Napi::Array result_;
  uint32_t size_ = 0;
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
  static constexpr const char* kHealths[] = {"healthy", "degraded", "unhealthy"};
  uint32_t i = 0;
  for (const WorkerGroup::HostStats& h : group_->clusterHosts(slot)) {
    Napi::Object s = Napi::Object::New(env);
    s.Set("id", number(env, double(h.id)));
    s.Set("address", h.address);
    s.Set("hostname", h.hostname);
    s.Set("weight", number(env, h.weight));
    s.Set("health", kHealths[size_t(h.health)]);
    s.Set("priority", number(env, h.priority));
    s.Set("locality", number(env, h.locality));
    s.Set("canary", Napi::Boolean::New(env, h.canary));
    s.Set("cxActive", number(env, double(h.cxActive)));
    s.Set("cxTotal", number(env, double(h.cxTotal)));
    s.Set("cxConnectFail", number(env, double(h.cxConnectFail)));
    s.Set("rqActive", number(env, double(h.rqActive)));
    s.Set("rqTotal", number(env, double(h.rqTotal)));
    s.Set("rqSuccess", number(env, double(h.rqSuccess)));
    s.Set("rqError", number(env, double(h.rqError)));
    s.Set("rqTimeout", number(env, double(h.rqTimeout)));
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

Napi::Value Core::listenerConnections(const Napi::CallbackInfo& info) {
  std::string name;
  if (!argument(info, 0, name)) return info.Env().Undefined();
  return number(info.Env(), group_->listenerConnections(name));
}

}  // namespace millrace
