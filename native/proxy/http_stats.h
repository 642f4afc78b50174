// The numbers of one HTTP connection manager (`http.<stat_prefix>.`), named as Envoy documents
// them.
#pragma once

#include <cstddef>

#include "stats/registry.h"

namespace millrace {

// X(enumerator, name, kind)
#define MILLRACE_HTTP_STATS(X)                                                      \
  X(kCxTotal, "downstream_cx_total", kCounter)                                      \
  X(kCxHttp1Total, "downstream_cx_http1_total", kCounter)                           \
  X(kCxActive, "downstream_cx_active", kGauge)                                      \
  X(kCxHttp1Active, "downstream_cx_http1_active", kGauge)                           \
  X(kCxDestroy, "downstream_cx_destroy", kCounter)                                  \
  X(kCxDestroyLocal, "downstream_cx_destroy_local", kCounter)                       \
  X(kCxDestroyRemote, "downstream_cx_destroy_remote", kCounter)                     \
  X(kCxDestroyActiveRq, "downstream_cx_destroy_active_rq", kCounter)                \
  X(kCxIdleTimeout, "downstream_cx_idle_timeout", kCounter)                         \
  X(kCxMaxDurationReached, "downstream_cx_max_duration_reached", kCounter)          \
  X(kCxMaxRequestsReached, "downstream_cx_max_requests_reached", kCounter)          \
  X(kCxDrainClose, "downstream_cx_drain_close", kCounter)                           \
  X(kCxProtocolError, "downstream_cx_protocol_error", kCounter)                     \
  X(kCxRxBytes, "downstream_cx_rx_bytes_total", kCounter)                           \
  X(kCxTxBytes, "downstream_cx_tx_bytes_total", kCounter)                           \
  /* The next two stay together: Connection::setBufferedGauges. */                  \
  X(kCxRxBytesBuffered, "downstream_cx_rx_bytes_buffered", kGauge)                  \
  X(kCxTxBytesBuffered, "downstream_cx_tx_bytes_buffered", kGauge)                  \
  X(kFlowPaused, "downstream_flow_control_paused_reading_total", kCounter)          \
  X(kFlowResumed, "downstream_flow_control_resumed_reading_total", kCounter)        \
  X(kRqTotal, "downstream_rq_total", kCounter)                                      \
  X(kRqHttp1Total, "downstream_rq_http1_total", kCounter)                           \
  X(kRqActive, "downstream_rq_active", kGauge)                                      \
  X(kRqCompleted, "downstream_rq_completed", kCounter)                              \
  X(kRq1xx, "downstream_rq_1xx", kCounter)                                          \
  X(kRq2xx, "downstream_rq_2xx", kCounter)                                          \
  X(kRq3xx, "downstream_rq_3xx", kCounter)                                          \
  X(kRq4xx, "downstream_rq_4xx", kCounter)                                          \
  X(kRq5xx, "downstream_rq_5xx", kCounter)                                          \
  X(kRqRxReset, "downstream_rq_rx_reset", kCounter)                                 \
  X(kRqTxReset, "downstream_rq_tx_reset", kCounter)                                 \
  X(kRqTimeout, "downstream_rq_timeout", kCounter)                                  \
  X(kRqHeaderTimeout, "downstream_rq_header_timeout", kCounter)                     \
  X(kRqIdleTimeout, "downstream_rq_idle_timeout", kCounter)                         \
  X(kRqMaxDurationReached, "downstream_rq_max_duration_reached", kCounter)          \
  X(kRqOverload, "downstream_rq_overload_close", kCounter)                          \
  X(kRqTooLarge, "downstream_rq_too_large", kCounter)                               \
  X(kRqRedirectedPath, "downstream_rq_redirected_with_normalized_path", kCounter)   \
  X(kRqRejectedPath, "downstream_rq_failed_path_normalization", kCounter)           \
  X(kRqRejectedUnderscores, "downstream_rq_rejected_via_underscores", kCounter)     \
  X(kDroppedUnderscores, "dropped_headers_with_underscores", kCounter)              \
  X(kRqUpgradeRefused, "downstream_rq_ws_on_non_ws_route", kCounter)                \
  X(kNoRoute, "no_route", kCounter)                                                 \
  X(kNoCluster, "no_cluster", kCounter)                                             \
  X(kRqRedirect, "rq_redirect", kCounter)                                           \
  X(kRqDirectResponse, "rq_direct_response", kCounter)                              \
  X(kRqRouted, "rq_total", kCounter)                                                \
  X(kRedirectBadLocation, "passthrough_internal_redirect_bad_location", kCounter)   \
  X(kRedirectUnsafeScheme, "passthrough_internal_redirect_unsafe_scheme", kCounter) \
  X(kRedirectTooMany, "passthrough_internal_redirect_too_many_redirects", kCounter) \
  X(kRedirectNoRoute, "passthrough_internal_redirect_no_route", kCounter)           \
  X(kRedirectPredicate, "passthrough_internal_redirect_predicate", kCounter)

namespace http_stat {
enum HttpStat : size_t {
#define X(id, name, kind) id,
  MILLRACE_HTTP_STATS(X)
#undef X
};
}  // namespace http_stat

inline constexpr StatLeaf kHttpStatLeaves[] = {
#define X(id, name, kind) {name, StatKind::kind},
    MILLRACE_HTTP_STATS(X)
#undef X
};

}  // namespace millrace
