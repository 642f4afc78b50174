// The numbers of one adaptive concurrency
// (`http.<stat_prefix>.adaptive_concurrency.gradient_controller.`), named as Envoy documents them.
#pragma once

#include <cstddef>

#include "stats/registry.h"

namespace millrace::adaptive_stat {

// In the order of GradientFigures after the first.
enum Index : size_t {
  kRqBlocked,
  kConcurrencyLimit,
  kGradient,
  kBurstQueueSize,
  kMinRttCalculationActive,
  kMinRttMsecs,
  kSampleRttMsecs,
  kCount,
};

inline constexpr StatLeaf kLeaves[] = {
    {"rq_blocked", StatKind::kCounter},
    {"concurrency_limit", StatKind::kGauge},
    {"gradient", StatKind::kGauge},
    {"burst_queue_size", StatKind::kGauge},
    {"min_rtt_calculation_active", StatKind::kGauge},
    {"min_rtt_msecs", StatKind::kGauge},
    {"sample_rtt_msecs", StatKind::kGauge},
};

}  // namespace millrace::adaptive_stat
