#include "proxy/retry_hosts.h"

#include <algorithm>

namespace millrace {

void RetryHosts::tried(uint64_t hostId, uint8_t priority) {
  hosts_.push_back(hostId);
  if (policy_.previousPriorities != 0) pending_.push_back(priority);
}

bool RetryHosts::rejects(const HostEntry& entry) {
  if (policy_.notToPreviousHosts && std::ranges::find(hosts_, entry.host->id()) != hosts_.end()) {
    return true;
  }
  if (policy_.omitCanary && entry.canary) return true;
  if (entry.metadata == nullptr) return false;
  for (const auto& wanted : policy_.omitMetadata) {
    bool all = std::ranges::all_of(
        wanted, [&](const auto& pair) { return entry.metadata->has(pair.first, pair.second); });
    if (all) return true;
  }
  return false;
}

PickContext RetryHosts::context(const Balancer& balancer, PickContext context) {
  context.filter = this;
  context.attempts = policy_.hostSelectionAttempts;
  if (policy_.previousPriorities == 0) return context;
  if (pending_.size() >= policy_.previousPriorities) {
    for (uint8_t priority : pending_) {
      if (priority >= priorities_.size()) priorities_.resize(priority + 1u);
      priorities_[priority] = true;
    }
    pending_.clear();
  }
  loads_ = balancer.loadsWithout(priorities_);
  auto none = [](const std::vector<uint8_t>& shares) {
    return std::ranges::all_of(shares, [](uint8_t share) { return share == 0; });
  };
  if (none(loads_.healthy) && none(loads_.degraded)) {
    // All have been tried: the round begins anew.
    priorities_.clear();
    return context;
  }
  context.loads = &loads_;
  return context;
}

}  // namespace millrace
