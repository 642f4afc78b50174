// The numbers of one admission control (`http.<stat_prefix>.admission_control.`), named as Envoy
// documents them.
#pragma once

#include <cstddef>

#include "stats/registry.h"

namespace millrace::admission_stat {

enum Index : size_t { kRqRejected, kRqSuccess, kRqFailure };

inline constexpr StatLeaf kLeaves[] = {
    {"rq_rejected", StatKind::kCounter},
    {"rq_success", StatKind::kCounter},
    {"rq_failure", StatKind::kCounter},
};

}  // namespace millrace::admission_stat
