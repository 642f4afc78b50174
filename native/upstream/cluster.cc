#include "upstream/cluster.h"

#include <algorithm>
#include <numeric>
#include <queue>

#include "upstream/cluster_stats.h"

namespace millrace {

ClusterIdentity::ClusterIdentity(std::string name, const std::string& statName,
                                 StatsRegistry& stats)
    : name_(std::move(name)),
      scope_{"cluster." + statName + ".", "cluster.", {{"envoy.cluster_name", statName}}},
      stats_(stats) {
  statBlock_ = stats_.block(scope_, kClusterStatLeaves);
  requestTime_ = stats_.histogram(scope_, "upstream_rq_time", HistogramUnit::kMicroseconds);
  connectTime_ = stats_.histogram(scope_, "upstream_cx_connect_ms", HistogramUnit::kMicroseconds);
}

ClusterIdentity::~ClusterIdentity() {
  stats_.release(statBlock_);
  stats_.release(requestTime_);
  stats_.release(connectTime_);
}

bool ClusterSnapshot::tryTakeConnection(const Host& host, Priority p) const {
  const spec::Breaker& limits = breaker(p);
  if (limits.maxConnectionsPerHost != spec::Breaker::kUnlimited &&
      host.activeConnections() >= limits.maxConnectionsPerHost) {
    return false;
  }
  return identity_->resources(p).connections.tryTake(limits.maxConnections);
}

bool ClusterSnapshot::contains(const Host* host) const {
  return std::binary_search(byAddress_.begin(), byAddress_.end(), host);
}

namespace {

Result<Address> resolve(const spec::Address& a) {
  return a.isUnix() ? Address::unixPath(a.path) : Address::ip(a.ip, a.port);
}

std::vector<uint32_t> scaled(const std::vector<uint32_t>& weights) {
  uint64_t sum = 0, divisor = 0;
  for (uint32_t w : weights) {
    sum += w;
    divisor = std::gcd(divisor, uint64_t(w));
  }
  std::vector<uint32_t> out = weights;
  if (divisor > 1) {
    for (uint32_t& w : out) w = uint32_t(w / divisor);
    sum /= divisor;
  }
  if (sum > kMaxScheduleLength) {
    for (uint32_t& w : out) {
      if (w != 0) w = uint32_t(std::max<uint64_t>(1, w * kMaxScheduleLength / sum));
    }
  }
  return out;
}

}  // namespace

std::vector<uint32_t> weightedSchedule(const std::vector<uint32_t>& weights) {
  std::vector<uint32_t> left = scaled(weights);
  // Entry k of a host of weight w is due at (k + 1/2) / w of the round.
  struct Due {
    double at;
    uint32_t host;
    bool operator>(const Due& other) const {
      return at != other.at ? at > other.at : host > other.host;
    }
  };
  std::priority_queue<Due, std::vector<Due>, std::greater<>> queue;
  size_t length = 0;
  for (uint32_t i = 0; i < left.size(); i++) {
    if (left[i] == 0) continue;
    length += left[i];
    queue.push({0.5 / left[i], i});
  }
  std::vector<uint32_t> given(left.size(), 0), schedule;
  schedule.reserve(length);
  while (!queue.empty()) {
    Due due = queue.top();
    queue.pop();
    schedule.push_back(due.host);
    if (++given[due.host] < left[due.host]) {
      queue.push({(given[due.host] + 0.5) / left[due.host], due.host});
    }
  }
  return schedule;
}

Result<std::unique_ptr<ClusterSnapshot>> ClusterRegistry::build(SlotId slot,
                                                                const spec::Cluster& cluster) {
  std::vector<Address> addresses;
  addresses.reserve(cluster.hosts.size());
  for (const spec::Host& host : cluster.hosts) {
    auto address = resolve(host.address);
    if (!address) return address.error();
    addresses.push_back(*address);
  }
  auto snapshot = std::make_unique<ClusterSnapshot>();
  if (cluster.bind) {
    auto bind = resolve(*cluster.bind);
    if (!bind) return bind.error();
    snapshot->bind_ = *bind;
    snapshot->connectOptions_.bind = &*snapshot->bind_;
  }

  Entry& entry = entries_[slot];
  if (entry.identity == nullptr || entry.identity->name() != cluster.name) {
    entry.hosts.clear();
    entry.identity = std::make_shared<ClusterIdentity>(
        cluster.name, cluster.statName.empty() ? cluster.name : cluster.statName, stats_);
  }
  snapshot->identity_ = entry.identity;
  std::unordered_map<std::string, std::shared_ptr<const Host>> kept;
  std::vector<uint32_t> weights;
  // Panic: with fewer healthy hosts than this, health says more about the checks than about the
  // hosts.
  auto healthy = std::count_if(cluster.hosts.begin(), cluster.hosts.end(),
                               [](const spec::Host& h) { return h.healthy; });
  bool panic = uint64_t(healthy) * 100 < cluster.hosts.size() * kPanicThresholdPercent;
  for (size_t i = 0; i < cluster.hosts.size(); i++) {
    const spec::Host& host = cluster.hosts[i];
    std::string key = addresses[i].toString() + '\n' + host.hostname;
    auto& identity = kept[key];
    if (identity != nullptr) continue;  // named twice: one host
    auto before = entry.hosts.find(key);
    identity = before != entry.hosts.end()
                   ? before->second
                   : std::make_shared<const Host>(addresses[i], host.hostname, workers_);
    snapshot->hosts_.push_back(identity);
    snapshot->byAddress_.push_back(identity.get());
    snapshot->specs_.push_back(host);
    weights.push_back(host.healthy || panic ? host.weight : 0);
  }
  std::sort(snapshot->byAddress_.begin(), snapshot->byAddress_.end());
  snapshot->schedule_ = weightedSchedule(weights);
  entry.hosts = std::move(kept);
  entry.breakers = cluster.breakers;
  entry.healthy = size_t(healthy);

  snapshot->connectTimeoutMs_ = uint32_t(cluster.connectTimeout);
  if (cluster.keepalive) {
    snapshot->connectOptions_.keepalive = {true, cluster.keepalive->idle,
                                           cluster.keepalive->interval, cluster.keepalive->probes};
  }
  snapshot->http1_.limits = {cluster.maxResponseHeaderBytes, uint16_t(cluster.maxResponseHeaders)};
  snapshot->http1_.enableTrailers = cluster.enableTrailers;
  snapshot->breakers_ = cluster.breakers;
  snapshot->idleTimeoutMs_ = cluster.idleTimeout;
  snapshot->maxConnectionDurationMs_ = cluster.maxConnectionDuration;
  snapshot->maxRequestsPerConnection_ = cluster.maxRequestsPerConnection;
  snapshot->bufferLimit_ = cluster.bufferLimit;
  return snapshot;
}

void ClusterRegistry::visitGauges(StatVisitor& visitor) const {
  for (const auto& [slot, entry] : entries_) {
    const StatScope& scope = entry.identity->scope();
    auto gauge = [&](std::string_view name, size_t value) {
      visitor.gauge({scope.prefix, scope.taggedPrefix, name, scope.tags}, int64_t(value));
    };
    gauge("membership_total", entry.hosts.size());
    gauge("membership_healthy", entry.healthy);
    for (Priority priority : {Priority::kDefault, Priority::kHigh}) {
      bool high = priority == Priority::kHigh;
      const Resources& taken = entry.identity->resources(priority);
      const spec::Breaker& limit = high ? entry.breakers.high : entry.breakers.normal;
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
