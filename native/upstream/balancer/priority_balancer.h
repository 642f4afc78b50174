// Chooses among all hosts of a cluster, or those of one subset of it: first a priority and whether
// healthy or degraded, then a locality where load is shared among those first, then a host.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "upstream/balancer/host_table.h"
#include "upstream/balancer/pick_context.h"
#include "upstream/balancer/priority_loads.h"
#include "upstream/balancer/schedule.h"
#include "upstream/balancer/zone_routing.h"

namespace millrace {

// Immutable; any thread.
class PriorityBalancer {
 public:
  // `members`: places of the hosts to choose among. `localityWeights`: by locality.
  static std::unique_ptr<const PriorityBalancer> build(TableContext& context,
                                                       std::span<const uint32_t> members,
                                                       std::span<const double> localityWeights);

  // Null when there is no host to be had.
  const HostEntry* pick(const PickContext& context, PickState& state,
                        std::span<const HostEntry> hosts) const;

  size_t priorities() const { return health_.size(); }
  const PriorityLoads& loads() const { return shares_.loads; }
  PriorityLoads loadsWithout(const std::vector<bool>& tried) const;
  size_t memory() const;  // bytes

 private:
  // The hosts of one priority and one health.
  struct Branch {
    std::unique_ptr<const HostTable> all;  // null: there is none
    // By locality, where load is shared among localities first, or by zone; else empty.
    std::vector<std::unique_ptr<const HostTable>> localities;
    AliasTable byWeight;
    const ZoneRouting* byZone = nullptr;  // instead of `byWeight`

    const HostTable* choose(PickState& state) const;
  };
  struct Tables {
    std::unique_ptr<const ZoneRouting> zones;  // null: zones do not matter
    Branch healthy, degraded;
    std::unique_ptr<const HostTable> panic;  // all hosts; only where it is one
  };
  struct Build;

  const HostTable* table(const PickContext& context, PickState& state, uint64_t hash) const;
  const HostTable* table(size_t priority, bool degraded, PickState& state) const;

  spec::LbPolicy policy_ = spec::LbPolicy::kRoundRobin;
  bool failTrafficOnPanic_ = false;
  uint32_t overprovisioning_ = 0;
  double panicThreshold_ = 0;
  std::vector<PriorityHealth> health_;
  PriorityShares shares_;
  std::vector<Tables> tables_;
  int only_ = -1;  // all load goes to the healthy hosts of this priority
};

}  // namespace millrace
