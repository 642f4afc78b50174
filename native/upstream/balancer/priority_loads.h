// How load is shared among the priorities of a cluster, by how many of their hosts are healthy
// (docs: priority levels, degraded endpoints, panic threshold).
#pragma once

#include <cstdint>
#include <vector>

namespace millrace {

// The hosts of one priority, counted. With `weighted_priority_health` these are sums of weights.
struct PriorityHealth {
  uint64_t hosts = 0;  // all
  uint64_t healthy = 0;
  uint64_t degraded = 0;
  uint64_t excluded = 0;  // of all: left out of counting
};

// Percent of load; all together 100, or 0 when nothing can be had.
struct PriorityLoads {
  std::vector<uint8_t> healthy, degraded;  // by priority
};

struct PriorityShares {
  PriorityLoads loads;
  std::vector<bool> panic;  // by priority: health is not looked at
};

// Whether fewer than `panicThreshold` percent of the hosts that count are healthy or degraded.
bool inPanic(const PriorityHealth& hosts, double panicThreshold);

// `overprovisioning`: percent. `panicThreshold`: percent of hosts, 0 turns panic off. Priorities in
// `without` (may be shorter) count as if they had no host.
PriorityShares sharesOf(const std::vector<PriorityHealth>& priorities, uint32_t overprovisioning,
                        double panicThreshold, const std::vector<bool>& without = {});

}  // namespace millrace
