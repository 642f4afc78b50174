// Clusters: what stays of one across its snapshots (ClusterIdentity), the snapshot that workers
// read, and the registry on the main thread that builds the one from the other.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "http/http1_client.h"
#include "net/connection.h"
#include "rcu/slot_table.h"
#include "stats/registry.h"
#include "upstream/cluster_spec.h"
#include "upstream/host.h"
#include "upstream/resources.h"

namespace millrace {

// What a cluster keeps while its snapshots come and go: its totals and the names of its numbers.
// Made and destroyed on the main thread; held by its snapshots.
class ClusterIdentity {
 public:
  ClusterIdentity(std::string name, const std::string& statName, StatsRegistry& stats);
  ~ClusterIdentity();
  ClusterIdentity(const ClusterIdentity&) = delete;
  ClusterIdentity& operator=(const ClusterIdentity&) = delete;

  const std::string& name() const { return name_; }
  const StatScope& scope() const { return scope_; }
  BlockId statBlock() const { return statBlock_; }
  HistogramId requestTime() const { return requestTime_; }
  HistogramId connectTime() const { return connectTime_; }
  Resources& resources(Priority p) const { return resources_[int(p)]; }

 private:
  const std::string name_;
  const StatScope scope_;
  StatsRegistry& stats_;
  BlockId statBlock_;
  HistogramId requestTime_, connectTime_;
  mutable Resources resources_[kPriorities];  // atomics, shared by all workers
};

// One state of a cluster. Immutable; read by every worker.
class ClusterSnapshot final : public Snapshot {
 public:
  const ClusterIdentity& identity() const { return *identity_; }
  const std::string& name() const { return identity_->name(); }
  const std::vector<std::shared_ptr<const Host>>& hosts() const { return hosts_; }
  const std::vector<spec::Host>& hostSpecs() const { return specs_; }
  bool contains(const Host* host) const;

  // The order in which round robin gives out hosts: one round in which each healthy host stands as
  // often as its weight says, spread evenly (earliest deadline first). Null when no host is to be
  // had. `position` counts picks of one worker; it starts anywhere.
  const Host* roundRobin(uint64_t position) const {
    return schedule_.empty() ? nullptr : hosts_[schedule_[position % schedule_.size()]].get();
  }

  // How new connections to the hosts are made.
  uint32_t connectTimeoutMs() const { return connectTimeoutMs_; }
  const ConnectOptions& connectOptions() const { return connectOptions_; }
  const Http1ClientOptions& http1() const { return http1_; }
  const spec::Breaker& breaker(Priority p) const {
    return p == Priority::kHigh ? breakers_.high : breakers_.normal;
  }
  // Takes a connection to `host` from the breakers; false when one of them is open.
  bool tryTakeConnection(const Host& host, Priority p) const;
  uint64_t idleTimeoutMs() const { return idleTimeoutMs_; }
  uint64_t maxConnectionDurationMs() const { return maxConnectionDurationMs_; }
  uint32_t maxRequestsPerConnection() const { return maxRequestsPerConnection_; }  // 0: no limit
  uint32_t bufferLimit() const { return bufferLimit_; }

 private:
  friend class ClusterRegistry;
  std::shared_ptr<const ClusterIdentity> identity_;
  std::vector<std::shared_ptr<const Host>> hosts_;
  std::vector<const Host*> byAddress_;  // sorted pointers, for contains()
  std::vector<spec::Host> specs_;       // parallel to hosts_
  std::vector<uint32_t> schedule_;
  uint32_t connectTimeoutMs_ = 0;
  ConnectOptions connectOptions_;
  std::optional<Address> bind_;
  Http1ClientOptions http1_;
  spec::Breakers breakers_;
  uint64_t idleTimeoutMs_ = 0, maxConnectionDurationMs_ = 0;
  uint32_t maxRequestsPerConnection_ = 0, bufferLimit_ = 0;
};

// The order of one weighted round over `weights` (0: never), by earliest deadline first. Sums above
// kMaxScheduleLength are scaled down; a host that has any weight keeps at least one place.
inline constexpr uint64_t kPanicThresholdPercent = 50;     // Envoy's healthy_panic_threshold
inline constexpr uint64_t kMaxScheduleLength = 64 * 1024;  // 256 KiB a cluster at the most
std::vector<uint32_t> weightedSchedule(const std::vector<uint32_t>& weights);

// Main thread: builds snapshots, and keeps identities and hosts alive from one to the next.
class ClusterRegistry {
 public:
  // `workers`: how many workers there will be. `stats` outlives every snapshot.
  ClusterRegistry(StatsRegistry& stats, uint32_t workers) : stats_(stats), workers_(workers) {}

  // The next snapshot of the cluster in `slot`. An address that was in the last one keeps its Host.
  // Errors: ERR_MILLRACE_ADDRESS; nothing has changed then.
  Result<std::unique_ptr<ClusterSnapshot>> build(SlotId slot, const spec::Cluster& cluster);
  // Gauges that follow from the rest: which breakers are open (circuit_breaker.proto), and how many
  // hosts there are.
  void visitGauges(StatVisitor& visitor) const;
  // The cluster is gone; what its last snapshots hold lives on with them.
  void forget(SlotId slot) { entries_.erase(slot); }

 private:
  struct Entry {
    std::shared_ptr<const ClusterIdentity> identity;
    std::unordered_map<std::string, std::shared_ptr<const Host>> hosts;  // by address and hostname
    spec::Breakers breakers;
    size_t healthy = 0;
  };
  StatsRegistry& stats_;
  const uint32_t workers_;
  std::unordered_map<SlotId, Entry> entries_;
};

// Names to slots, for routes that take the cluster from a header. Immutable.
class ClusterDirectory final : public Snapshot {
 public:
  void add(std::string name, SlotId slot) { slots_.emplace(std::move(name), slot); }
  // kNoSlot when there is no cluster of that name.
  SlotId find(std::string_view name) const {
    auto it = slots_.find(name);
    return it == slots_.end() ? kNoSlot : it->second;
  }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>()(s); }
  };
  std::unordered_map<std::string, SlotId, Hash, std::equal_to<>> slots_;
};

}  // namespace millrace
