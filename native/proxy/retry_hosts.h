// Where further attempts of one request should not go: hosts that predicates reject
// (retry_host_predicate), priorities that were tried (retry_priority). Made when the first retry is
// due. Thread rule: the worker's loop.
#pragma once

#include <cstdint>
#include <vector>

#include "proxy/retry_policy.h"
#include "upstream/balancer.h"

namespace millrace {

class RetryHosts final : public HostFilter {
 public:
  // `policy` outlives this.
  explicit RetryHosts(const RetryPolicy& policy) : policy_(policy) {}

  // An attempt went there.
  void tried(uint64_t hostId, uint8_t priority);
  // For the next attempt's pick; valid until the next call.
  // `context`: what the request wanted at first.
  PickContext context(const Balancer& balancer, PickContext context);
  // HostFilter
  bool rejects(const HostEntry& host) override;

 private:
  const RetryPolicy& policy_;
  std::vector<uint64_t> hosts_;
  std::vector<uint8_t> pending_;  // priorities, until they count
  std::vector<bool> priorities_;  // that count as tried
  PriorityLoads loads_;
};

}  // namespace millrace
