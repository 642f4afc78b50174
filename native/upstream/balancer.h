// How a worker chooses a host of a cluster. A Balancer is made beside a snapshot, off the workers;
// pick() only reads it, with what the request says (PickContext) and what this worker remembers of
// the cluster (PickState). No lock, no allocation.
//
//   pick ─▶ a subset of the hosts, where the cluster has them
//        ─▶ priority and health, by the shares of load ─▶ locality, by weight ─▶ host, by the
//        policy
//
// Priorities and panic: balancer/priority_balancer.h. Subsets: balancer/subsets.h. Policies:
// balancer/, one file each.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "upstream/balancer/priority_balancer.h"
#include "upstream/balancer/subsets.h"

namespace millrace {

// Immutable; any thread.
class Balancer {
 public:
  // `hosts` are the entries that pick() will be given. `zones`: of the proxies of this cluster, for
  // zone-aware routing; null: there is none.
  static std::unique_ptr<const Balancer> build(const spec::Lb& lb,
                                               std::span<const spec::Locality> localities,
                                               std::span<const HostEntry> hosts,
                                               const LocalZones* zones = nullptr);
  // About how many table entries build() has to compute: more than kLongBuild take more than a
  // millisecond.
  static uint64_t work(const spec::Lb& lb, std::span<const HostEntry> hosts);
  static constexpr uint64_t kLongBuild = 8192;

  // Null when there is no host to be had.
  const HostEntry* pick(const PickContext& context, PickState& state,
                        std::span<const HostEntry> hosts) const {
    state.events = 0;
    return subsets_ == nullptr ? whole_->pick(context, state, hosts)
                               : subsets_->pick(*whole_, context, state, hosts);
  }

  // How many priorities there are: one more than the highest of a host.
  size_t priorities() const { return whole_->priorities(); }
  const PriorityLoads& loads() const { return whole_->loads(); }
  // The shares as they would be if the priorities marked in `tried` had no hosts
  // (`previous_priorities`); all 0 when nothing is left.
  PriorityLoads loadsWithout(const std::vector<bool>& tried) const {
    return whole_->loadsWithout(tried);
  }
  // What build() found out.
  const BuildCounts& counts() const { return counts_; }
  // Null where the cluster has no subsets.
  const Subsets* subsets() const { return subsets_.get(); }
  // Bytes of all tables.
  size_t memory() const;

 private:
  std::unique_ptr<const PriorityBalancer> whole_;
  std::unique_ptr<const Subsets> subsets_;  // null: the cluster has none
  BuildCounts counts_;
};

}  // namespace millrace
