#include "proxy/filters/dynamic_forward_proxy.h"

#include <new>
#include <utility>

#include "proxy/cluster_choice.h"
#include "proxy/http_filter.h"
#include "proxy/worker_context.h"

namespace millrace {

namespace {

class RouteConfig final : public FilterRouteConfig {
 public:
  explicit RouteConfig(spec::DynamicForwardProxyRoute config)
      : FilterRouteConfig(FilterType::kDynamicForwardProxy), spec(std::move(config)) {}
  const spec::DynamicForwardProxyRoute spec;
};

class Filter final : public HttpFilter {
 public:
  Filter(FilterCallbacks& callbacks, const spec::DynamicForwardProxyRoute& rewrite)
      : callbacks_(callbacks), rewrite_(rewrite) {}

  FilterStatus onRequestHeaders(RequestHead& head, bool) override {
    if (!toForwardProxy()) return FilterStatus::kContinue;
    if (!rewrite_.host.empty()) head.authority = rewrite_.host;
    if (!rewrite_.header.empty()) {
      // The first one, if a client sends several.
      const Header* header = head.headers.find(rewrite_.header);
      if (header != nullptr) head.authority = header->value;
    }
    callbacks_.info().authority = head.authority;
    return FilterStatus::kContinue;
  }
  FilterStatus onRequestData(std::string_view, bool) override { return FilterStatus::kContinue; }
  void onRequestTrailers(HeaderList&) override {}

 private:
  bool toForwardProxy() {
    WorkerContext& worker = callbacks_.worker();
    const ClusterPick& pick = callbacks_.cluster();
    SlotId slot = pick.slot;
    if (slot == kNoSlot && !pick.name.empty()) {
      const auto* directory = worker.slots.get<ClusterDirectory>(worker.common.directory);
      if (directory != nullptr) slot = directory->find(pick.name);
    }
    const ClusterLocal* cluster = slot == kNoSlot ? nullptr : worker.upstream.cluster(slot);
    const spec::OnDemand* rules = cluster == nullptr ? nullptr : cluster->snapshot().onDemand();
    return rules != nullptr && rules->kind == spec::OnDemand::Kind::kForwardProxy;
  }
  FilterCallbacks& callbacks_;
  const spec::DynamicForwardProxyRoute& rewrite_;
};

class Factory final : public HttpFilterFactory {
 public:
  Factory() : HttpFilterFactory(FilterType::kDynamicForwardProxy) {}
  HttpFilter* create(FilterCallbacks& callbacks, const FilterRouteConfig* route) const override {
    if (route == nullptr) return nullptr;
    const auto& rewrite = static_cast<const RouteConfig*>(route)->spec;
    return new (callbacks.arena().allocate(sizeof(Filter), alignof(Filter)))
        Filter(callbacks, rewrite);
  }
};

}  // namespace

Result<std::shared_ptr<const HttpFilterFactory>> make(spec::DynamicForwardProxy,
                                                      const FilterContext&) {
  return std::shared_ptr<const HttpFilterFactory>(std::make_shared<const Factory>());
}

Result<std::shared_ptr<const FilterRouteConfig>> makeRoute(spec::DynamicForwardProxyRoute spec,
                                                           const std::string&) {
  return std::shared_ptr<const FilterRouteConfig>(
      std::make_shared<const RouteConfig>(std::move(spec)));
}

}  // namespace millrace
