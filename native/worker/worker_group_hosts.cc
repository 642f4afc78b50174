// WorkerGroup: hosts that on-demand clusters add as requests name them. See worker_group.h.
#include <utility>

#include "worker/worker_group.h"

namespace millrace {

// A worker's thread.
bool WorkerGroup::wantHost(SlotId slot, std::string_view key) {
  // Relaxed: a count guards no other memory.
  if (wantedCount_.fetch_add(1, std::memory_order_relaxed) >= kMostWanted) {
    wantedCount_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  toMain([this, slot, key = std::string(key)] { wanted_.push_back({slot, key}); });
  return true;
}

std::vector<WorkerGroup::WantedHost> WorkerGroup::takeWantedHosts() {
  wantedCount_.fetch_sub(uint32_t(wanted_.size()), std::memory_order_relaxed);
  return std::exchange(wanted_, {});
}

void WorkerGroup::refuseHosts(SlotId slot, std::vector<std::string> keys, HostRefusal why) {
  auto shared = std::make_shared<const std::vector<std::string>>(std::move(keys));
  for (auto& worker : workers_) {
    stage(*worker, 0,
          [w = worker.get(), slot, shared, why] { w->refuseHosts(slot, *shared, why); });
  }
}

std::vector<uint64_t> WorkerGroup::takeUsedHosts(SlotId slot, bool orConnected) const {
  std::vector<uint64_t> used;
  const ClusterSnapshot* cluster = clusterIn(slot);
  if (cluster == nullptr) return used;
  for (const HostEntry& entry : cluster->hosts()) {
    if (entry.host == nullptr) continue;
    bool marked = entry.host->takeUsed();
    if (marked || (orConnected && entry.host->activeConnections() > 0)) {
      used.push_back(entry.host->id());
    }
  }
  return used;
}

WorkerGroup::Waiting WorkerGroup::waiting(SlotId slot) const {
  const ClusterSnapshot* cluster = clusterIn(slot);
  if (cluster == nullptr) return {};
  return {cluster->identity().waiting().taken(), cluster->identity().waitingOverflow()};
}

}  // namespace millrace
