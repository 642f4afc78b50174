#include "upstream/cluster.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <unordered_set>
#include <utility>

#include "base/clock.h"
#include "upstream/cluster_stats.h"

namespace millrace {

ClusterIdentity::ClusterIdentity(std::string name, const std::string& statName,
                                 StatsRegistry& stats)
    : name_(std::move(name)),
      scope_{"cluster." + statName + ".", "cluster.", {{"envoy.cluster_name", statName}}},
      stats_(stats),
      responses_(scope_, stats) {
  statBlock_ = stats_.block(scope_, kClusterStatLeaves);
  requestTime_ = stats_.histogram(scope_, "upstream_rq_time", HistogramUnit::kMicroseconds);
  connectTime_ = stats_.histogram(scope_, "upstream_cx_connect_ms", HistogramUnit::kMicroseconds);
  length_ = stats_.histogram(scope_, "upstream_cx_length_ms", HistogramUnit::kMicroseconds);
  requestsPerConnection_ = stats_.histogram(scope_, "upstream_rq_per_cx", HistogramUnit::kNone);
}

ClusterIdentity::~ClusterIdentity() {
  stats_.release(statBlock_);
  stats_.release(requestTime_);
  stats_.release(connectTime_);
  stats_.release(length_);
  stats_.release(requestsPerConnection_);
}

void countConnectFailure(StatBlock stats, const ClusterSnapshot& cluster, CloseReason reason,
                         int sysErrno) {
  ++stats[cluster_stat::kCxConnectFail];
  if (reason == CloseReason::kConnectTimeout) ++stats[cluster_stat::kCxConnectTimeout];
  bool local = sysErrno == EADDRNOTAVAIL || sysErrno == EADDRINUSE || sysErrno == EACCES;
  if (local && !cluster.connectOptions().bind.empty()) ++stats[cluster_stat::kBindErrors];
}

bool ClusterSnapshot::tryTakeConnection(const Host& host, Priority p) const {
  const spec::Breaker& limits = breaker(p);
  if (limits.maxConnectionsPerHost != spec::Breaker::kUnlimited &&
      host.activeConnections() >= limits.maxConnectionsPerHost) {
    return false;
  }
  return identity_->resources(p).connections.tryTake(limits.maxConnections);
}

// Null: no such host, or one whose status does not let it be asked for.
const HostEntry* ClusterSnapshot::askedFor(std::string_view address) const {
  uint32_t place = index_->find(address, [&](uint32_t at) {
    return at < hosts_.size() && hosts_[at].host != nullptr &&
           hosts_[at].host->addressText() == address;
  });
  if (place == HostIndex::kNone) return nullptr;
  const HostEntry& entry = hosts_[place];
  return (config_->lb.overrideStatuses >> uint8_t(entry.status)) & 1 ? &entry : nullptr;
}

namespace {

Error noCluster() {
  return {"ERR_MILLRACE_CLUSTER", "no cluster is published in this slot", 0};
}

Result<Address> resolve(const spec::Address& a) {
  return a.isUnix() ? Address::unixPath(a.path) : Address::ip(a.ip, a.port);
}

}  // namespace

bool ClusterConfig::connectsAs(const ClusterConfig& other) const {
  return connectOptions == other.connectOptions && http1 == other.http1 &&
         bufferLimit == other.bufferLimit && connect.proxyProtocol == other.connect.proxyProtocol &&
         connect.firstFamily == other.connect.firstFamily &&
         connect.firstFamilyCount == other.connect.firstFamilyCount &&
         connect.poolPerDownstream == other.connect.poolPerDownstream;
}

Result<std::shared_ptr<const ClusterConfig>> ClusterConfig::from(const spec::Cluster& cluster,
                                                                 const ClusterConfig* before) {
  auto config = std::make_shared<ClusterConfig>();
  config->connect = cluster.connect;
  for (const spec::Address& local : cluster.connect.bind) {
    auto bind = resolve(local);
    if (!bind) return bind.error();
    config->connectOptions.bind.push_back(*bind);
  }
  config->connectOptions.freebind = cluster.connect.freebind;
  for (const spec::SocketOption& option : cluster.connect.socketOptions) {
    config->connectOptions.socketOptions.push_back(
        {option.level, option.name, std::string(option.value.begin(), option.value.end())});
  }
  if (cluster.keepalive) {
    config->connectOptions.keepalive = {true, cluster.keepalive->idle, cluster.keepalive->interval,
                                        cluster.keepalive->probes};
  }
  config->connectTimeoutMs = uint32_t(cluster.connectTimeout);
  config->http1.limits = {cluster.maxResponseHeaderBytes, uint16_t(cluster.maxResponseHeaders)};
  config->http1.enableTrailers = cluster.enableTrailers;
  config->breakers = cluster.breakers;
  config->idleTimeoutMs = cluster.idleTimeout;
  config->maxConnectionDurationMs = cluster.maxConnectionDuration;
  config->maxRequestsPerConnection = cluster.maxRequestsPerConnection;
  config->bufferLimit = cluster.bufferLimit;
  config->localities = cluster.localities;
  config->lb = cluster.lb;
  config->outlier = cluster.outlier;
  config->reportImmediateFail = cluster.reportImmediateFail;
  config->onDemand = cluster.onDemand;
  if (before != nullptr) {
    config->connectVersion = before->connectVersion + (config->connectsAs(*before) ? 0 : 1);
  }
  return std::shared_ptr<const ClusterConfig>(std::move(config));
}

ClusterRegistry::Entry::~Entry() {
  if (history != nullptr) hosts.giveAll(*history);
}

Result<std::unique_ptr<ClusterSnapshot>> ClusterRegistry::build(SlotId slot,
                                                                const spec::Cluster& cluster) {
  auto it = entries_.find(slot);
  const ClusterConfig* before = it == entries_.end() ? nullptr : it->second->config.get();
  auto config = ClusterConfig::from(cluster, before);
  if (!config) return config.error();
  std::unique_ptr<Entry>& entry = entries_[slot];
  bool byReports = cluster.lb.clientWeights.has_value();
  if (entry != nullptr && entry->identity->name() == cluster.name) {
    entry->hosts.weighByReports(byReports);
    if (Status status = entry->hosts.replace(cluster.hosts); !status.ok()) {
      entry->hosts.weighByReports(entry->config->lb.clientWeights.has_value());
      return status.error();
    }
  } else {
    auto fresh = std::make_unique<Entry>(workers_);
    fresh->hosts.weighByReports(byReports);
    if (Status status = fresh->hosts.replace(cluster.hosts); !status.ok()) return status.error();
    fresh->identity = std::make_shared<ClusterIdentity>(
        cluster.name, cluster.statName.empty() ? cluster.name : cluster.statName, stats_);
    entry = std::move(fresh);
  }
  entry->config = std::move(*config);
  nameZones(*entry);
  recountLocal(slot);
  return snapshotOf(slot, *entry);
}

Result<std::unique_ptr<ClusterSnapshot>> ClusterRegistry::update(SlotId slot,
                                                                 const spec::HostDelta& delta) {
  auto it = entries_.find(slot);
  if (it == entries_.end()) return noCluster();
  if (Status status = it->second->hosts.apply(delta); !status.ok()) return status.error();
  recountLocal(slot);
  return snapshotOf(slot, *it->second);
}

Result<std::unique_ptr<ClusterSnapshot>> ClusterRegistry::reweigh(SlotId slot) {
  auto it = entries_.find(slot);
  if (it == entries_.end()) return noCluster();
  Entry& entry = *it->second;
  const auto& rules = entry.config->lb.clientWeights;
  if (!rules || !entry.hosts.reweigh(*rules, monotonicNs())) {
    return std::unique_ptr<ClusterSnapshot>();
  }
  return snapshotOf(slot, entry);
}

// A snapshot whose tables are missing yet.
struct ClusterRegistry::Draft final : TableBuilder::Job {
  explicit Draft(std::unique_ptr<ClusterSnapshot> s) : snapshot(std::move(s)) {}
  void run() override { buildTables(*snapshot); }
  // Reads what the snapshot keeps alive by itself.
  static void buildTables(ClusterSnapshot& s) {
    std::span<const HostEntry> hosts = s.hosts_;
    if (s.onDemand() != nullptr) hosts = {};
    s.balancer_ = Balancer::build(s.config_->lb, s.config_->localities, hosts, s.zones_.get());
  }
  std::unique_ptr<ClusterSnapshot> snapshot;
};

ClusterRegistry::ClusterRegistry(StatsRegistry& stats, uint32_t workers,
                                 std::function<void()> onBuilt)
    : stats_(stats), workers_(workers) {
  if (onBuilt) builder_ = std::make_unique<TableBuilder>(std::move(onBuilt));
}

ClusterRegistry::~ClusterRegistry() {
  stopBuilding();  // before the hosts go that it may read
}

std::unique_ptr<ClusterSnapshot> ClusterRegistry::snapshotOf(SlotId slot, Entry& entry) {
  // One at a time, so that snapshots of a slot come in order, and a flood of changes costs as many
  // builds as there is time for.
  if (entry.building) {
    entry.changed = true;
    return nullptr;
  }
  if (entry.history == nullptr) entry.history = std::make_shared<HostHistory>();
  if (entry.hosts.takeChanges(*entry.history)) {
    entry.history->next = std::make_shared<HostHistory>();
    entry.history = entry.history->next;
  }
  auto snapshot = std::make_unique<ClusterSnapshot>();
  snapshot->slot_ = slot;
  snapshot->identity_ = entry.identity;
  snapshot->config_ = entry.config;
  snapshot->history_ = entry.history;
  snapshot->hosts_ = entry.hosts.entries();
  snapshot->index_ = entry.hosts.index();
  if (snapshot->onDemand() != nullptr) snapshot->keys_ = entry.hosts.keys();
  snapshot->zoneStats_ = entry.zoneStats;
  // Proxies do not balance among themselves by zone.
  if (slot != localSlot_) snapshot->zones_ = zones_;
  bool later = entry.published && builder_ != nullptr && snapshot->onDemand() == nullptr &&
               Balancer::work(entry.config->lb, snapshot->hosts_) > Balancer::kLongBuild;
  entry.published = true;
  if (later) {
    entry.building = true;
    builder_->add(std::make_unique<Draft>(std::move(snapshot)));
    return nullptr;
  }
  Draft::buildTables(*snapshot);
  countBuilt(entry, *snapshot);
  return snapshot;
}

std::vector<std::unique_ptr<ClusterSnapshot>> ClusterRegistry::takeBuilt() {
  std::vector<std::unique_ptr<ClusterSnapshot>> built;
  if (builder_ == nullptr) return built;
  for (auto& job : builder_->takeDone()) {
    std::unique_ptr<ClusterSnapshot> snapshot = std::move(static_cast<Draft&>(*job).snapshot);
    auto it = entries_.find(snapshot->slot_);
    // The cluster may be gone, or be another one.
    if (it == entries_.end() || it->second->identity != snapshot->identity_) continue;
    Entry& entry = *it->second;
    SlotId slot = snapshot->slot_;
    countBuilt(entry, *snapshot);
    built.push_back(std::move(snapshot));
    entry.building = false;
    if (!std::exchange(entry.changed, false)) continue;
    if (auto next = snapshotOf(slot, entry)) built.push_back(std::move(next));
  }
  return built;
}

void ClusterRegistry::countBuilt(Entry& entry, const ClusterSnapshot& snapshot) {
  const BuildCounts& counts = snapshot.balancer_->counts();
  const Subsets* subsets = snapshot.balancer_->subsets();
  entry.hashed = counts.hashed;
  entry.maxWeight = 0;
  for (const HostEntry& host : snapshot.hosts_) {
    if (host.host != nullptr) entry.maxWeight = std::max(entry.maxWeight, host.weight);
  }
  if (counts.zonesComputed == 0 && subsets == nullptr && entry.subsets.empty()) return;
  StatBlock stats = stats_.mainShard().block(snapshot.identity_->statBlock());
  std::vector<uint64_t> now;
  if (subsets != nullptr) now = subsets->ids();
  std::vector<uint64_t> both;
  std::set_intersection(now.begin(), now.end(), entry.subsets.begin(), entry.subsets.end(),
                        std::back_inserter(both));
  stats[cluster_stat::kLbSubsetsActive].set(now.size());
  stats[cluster_stat::kLbSubsetsCreated].add(now.size() - both.size());
  stats[cluster_stat::kLbSubsetsRemoved].add(entry.subsets.size() - both.size());
  stats[cluster_stat::kLbSubsetsDuplicate].set(subsets == nullptr ? 0 : subsets->duplicates());
  entry.subsets = std::move(now);
  stats[cluster_stat::kLbRecalculateZoneStructures].add(counts.zonesComputed);
  stats[cluster_stat::kLbLocalClusterNotOk].add(counts.localNotOk);
  stats[cluster_stat::kLbZoneClusterTooSmall].add(counts.zoneTooSmall);
}

void ClusterRegistry::forget(SlotId slot) {
  entries_.erase(slot);
  recountLocal(slot);
}

// ---- The cluster of the proxies themselves ------------------------------------------------------

void ClusterRegistry::setLocal(const spec::LocalCluster& local) {
  localSlot_ = local.slot;
  std::optional<ZoneName> before = std::exchange(ownZone_, std::nullopt);
  if (local.node) ownZone_ = {local.node->region, local.node->zone, local.node->subZone};
  recountLocal(localSlot_);
  if (before == ownZone_) return;
  std::unordered_set<SlotId> rezoned(toRezone_.begin(), toRezone_.end());
  for (const auto& [slot, entry] : entries_) {
    bool named = entry->zoneStats != nullptr;
    nameZones(*entry);
    named = named || entry->zoneStats != nullptr;
    if (named && !rezoned.contains(slot)) toRezone_.push_back(slot);
  }
}

// Registers what is new before it lets go of what was: what stays keeps its numbers.
void ClusterRegistry::nameZones(Entry& entry) {
  entry.zoneStats = ZoneStatNames::make(entry.identity->scope(), ownZone_ ? ownZone_->zone : "",
                                        entry.config->localities, stats_);
}

void ClusterRegistry::recountLocal(SlotId changed) {
  if (changed != localSlot_) return;
  std::shared_ptr<const LocalZones> now;
  auto it = entries_.find(localSlot_);
  if (localSlot_ != kNoSlot && it != entries_.end()) {
    const Entry& entry = *it->second;
    now = std::make_shared<const LocalZones>(
        LocalZones::count(ownZone_, entry.config->localities, entry.hosts.entries()));
  }
  bool same = now == nullptr || zones_ == nullptr ? now == zones_ : *now == *zones_;
  if (same) return;
  zones_ = std::move(now);
  toRezone_.clear();
  for (const auto& [slot, entry] : entries_) {
    if (slot != localSlot_ && !hashes(entry->config->lb.policy)) toRezone_.push_back(slot);
  }
}

std::vector<std::unique_ptr<ClusterSnapshot>> ClusterRegistry::takeRezoned() {
  std::vector<std::unique_ptr<ClusterSnapshot>> rezoned;
  for (size_t hosts = 0; !toRezone_.empty() && hosts < kRezonedAtOnce;) {
    SlotId slot = toRezone_.back();
    toRezone_.pop_back();
    auto it = entries_.find(slot);
    if (it == entries_.end()) continue;
    hosts += it->second->hosts.size() + 1;
    if (auto snapshot = snapshotOf(slot, *it->second)) rezoned.push_back(std::move(snapshot));
  }
  return rezoned;
}

void ClusterRegistry::visitGauges(StatVisitor& visitor) const {
  for (const auto& [slot, entry] : entries_) {
    const StatScope& scope = entry->identity->scope();
    auto gauge = [&](std::string_view name, size_t value) {
      visitor.gauge({scope.prefix, scope.taggedPrefix, name, scope.tags}, int64_t(value));
    };
    gauge("membership_total", entry->hosts.size());
    gauge("membership_healthy", entry->hosts.count(Health::kHealthy));
    gauge("membership_degraded", entry->hosts.count(Health::kDegraded));
    gauge("max_host_weight", entry->maxWeight);
    const BuildCounts::Hashed& hashed = entry->hashed;
    if (entry->config->lb.policy == spec::LbPolicy::kRingHash) {
      gauge("ring_hash_lb.size", hashed.entries);
      gauge("ring_hash_lb.min_hashes_per_host", hashed.least);
      gauge("ring_hash_lb.max_hashes_per_host", hashed.most);
    } else if (entry->config->lb.policy == spec::LbPolicy::kMaglev) {
      gauge("maglev_lb.min_entries_per_host", hashed.least);
      gauge("maglev_lb.max_entries_per_host", hashed.most);
    }
    for (Priority priority : {Priority::kDefault, Priority::kHigh}) {
      bool high = priority == Priority::kHigh;
      const Resources& taken = entry->identity->resources(priority);
      const spec::Breakers& breakers = entry->config->breakers;
      const spec::Breaker& limit = high ? breakers.high : breakers.normal;
      std::string prefix = high ? "circuit_breakers.high." : "circuit_breakers.default.";
      auto breaker = [&](std::string_view open, std::string_view left, const Resource& resource,
                         uint32_t most) {
        uint32_t now = resource.taken();
        gauge(prefix + std::string(open), now >= most);
        if (limit.trackRemaining && !left.empty()) {
          gauge(prefix + std::string(left), most > now ? most - now : 0);
        }
      };
      breaker("cx_open", "remaining_cx", taken.connections, limit.maxConnections);
      breaker("cx_pool_open", "remaining_cx_pools", taken.pools, limit.maxConnectionPools);
      breaker("rq_pending_open", "remaining_pending", taken.pendingRequests,
              limit.maxPendingRequests);
      breaker("rq_open", "remaining_rq", taken.requests, limit.maxRequests);
      breaker("rq_retry_open", limit.retryBudget ? "" : "remaining_retries", taken.retries,
              taken.maxRetries(limit));
    }
  }
}

}  // namespace millrace
