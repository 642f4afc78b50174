// What workers count of the outcomes of a host, for outlier detection (outlier_detection.proto).
// They only count; when a row of failures is long enough they tell the main thread, which decides.
//
//   router, TCP proxy ──countResponse(), countOutcome()──▶ HostOutcomes ──full row──▶ OutlierEvent
//                                                             └──▶ readWindow() (success rates)
//
// Rows of failures are of all workers together: atomics that a success only reads unless a failure
// came before it. The windows are each worker's own.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "rcu/snapshot.h"

namespace millrace {

class ClusterSnapshot;
class Host;
class UpstreamWorker;

enum class OutlierKind : uint8_t {
  kConsecutive5xx,
  kConsecutiveGatewayFailure,
  kConsecutiveLocalOriginFailure,
  kImmediateFail,  // a response with x-envoy-immediate-health-check-fail
};

struct OutlierEvent {
  SlotId slot;
  uint64_t host;  // Host::id()
  OutlierKind kind;
};

// What can become of a request or connection besides a response.
enum class Outcome : uint8_t {
  kConnected,       // for a request: its response will say more
  kConnectedFinal,  // for a TCP proxy: nothing more will be known
  kConnectFailed,   // or the connection was reset before a response
  kTimeout,
};

// One host's counts. Made by the worker that first counts, destroyed with its host.
struct HostOutcomes {
  explicit HostOutcomes(uint32_t workers) : windows(std::make_unique<Window[]>(workers)) {}

  // Of one worker, since the host is there. One writer; they may wrap around.
  struct alignas(64) Window {
    std::atomic<uint32_t> total{0}, success{0}, localTotal{0}, localSuccess{0};
  };
  std::atomic<uint32_t> consecutive5xx{0};
  std::atomic<uint32_t> consecutiveGatewayFailure{0};
  std::atomic<uint32_t> consecutiveLocalOriginFailure{0};
  std::atomic<bool> immediateFailTold{false};
  uint32_t readBefore[4] = {};  // the main thread's: sums that readWindow() saw last
  const std::unique_ptr<Window[]> windows;
};

// Where a host keeps them. Any worker.
class OutcomesOnDemand {
 public:
  OutcomesOnDemand() = default;
  ~OutcomesOnDemand();
  OutcomesOnDemand(const OutcomesOnDemand&) = delete;
  OutcomesOnDemand& operator=(const OutcomesOnDemand&) = delete;
  // Null when nothing was counted yet.
  HostOutcomes* ifAny() const { return made_.load(std::memory_order_acquire); }
  HostOutcomes& get(uint32_t workers) {
    HostOutcomes* made = ifAny();
    return __builtin_expect(made != nullptr, 1) ? *made : make(workers);
  }

 private:
  HostOutcomes& make(uint32_t workers);
  std::atomic<HostOutcomes*> made_{nullptr};
};

// ---- The worker's thread. Each does nothing when the cluster has no outlier detection.

// A response with this status came; or, of a gRPC response, the status that its code maps to.
void countResponse(UpstreamWorker& worker, const ClusterSnapshot& cluster, const Host& host,
                   uint16_t status);
void countOutcome(UpstreamWorker& worker, const ClusterSnapshot& cluster, const Host& host,
                  Outcome outcome);
// A response carried x-envoy-immediate-health-check-fail: the main thread is told, once until it
// has taken the event. Only of clusters that have active health checks.
void reportImmediateFail(UpstreamWorker& worker, const ClusterSnapshot& cluster, const Host& host);

// ---- The main thread.

struct OutlierCount {
  uint64_t host;  // Host::id()
  // Of responses; and, unless errors are split by origin, of connections that failed or timed out.
  uint32_t total, success;
  // Of connections, with `split_external_local_origin_errors` only.
  uint32_t localTotal, localSuccess;
};
// The hosts that anything was counted for since the last call.
std::vector<OutlierCount> readWindow(const ClusterSnapshot& cluster);
// The rows of failures of these hosts begin anew: they were un-ejected.
void resetConsecutive(const ClusterSnapshot& cluster, std::vector<uint64_t> hosts);
// The main thread has taken the events of these hosts: others may be raised.
void immediateFailTaken(const ClusterSnapshot& cluster, std::vector<uint64_t> hosts);

}  // namespace millrace
