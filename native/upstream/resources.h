// Circuit breakers of one cluster and priority: totals shared by all workers, as relaxed atomics. A
// total may pass its limit by as many as there are workers that ask at the same moment, as in Envoy
// (circuit_breaker.proto).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "upstream/cluster_spec.h"

namespace millrace {

// One total with its limit kept beside the snapshot. Any worker.
class Resource {
 public:
  // Takes one unless `limit` are taken.
  bool tryTake(uint32_t limit) {
    // Relaxed: a count guards no other memory.
    if (taken_.load(std::memory_order_relaxed) >= limit) return false;
    taken_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  // Takes one whatever the limit: the first connection of a worker to a host is never refused.
  void take() { taken_.fetch_add(1, std::memory_order_relaxed); }
  void give() { taken_.fetch_sub(1, std::memory_order_relaxed); }
  uint32_t taken() const { return taken_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint32_t> taken_{0};
};

enum class Priority : uint8_t { kDefault, kHigh };
constexpr int kPriorities = 2;

struct alignas(64) Resources {
  Resource connections;
  Resource pendingRequests;
  Resource requests;
  Resource retries;  // from the decision to retry to the end of the attempt
  Resource pools;

  // How many retries may be under way at this moment.
  uint32_t maxRetries(const spec::Breaker& limits) const {
    if (!limits.retryBudget) return limits.maxRetries;
    double active = double(requests.taken()) + double(pendingRequests.taken());
    return std::max(limits.retryBudget->minConcurrency,
                    uint32_t(active * limits.retryBudget->percent / 100));
  }
  // Takes one retry, which its owner gives back with retries.give().
  bool tryTakeRetry(const spec::Breaker& limits) { return retries.tryTake(maxRetries(limits)); }
};

}  // namespace millrace
