// The numbers of one listener (`listener.<address>.`), named as Envoy documents them.
#pragma once

#include <cstddef>

#include "stats/registry.h"

namespace millrace {

// X(enumerator, name, kind)
#define MILLRACE_LISTENER_STATS(X)                        \
  X(kCxTotal, "downstream_cx_total", kCounter)            \
  X(kCxActive, "downstream_cx_active", kGauge)            \
  X(kCxDestroy, "downstream_cx_destroy", kCounter)        \
  X(kCxOverflow, "downstream_cx_overflow", kCounter)      \
  X(kCxHandedOver, "downstream_cx_handed_over", kCounter) \
  X(kCxReceived, "downstream_cx_received", kCounter)      \
  X(kAcceptPaused, "downstream_accept_paused", kCounter)  \
  X(kAcceptFailed, "downstream_accept_failed", kCounter)  \
  X(kNoFilterChainMatch, "no_filter_chain_match", kCounter)

namespace listener_stat {
enum ListenerStat : size_t {
#define X(id, name, kind) id,
  MILLRACE_LISTENER_STATS(X)
#undef X
};
}  // namespace listener_stat

inline constexpr StatLeaf kListenerStatLeaves[] = {
#define X(id, name, kind) {name, StatKind::kind},
    MILLRACE_LISTENER_STATS(X)
#undef X
};

}  // namespace millrace
