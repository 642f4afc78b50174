// How a worker chooses a host of a cluster. A Balancer is made beside a snapshot, off the workers;
// pick() only reads it, with what the request says (PickContext) and what this worker remembers of
// the cluster (PickState). No lock, no allocation.
//
//   pick ─▶ an override host, if it can be had
//        ─▶ priority and health, by the shares of load ─▶ locality, by weight ─▶ host, by the
//        policy
//
// Priorities and panic: balancer/priority_loads.h. Policies: balancer/, one file each.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "upstream/balancer/host_table.h"
#include "upstream/balancer/priority_loads.h"
#include "upstream/balancer/schedule.h"
#include "upstream/cluster_spec.h"
#include "upstream/host_set.h"

namespace millrace {

// What a request has against hosts: a retry that should go elsewhere.
class HostFilter {
 public:
  virtual bool rejects(const HostEntry& host) = 0;

 protected:
  ~HostFilter() = default;
};

// What one request tells the balancer. Everything may be left out.
struct PickContext {
  // Of what the route's hash policies name. Balancers that do not hash ignore it; those that do
  // take a random one where it is absent.
  std::optional<uint64_t> hash;
  // A host that it rejects is picked only when `attempts` further picks brought no other
  // (`host_selection_retry_max_attempts`).
  HostFilter* filter = nullptr;
  uint32_t attempts = 1;
  // Instead of the balancer's own shares: those of Balancer::loadsWithout().
  const PriorityLoads* loads = nullptr;
};

// Immutable; any thread.
class Balancer {
 public:
  // `hosts` are the entries that pick() will be given.
  static std::unique_ptr<const Balancer> build(const spec::Lb& lb,
                                               std::span<const spec::Locality> localities,
                                               std::span<const HostEntry> hosts);
  // About how many table entries build() has to compute: more than kLongBuild take more than a
  // millisecond.
  static uint64_t work(const spec::Lb& lb, std::span<const HostEntry> hosts);
  static constexpr uint64_t kLongBuild = 8192;

  // Null when there is no host to be had.
  const HostEntry* pick(const PickContext& context, PickState& state,
                        std::span<const HostEntry> hosts) const;

  // How many priorities there are: one more than the highest of a host.
  size_t priorities() const { return health_.size(); }
  const PriorityLoads& loads() const { return shares_.loads; }
  // The shares as they would be if the priorities marked in `tried` had no hosts
  // (`previous_priorities`); all 0 when nothing is left.
  PriorityLoads loadsWithout(const std::vector<bool>& tried) const;
  // Bytes of all tables.
  size_t memory() const;

 private:
  // The hosts of one priority and one health.
  struct Branch {
    std::unique_ptr<const HostTable> all;  // null: there is none
    // By locality, where load is shared among localities first; else empty.
    std::vector<std::unique_ptr<const HostTable>> localities;
    AliasTable byWeight;

    const HostTable* choose(PickState& state) const;
  };
  struct Tables {
    Branch healthy, degraded;
    std::unique_ptr<const HostTable> panic;  // all hosts; only where it is one
  };
  struct Build;

  const HostTable* table(const PickContext& context, PickState& state, uint64_t hash) const;
  const HostTable* table(size_t priority, bool degraded, PickState& state) const;

  spec::Lb lb_;
  std::vector<PriorityHealth> health_;
  PriorityShares shares_;
  std::vector<Tables> tables_;
  int only_ = -1;  // all load goes to the healthy hosts of this priority
};

}  // namespace millrace
