#include "proxy/route_table.h"

#include <algorithm>
#include <array>
#include <utility>

#include "proxy/authority.h"

namespace millrace {
namespace {

// One list of mutations, compiled into `into`.
Status compileMutations(spec::HeaderMutations& spec, const std::string& where,
                        HeaderMutations& into) {
  Result<HeaderMutations> mutations = HeaderMutations::compile(std::move(spec), where);
  if (!mutations) return mutations.error();
  into = std::move(*mutations);
  return Status();
}

Status compileVirtualHost(spec::VirtualHost spec, const std::string& where, VirtualHost& into) {
  into.name = std::move(spec.name);
  into.requireTls = spec.requireTls;
  into.routes.reserve(spec.routes.size());
  for (size_t i = 0; i < spec.routes.size(); i++) {
    Result<Route> route =
        Route::compile(std::move(spec.routes[i]), where + ".routes[" + std::to_string(i) + "]");
    if (!route) return route.error();
    into.routes.push_back(std::move(*route));
  }
  into.index.build(into.routes);
  Status status = compileMutations(spec.request, where + ".request", into.request);
  if (status) status = compileMutations(spec.response, where + ".response", into.response);
  return status;
}

// Whether what routes say to filters is there.
Status checkFilters(const spec::RouteTable& table) {
  const size_t count = table.filterConfigs.size();
  auto known = [count](const spec::FilterOverrides& filters) {
    return std::ranges::all_of(filters, [count](const spec::FilterOverride& said) {
      return said.config < 0 || size_t(said.config) < count;
    });
  };
  for (const spec::VirtualHost& host : table.virtualHosts) {
    for (const spec::Route& route : host.routes) {
      bool fine = known(route.filters);
      if (const auto* forward = std::get_if<spec::Forward>(&route.action)) {
        for (const spec::WeightedCluster& cluster : forward->cluster.clusters) {
          fine = fine && known(cluster.filters);
        }
      }
      if (!fine) {
        return Error{"ERR_MILLRACE_ROUTES", "filterConfigs: \"" + route.name + "\" names none", 0};
      }
    }
  }
  return {};
}

// The levels of mutations, the most specific first; null where a level has none.
using Levels = std::array<const HeaderMutations*, 4>;

void applyLevels(const Levels& levels, bool mostSpecificWins, HeaderList& headers,
                 const StreamInfo& info) {
  for (size_t i = 0; i < levels.size(); i++) {
    const HeaderMutations* level = levels[mostSpecificWins ? levels.size() - 1 - i : i];
    if (level != nullptr && !level->empty()) level->apply(headers, info);
  }
}

}  // namespace

Result<std::unique_ptr<RouteTable>> RouteTable::build(spec::RouteTable spec) {
  std::unique_ptr<RouteTable> table(new RouteTable());  // NOLINT: the constructor is private
  table->name_ = std::move(spec.name);
  table->mostSpecificWins_ = spec.mostSpecificMutationsWin;
  table->ignorePort_ = spec.ignorePortInHost;
  table->retryBaseFlag_ = spec.retryBaseFlag;
  table->useRetryFlag_ = spec.useRetryFlag;
  table->internalOnlyHeaders_ = std::move(spec.internalOnlyHeaders);
  if (Status status = checkFilters(spec); !status) return status.error();
  for (size_t i = 0; i < spec.filterConfigs.size(); i++) {
    auto config = makeFilterRouteConfig(std::move(spec.filterConfigs[i]),
                                        "filterConfigs[" + std::to_string(i) + "]");
    if (!config) return config.error();
    table->filterConfigs_.push_back(std::move(*config));
  }
  table->virtualHosts_.resize(spec.virtualHosts.size());
  for (size_t i = 0; i < spec.virtualHosts.size(); i++) {
    const std::string where = "virtualHosts[" + std::to_string(i) + "]";
    spec::VirtualHost& host = spec.virtualHosts[i];
    for (size_t d = 0; d < host.domains.size(); d++) {
      Status status = table->domains_.add(host.domains[d], uint32_t(i),
                                          where + ".domains[" + std::to_string(d) + "]");
      if (!status) return status.error();
    }
    Status status = compileVirtualHost(std::move(host), where, table->virtualHosts_[i]);
    if (!status) return status.error();
  }
  Status status = compileMutations(spec.request, "request", table->request_);
  if (status) status = compileMutations(spec.response, "response", table->response_);
  if (!status) return status.error();
  return table;
}

RouteResult RouteTable::match(const RouteRequest& request) const {
  std::string_view host =
      ignorePort_ ? request.authority.substr(0, portStart(request.authority)) : request.authority;
  uint32_t found = domains_.find(host);
  if (found == DomainIndex::kNone) return {};
  const VirtualHost& virtualHost = virtualHosts_[found];
  if (!request.https && virtualHost.requireTls != spec::RequireTls::kNone) {
    if (virtualHost.requireTls == spec::RequireTls::kAll || !request.internal) {
      return {RouteOutcome::kTlsRequired, &virtualHost, nullptr};
    }
  }
  const Route* route = virtualHost.index.find(virtualHost.routes, request);
  if (route == nullptr) return {RouteOutcome::kNoRoute, &virtualHost, nullptr};
  return {RouteOutcome::kMatched, &virtualHost, route};
}

void RouteTable::mutateRequest(const RouteResult& result, const ClusterPick* pick,
                               HeaderList& headers, const StreamInfo& info) const {
  Levels levels{};
  if (pick != nullptr && pick->weighted != nullptr) levels[0] = &pick->weighted->request;
  if (result.route != nullptr) levels[1] = &result.route->request;
  if (result.virtualHost != nullptr) levels[2] = &result.virtualHost->request;
  levels[3] = &request_;
  applyLevels(levels, mostSpecificWins_, headers, info);
}

void RouteTable::mutateResponse(const RouteResult& result, const ClusterPick* pick,
                                HeaderList& headers, const StreamInfo& info) const {
  Levels levels{};
  if (pick != nullptr && pick->weighted != nullptr) levels[0] = &pick->weighted->response;
  if (result.route != nullptr) levels[1] = &result.route->response;
  if (result.virtualHost != nullptr) levels[2] = &result.virtualHost->response;
  levels[3] = &response_;
  applyLevels(levels, mostSpecificWins_, headers, info);
}

}  // namespace millrace
