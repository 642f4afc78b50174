// Clusters: what stays of one across its snapshots (ClusterIdentity), the snapshot that workers
// read, and the registry on the main thread that builds the one from the other.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
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
#include "upstream/balancer.h"
#include "upstream/cluster_spec.h"
#include "upstream/host_set.h"
#include "upstream/resources.h"
#include "upstream/response_stats.h"
#include "upstream/table_builder.h"

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
  const ResponseStatNames& responses() const { return responses_; }
  HistogramId requestTime() const { return requestTime_; }
  HistogramId connectTime() const { return connectTime_; }
  HistogramId connectionLength() const { return length_; }
  HistogramId requestsPerConnection() const { return requestsPerConnection_; }
  Resources& resources(Priority p) const { return resources_[int(p)]; }
  // Of an on-demand cluster: who waits for a host, and how many were not let to. Any worker.
  Resource& waiting() const { return waiting_; }
  void countWaitingOverflow() const { waitingOverflow_.fetch_add(1, std::memory_order_relaxed); }
  uint64_t waitingOverflow() const { return waitingOverflow_.load(std::memory_order_relaxed); }

 private:
  const std::string name_;
  const StatScope scope_;
  StatsRegistry& stats_;
  BlockId statBlock_;
  const ResponseStatNames responses_;
  HistogramId requestTime_, connectTime_, length_, requestsPerConnection_;
  mutable Resources resources_[kPriorities];  // atomics, shared by all workers
  mutable Resource waiting_;
  mutable std::atomic<uint64_t> waitingOverflow_{0};
};

// What a cluster says of its connections and its balancing; the same for many snapshots.
// Immutable.
struct ClusterConfig {
  // `before`: what the cluster said until now; null: it is new. Errors: ERR_MILLRACE_ADDRESS.
  static Result<std::shared_ptr<const ClusterConfig>> from(const spec::Cluster& cluster,
                                                           const ClusterConfig* before);
  // Whether connections that `other` made are what this would make.
  bool connectsAs(const ClusterConfig& other) const;

  // Another one when connections are made differently, or read differently: those of before are not
  // for requests that come now.
  uint32_t connectVersion = 1;
  uint32_t connectTimeoutMs = 0;
  ConnectOptions connectOptions;
  spec::Connect connect;
  Http1ClientOptions http1;
  spec::Breakers breakers;
  uint64_t idleTimeoutMs = 0, maxConnectionDurationMs = 0;
  uint32_t maxRequestsPerConnection = 0, bufferLimit = 0;
  std::vector<spec::Locality> localities;
  spec::Lb lb;
  std::optional<spec::Outlier> outlier;
  bool reportImmediateFail = false;
  std::optional<spec::OnDemand> onDemand;
};

// One state of a cluster. Immutable; read by every worker.
class ClusterSnapshot final : public Snapshot {
 public:
  const ClusterIdentity& identity() const { return *identity_; }
  const std::string& name() const { return identity_->name(); }
  SlotId slot() const { return slot_; }
  // By Host::place(), with holes.
  const std::vector<HostEntry>& hosts() const { return hosts_; }
  const std::vector<spec::Locality>& localities() const { return config_->localities; }
  // Null when this snapshot does not have the host.
  const HostEntry* entry(const Host& host) const {
    return host.place() < hosts_.size() && hosts_[host.place()].host == &host
               ? &hosts_[host.place()]
               : nullptr;
  }
  const HostHistory& history() const { return *history_; }
  // The host that the request asks for, or else the balancer's choice; null when none is to be had.
  const HostEntry* pick(const PickContext& context, PickState& state) const {
    if (!context.overrideHost.empty()) {
      state.events = 0;
      const HostEntry* asked = askedFor(context.overrideHost);
      if (asked != nullptr || context.overrideStrict) return asked;
    }
    return balancer_->pick(context, state, hosts_);
  }
  const Balancer& balancer() const { return *balancer_; }
  // Of a cluster whose hosts are added as requests name them; null: the balancer chooses.
  const spec::OnDemand* onDemand() const {
    return config_->onDemand ? &*config_->onDemand : nullptr;
  }
  // The host of this key, of an on-demand cluster; null: there is none yet.
  const HostEntry* find(std::string_view key) const {
    const Host* host = keys_->find(key);
    return host == nullptr ? nullptr : &hosts_[host->place()];
  }

  const ClusterConfig& config() const { return *config_; }
  // Null: responses are not counted by zone.
  const ZoneStatNames* zoneStats() const { return zoneStats_.get(); }
  // How new connections to the hosts are made.
  uint32_t connectTimeoutMs() const { return config_->connectTimeoutMs; }
  const ConnectOptions& connectOptions() const { return config_->connectOptions; }
  uint32_t connectVersion() const { return config_->connectVersion; }
  const Http1ClientOptions& http1() const { return config_->http1; }
  const spec::Breaker& breaker(Priority p) const {
    return p == Priority::kHigh ? config_->breakers.high : config_->breakers.normal;
  }
  // Takes a connection to `host` from the breakers; false when one of them is open.
  bool tryTakeConnection(const Host& host, Priority p) const;
  uint64_t idleTimeoutMs() const { return config_->idleTimeoutMs; }
  uint64_t maxConnectionDurationMs() const { return config_->maxConnectionDurationMs; }
  // 0: no limit.
  uint32_t maxRequestsPerConnection() const { return config_->maxRequestsPerConnection; }
  uint32_t bufferLimit() const { return config_->bufferLimit; }
  // What outcomes are counted for; null: they are not.
  const spec::Outlier* outlier() const { return config_->outlier ? &*config_->outlier : nullptr; }
  // Of requests: that part is to be dropped before a host is chosen.
  uint32_t dropPerMillion() const {
    return std::min(config_->lb.dropPerMillion, config_->lb.dropLimitPerMillion);
  }
  // Of requests: that part is to be answered in the cluster's place.
  uint32_t maintenancePerMillion() const { return config_->lb.maintenancePerMillion; }
  bool reportsImmediateFail() const { return config_->reportImmediateFail; }

