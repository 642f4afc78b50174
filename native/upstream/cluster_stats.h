// The numbers of one cluster, named as Envoy documents them (cluster stats: upstream_cx_*,
// upstream_rq_*).
#pragma once

#include <cstddef>
#include <span>

#include "stats/registry.h"

namespace millrace {

// X(enumerator, name, kind)
#define MILLRACE_CLUSTER_STATS(X)                                                  \
  X(kCxTotal, "upstream_cx_total", kCounter)                                       \
  X(kCxHttp1Total, "upstream_cx_http1_total", kCounter)                            \
  X(kCxActive, "upstream_cx_active", kGauge)                                       \
  X(kCxConnectFail, "upstream_cx_connect_fail", kCounter)                          \
  X(kCxConnectTimeout, "upstream_cx_connect_timeout", kCounter)                    \
  X(kCxOverflow, "upstream_cx_overflow", kCounter)                                 \
  X(kCxPoolOverflow, "upstream_cx_pool_overflow", kCounter)                        \
  X(kCxConnectAttemptsExceeded, "upstream_cx_connect_attempts_exceeded", kCounter) \
  X(kCxDestroy, "upstream_cx_destroy", kCounter)                                   \
  X(kCxDestroyLocal, "upstream_cx_destroy_local", kCounter)                        \
  X(kCxDestroyRemote, "upstream_cx_destroy_remote", kCounter)                      \
  X(kCxDestroyWithActiveRq, "upstream_cx_destroy_with_active_rq", kCounter)        \
  X(kCxIdleTimeout, "upstream_cx_idle_timeout", kCounter)                          \
  X(kCxMaxRequests, "upstream_cx_max_requests", kCounter)                          \
  X(kCxMaxDurationReached, "upstream_cx_max_duration_reached", kCounter)           \
  X(kCxNoneHealthy, "upstream_cx_none_healthy", kCounter)                          \
  X(kCxProtocolError, "upstream_cx_protocol_error", kCounter)                      \
  X(kCxRxBytes, "upstream_cx_rx_bytes_total", kCounter)                            \
  X(kCxTxBytes, "upstream_cx_tx_bytes_total", kCounter)                            \
  X(kCxReused, "upstream_cx_reused", kCounter)                                     \
  X(kRqTotal, "upstream_rq_total", kCounter)                                       \
  X(kRqActive, "upstream_rq_active", kGauge)                                       \
  X(kRqPendingTotal, "upstream_rq_pending_total", kCounter)                        \
  X(kRqPendingActive, "upstream_rq_pending_active", kGauge)                        \
  X(kRqPendingOverflow, "upstream_rq_pending_overflow", kCounter)                  \
  X(kRqPendingFailureEject, "upstream_rq_pending_failure_eject", kCounter)         \
  X(kRqCancelled, "upstream_rq_cancelled", kCounter)                               \
  X(kRqTimeout, "upstream_rq_timeout", kCounter)                                   \
  X(kRqRxReset, "upstream_rq_rx_reset", kCounter)                                  \
  X(kRqTxReset, "upstream_rq_tx_reset", kCounter)                                  \
  X(kRqStaleRetry, "upstream_rq_stale_retry", kCounter)                            \
  X(kRqCompleted, "upstream_rq_completed", kCounter)                               \
  X(kRq1xx, "upstream_rq_1xx", kCounter)                                           \
  X(kRq2xx, "upstream_rq_2xx", kCounter)                                           \
  X(kRq3xx, "upstream_rq_3xx", kCounter)                                           \
  X(kRq4xx, "upstream_rq_4xx", kCounter)                                           \
  X(kRq5xx, "upstream_rq_5xx", kCounter)                                           \
  X(kRqRetry, "upstream_rq_retry", kCounter)                                       \
  X(kRqRetrySuccess, "upstream_rq_retry_success", kCounter)                        \
  X(kRqRetryOverflow, "upstream_rq_retry_overflow", kCounter)                      \
  X(kRqRetryLimitExceeded, "upstream_rq_retry_limit_exceeded", kCounter)           \
  X(kRqRetryBackOffExponential, "upstream_rq_retry_backoff_exponential", kCounter) \
  X(kRqRetryBackOffRateLimited, "upstream_rq_retry_backoff_ratelimited", kCounter) \
  X(kRqPerTryTimeout, "upstream_rq_per_try_timeout", kCounter)                     \
  X(kRqPerTryIdleTimeout, "upstream_rq_per_try_idle_timeout", kCounter)            \
  X(kRetryOrShadowAbandoned, "retry_or_shadow_abandoned", kCounter)                \
  X(kRetryRqCompleted, "retry.upstream_rq_completed", kCounter)                    \
  X(kRetryRq1xx, "retry.upstream_rq_1xx", kCounter)                                \
  X(kRetryRq2xx, "retry.upstream_rq_2xx", kCounter)                                \
  X(kRetryRq3xx, "retry.upstream_rq_3xx", kCounter)                                \
  X(kRetryRq4xx, "retry.upstream_rq_4xx", kCounter)                                \
  X(kRetryRq5xx, "retry.upstream_rq_5xx", kCounter)                                \
  X(kLbHealthyPanic, "lb_healthy_panic", kCounter)

namespace cluster_stat {
enum ClusterStat : size_t {
#define X(id, name, kind) id,
  MILLRACE_CLUSTER_STATS(X)
#undef X
};
}  // namespace cluster_stat

inline constexpr StatLeaf kClusterStatLeaves[] = {
#define X(id, name, kind) {name, StatKind::kind},
    MILLRACE_CLUSTER_STATS(X)
#undef X
};

}  // namespace millrace
