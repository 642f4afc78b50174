// The route table: from a request to what is done with it, first match wins. Compiled when it is
// built, so that neither the number of virtual hosts nor that of routes costs comparisons
// (domain_index.h, route_index.h).
//
// Build on the main thread; then immutable, published through a slot, read by every worker.
// Whatever a RouteResult points to lives as long as the snapshot: a stream pins it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "proxy/domain_index.h"
#include "proxy/filter_factory.h"
#include "proxy/header_mutation.h"
#include "proxy/route.h"
#include "proxy/route_index.h"
#include "proxy/runtime.h"
#include "proxy/spec.h"
#include "rcu/snapshot.h"

namespace millrace {

struct VirtualHost {
  std::string name;
  spec::RequireTls requireTls = spec::RequireTls::kNone;
  std::vector<Route> routes;
  RouteIndex index;  // over `routes`
  HeaderMutations request;
  HeaderMutations response;
};

enum class RouteOutcome : uint8_t {
  kMatched,
  kTlsRequired,    // answer 301 with tlsRedirectLocation()
  kNoRoute,        // 404, flag NR
  kNoVirtualHost,  // 404, flag NR
};

struct RouteResult {
  RouteOutcome outcome = RouteOutcome::kNoVirtualHost;
  const VirtualHost* virtualHost = nullptr;  // null with kNoVirtualHost
  const Route* route = nullptr;              // null unless kMatched
};

class RouteTable final : public Snapshot {
 public:
  // ERR_MILLRACE_ROUTES with the path of what is wrong, such as
  // "virtualHosts[2].routes[0].match.value: …".
  static Result<std::unique_ptr<RouteTable>> build(spec::RouteTable spec);

  // No heap allocation (more than one field of one name, and rare tables, use the stream's arena),
  // no lock.
  RouteResult match(const RouteRequest& request) const;

  // Applies the mutations of every level that `result` and `pick` name, in the configured order:
  // from the most specific (weighted cluster, route) to the least (virtual host, table), or the
  // other way round with mostSpecificMutationsWin. Later ones win. Values are formatted into
  // headers.arena(). `pick` may be null.
  void mutateRequest(const RouteResult& result, const ClusterPick* pick, HeaderList& headers,
                     const StreamInfo& info) const;
  void mutateResponse(const RouteResult& result, const ClusterPick* pick, HeaderList& headers,
                      const StreamInfo& info) const;

  const std::string& name() const { return name_; }
  // upstream.base_retry_backoff_ms, and upstream.use_retry in percent.
  spec::RuntimeIndex retryBaseFlag() const { return retryBaseFlag_; }
  spec::RuntimeIndex useRetryFlag() const { return useRetryFlag_; }
  // What `said` tells its filter; null: nothing.
  const FilterRouteConfig* filterConfig(const spec::FilterOverride& said) const {
    return said.config < 0 ? nullptr : filterConfigs_[size_t(said.config)].get();
  }
  const std::vector<VirtualHost>& virtualHosts() const { return virtualHosts_; }
  // Names, lower case, that are removed from requests that come from outside (see forwarded.h).
  const std::vector<std::string>& internalOnlyHeaders() const { return internalOnlyHeaders_; }

 private:
  RouteTable() = default;

  std::string name_;
  std::vector<VirtualHost> virtualHosts_;
  DomainIndex domains_;  // over virtualHosts_
  HeaderMutations request_;
  HeaderMutations response_;
  bool mostSpecificWins_ = false;
  bool ignorePort_ = false;
  spec::RuntimeIndex retryBaseFlag_ = spec::kNoFlag, useRetryFlag_ = spec::kNoFlag;
  std::vector<std::string> internalOnlyHeaders_;
  std::vector<std::shared_ptr<const FilterRouteConfig>> filterConfigs_;
};

}  // namespace millrace
