// The numbers of one cluster, named as Envoy documents them (cluster stats: upstream_cx_*,
// upstream_rq_*).
#pragma once

#include <cstddef>
#include <span>

#include "net/connection.h"
#include "stats/registry.h"

namespace millrace {

class ClusterSnapshot;

namespace cluster_stat {
enum ClusterStat : size_t {
#define X(id, name, kind) id,
#include "upstream/cluster_stats.inc"
#undef X
};
}  // namespace cluster_stat

inline constexpr StatLeaf kClusterStatLeaves[] = {
#define X(id, name, kind) {name, StatKind::kind},
#include "upstream/cluster_stats.inc"
#undef X
};

// Who ended the connection: a timeout is our doing.
constexpr bool isLocalEnd(CloseReason reason) {
  return reason == CloseReason::kLocal || reason == CloseReason::kConnectTimeout;
}

// A connection is gone, whether it was ever up or not.
inline void countDestroyed(StatBlock stats, CloseReason reason) {
  ++stats[cluster_stat::kCxDestroy];
  ++stats[isLocalEnd(reason) ? cluster_stat::kCxDestroyLocal : cluster_stat::kCxDestroyRemote];
}

// A connection that never was up. A timeout is a failure too.
void countConnectFailure(StatBlock stats, const ClusterSnapshot& cluster, CloseReason reason,
                         int sysErrno);

}  // namespace millrace
