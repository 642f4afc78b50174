// What one request tells the balancer.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "upstream/balancer/priority_loads.h"
#include "upstream/host_set.h"

namespace millrace {

// What a request has against hosts: a retry that should go elsewhere.
class HostFilter {
 public:
  virtual bool rejects(const HostEntry& host) = 0;

 protected:
  ~HostFilter() = default;
};

// Keys and values that a host's metadata must have, in order of the keys.
using HostCriteria = std::vector<std::pair<std::string, std::string>>;

// `metadata_match` of a route, for clusters with subsets.
struct MetadataMatch {
  HostCriteria criteria;
  // For `metadata_fallback_policy: FALLBACK_LIST`: tried in turn, instead. Empty: the route has no
  // `fallback_list`.
  std::vector<HostCriteria> variants;
};

// What one request tells the balancer. Everything may be left out.
struct PickContext {
  // Address of the host that the request asks for, ahead of everything else; empty: none. Valid
  // during the pick.
  std::string_view overrideHost = {};
  bool overrideStrict = false;  // that host or none
  // Of what the route's hash policies name. Balancers that do not hash ignore it; those that do
  // take a random one where it is absent.
  std::optional<uint64_t> hash;
  // A host that it rejects is picked only when `attempts` further picks brought no other
  // (`host_selection_retry_max_attempts`).
  HostFilter* filter = nullptr;
  uint32_t attempts = 1;
  const MetadataMatch* match = nullptr;
  // Instead of the balancer's own shares: those of Balancer::loadsWithout().
  const PriorityLoads* loads = nullptr;
  // Of an on-demand cluster: which host; all else is of no account there. Empty: none.
  std::string_view key = {};
};

}  // namespace millrace