 private:
  friend class ClusterRegistry;
  const HostEntry* askedFor(std::string_view address) const;

  SlotId slot_ = kNoSlot;
  std::shared_ptr<const ClusterIdentity> identity_;
  std::shared_ptr<const ClusterConfig> config_;
  std::shared_ptr<const HostHistory> history_;
  std::vector<HostEntry> hosts_;
  std::shared_ptr<const HostIndex> index_;   // over `hosts_`
  std::shared_ptr<const HostKeys> keys_;     // null unless it is on-demand
  std::shared_ptr<const LocalZones> zones_;  // what the balancer is built with
  std::shared_ptr<const ZoneStatNames> zoneStats_;
  std::unique_ptr<const Balancer> balancer_;  // of an on-demand cluster: of no hosts
};

// Main thread: builds snapshots, and keeps identities and hosts alive from one to the next.
class ClusterRegistry {
 public:
  // `workers`: how many workers there will be. `stats` outlives every snapshot. `onBuilt` (any
  // thread) asks for takeBuilt(); without it every table is built in the call that needs it.
  ClusterRegistry(StatsRegistry& stats, uint32_t workers, std::function<void()> onBuilt = {});
  ~ClusterRegistry();

  // The next snapshot of the cluster in `slot`, stated as a whole. A host whose id was in the last
  // one keeps its Host. Null: its tables take long and are being built; takeBuilt() gives it. That
  // is never so for the first one of a slot. Errors: ERR_MILLRACE_ADDRESS; nothing has changed
  // then.
  Result<std::unique_ptr<ClusterSnapshot>> build(SlotId slot, const spec::Cluster& cluster);
  // The next snapshot, stated as a change of hosts of the last one. Errors: as build(), and
  // ERR_MILLRACE_CLUSTER when there is no last one.
  Result<std::unique_ptr<ClusterSnapshot>> update(SlotId slot, const spec::HostDelta& delta);
  // Takes the weights that hosts have reported. Null: nothing has changed, or as build(). Errors:
  // as update().
  Result<std::unique_ptr<ClusterSnapshot>> reweigh(SlotId slot);
  // Snapshots that were being built, to be published now. What changed since they were begun is
  // being built, or comes along as a further one of the same slot.
  std::vector<std::unique_ptr<ClusterSnapshot>> takeBuilt();
  // Zone-aware routing depends on the cluster of the proxies themselves: from now on it is this
  // one, whether it is there yet or not. The zone of this proxy is also what responses are counted
  // by.
  void setLocal(const spec::LocalCluster& local);
  // When that cluster has changed: snapshots of others, to be published now, and whether there are
  // more of them to be taken in a later turn. As with takeBuilt(), some may come later.
  std::vector<std::unique_ptr<ClusterSnapshot>> takeRezoned();
  bool rezonesMore() const { return !toRezone_.empty(); }
  // Waits for the build that runs, and begins no more.
  void stopBuilding() { builder_ = nullptr; }
  // Gauges that follow from the rest: which breakers are open (circuit_breaker.proto), and how many
  // hosts there are.
  void visitGauges(StatVisitor& visitor) const;
  // The cluster is gone; what its last snapshots hold lives on with them.
  void forget(SlotId slot);

 private:
  struct Entry {
    explicit Entry(uint32_t workers) : hosts(workers) {}
    ~Entry();
    std::shared_ptr<const ClusterIdentity> identity;
    std::shared_ptr<const ClusterConfig> config;
    std::shared_ptr<const ZoneStatNames> zoneStats;
    HostSet hosts;
    std::shared_ptr<HostHistory> history;  // of the newest snapshot
    std::vector<uint64_t> subsets;         // Subsets::ids() of the newest snapshot
    BuildCounts::Hashed hashed;            // of its tables
    uint32_t maxWeight = 0;                // of its hosts
    bool published = false;                // there was a first snapshot
    bool building = false;                 // a later one is being built
    bool changed = false;                  // since that was begun
  };
  struct Draft;
  // Hosts whose tables takeRezoned() makes in one call: it takes a millisecond or two.
  static constexpr size_t kRezonedAtOnce = 16'384;
  std::unique_ptr<ClusterSnapshot> snapshotOf(SlotId slot, Entry& entry);
  void countBuilt(Entry& entry, const ClusterSnapshot& snapshot);
  void recountLocal(SlotId changed);
  void nameZones(Entry& entry);

  StatsRegistry& stats_;
  const uint32_t workers_;
  std::unordered_map<SlotId, std::unique_ptr<Entry>> entries_;
  SlotId localSlot_ = kNoSlot;
  std::optional<ZoneName> ownZone_;
  std::shared_ptr<const LocalZones> zones_;  // null: there is no local cluster
  std::vector<SlotId> toRezone_;             // clusters whose tables are of other zones_
  std::unique_ptr<TableBuilder> builder_;    // null: no thread
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
