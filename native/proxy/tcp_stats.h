// The numbers of one TCP proxy (`tcp.<stat_prefix>.`), named as Envoy documents them.
#pragma once

#include <cstddef>

#include "stats/registry.h"

namespace millrace {

// X(enumerator, name, kind)
#define MILLRACE_TCP_STATS(X)                                                \
  X(kCxTotal, "downstream_cx_total", kCounter)                               \
  X(kCxNoRoute, "downstream_cx_no_route", kCounter)                          \
  X(kCxRxBytes, "downstream_cx_rx_bytes_total", kCounter)                    \
  X(kCxTxBytes, "downstream_cx_tx_bytes_total", kCounter)                    \
  /* The next two stay together: Connection::setBufferedGauges. */           \
  X(kCxRxBytesBuffered, "downstream_cx_rx_bytes_buffered", kGauge)           \
  X(kCxTxBytesBuffered, "downstream_cx_tx_bytes_buffered", kGauge)           \
  X(kCxOverload, "downstream_cx_overload_reject", kCounter)                  \
  X(kFlowPaused, "downstream_flow_control_paused_reading_total", kCounter)   \
  X(kFlowResumed, "downstream_flow_control_resumed_reading_total", kCounter) \
  X(kIdleTimeout, "idle_timeout", kCounter)                                  \
  X(kMaxDurationReached, "max_downstream_connection_duration", kCounter)

namespace tcp_stat {
enum TcpStat : size_t {
#define X(id, name, kind) id,
  MILLRACE_TCP_STATS(X)
#undef X
};
}  // namespace tcp_stat

inline constexpr StatLeaf kTcpStatLeaves[] = {
#define X(id, name, kind) {name, StatKind::kind},
    MILLRACE_TCP_STATS(X)
#undef X
};

}  // namespace millrace
