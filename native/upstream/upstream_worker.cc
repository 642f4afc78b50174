#include "upstream/upstream_worker.h"

#include "net/net_context.h"
#include "upstream/cluster_stats.h"

namespace millrace {

ClusterLocal::ClusterLocal(UpstreamWorker& worker, SlotId slot, Pin pin, uint64_t seed)
    : worker_(worker),
      slot_(slot),
      pin_(std::move(pin)),
      snapshot_(pin_.get<ClusterSnapshot>()),
      picks_(seed),
      stats_(worker.stats().block(snapshot_->identity().statBlock())),
      responses_(snapshot_->identity().responses(), worker.stats()),
      requestTime_(&worker.stats().histogram(snapshot_->identity().requestTime())),
      connectTime_(&worker.stats().histogram(snapshot_->identity().connectTime())),
      length_(&worker.stats().histogram(snapshot_->identity().connectionLength())),
      requestsPerConnection_(
          &worker.stats().histogram(snapshot_->identity().requestsPerConnection())),
      waiting_(*this),
      ahead_(seed) {}

const HostEntry* ClusterLocal::pick(const PickContext& context) {
  if (snapshot_->onDemand() != nullptr) {
    const HostEntry* named = context.key.empty() ? nullptr : snapshot_->find(context.key);
    if (named != nullptr) named->host->markUsed();
    return named;
  }
  picks_.nowNs = worker_.net().loop().nowNs();
  const ClusterIdentity& identity = snapshot_->identity();
  picks_.active = identity.resources(Priority::kDefault).requests.taken() +
                  identity.resources(Priority::kHigh).requests.taken();
  const HostEntry* host = snapshot_->pick(context, picks_);
  if (__builtin_expect(picks_.events != 0, 0)) countPick(picks_.events);
  return host;
}

void ClusterLocal::countCompleted(uint16_t status, bool internal, bool canary) {
  using namespace cluster_stat;
  ++stats_[kRqCompleted];
  if (status < 600) ++stats_[kRq1xx + status / 100 - 1];
  responses_.count({.status = status, .retried = false, .internal = internal, .canary = canary});
}

void ClusterLocal::countPick(uint32_t events) {
  static constexpr struct {
    PickEvent event;
    cluster_stat::ClusterStat stat;
  } kCounted[] = {
      {kPickPanic, cluster_stat::kLbHealthyPanic},
      {kPickZoneSampled, cluster_stat::kLbZoneRoutingSampled},
      {kPickZoneCross, cluster_stat::kLbZoneRoutingCrossZone},
      {kPickZoneLocal, cluster_stat::kLbZoneRoutingAllDirectly},
      {kPickZoneFull, cluster_stat::kLbZoneNoCapacityLeft},
      {kPickLocalNotOk, cluster_stat::kLbLocalClusterNotOk},
      {kPickSubset, cluster_stat::kLbSubsetsSelected},
      {kPickFallback, cluster_stat::kLbSubsetsFallback},
      {kPickFallbackPanic, cluster_stat::kLbSubsetsFallbackPanic},
  };
  for (const auto& [event, stat] : kCounted) {
    if (events & event) ++stats_[stat];
  }
}

bool ClusterLocal::poolsForOne() const {
  const spec::Connect& connect = snapshot_->config().connect;
  return connect.poolPerDownstream || connect.proxyProtocol != spec::ProxyProtocol::kNone;
}

HttpPool* ClusterLocal::pool(const Host& host, Priority priority, const PoolClient* client) {
  if (client != nullptr && (client->connection == 0 || !poolsForOne())) client = nullptr;
  if (client == nullptr) {
    if (HttpPool* pool = host.local(worker_.index()).pool) return pool;
  } else if (auto it = byClient_.find({client->connection, &host}); it != byClient_.end()) {
    return it->second;
  }
  MR_DASSERT(snapshot_->entry(host) != nullptr);
  if (draining_ || !takePool(priority)) return nullptr;
  HttpPool* pool = worker_.pools().take(*this, host, priority, client);
  pools_.pushBack(pool);
  if (client == nullptr) {
    host.local(worker_.index()).pool = pool;
  } else {
    byClient_[{client->connection, &host}] = pool;
    worker_.ofClients_[client->connection].pushBack(pool);
  }
  return pool;
}

void ClusterLocal::predict(double ratio) {
  spec::LbPolicy policy = snapshot_->config().lb.policy;
  bool predictable = policy == spec::LbPolicy::kRoundRobin || policy == spec::LbPolicy::kRandom;
  if (poolsForOne() || draining_ || !predictable) return;
  auto wanted = [&] { return double(demand_.streams) * ratio > double(demand_.capacity); };
  if (!wanted()) return;
  ahead_ = picks_;
  for (int i = 0; i < HttpPool::kMostAhead && wanted(); i++) {
    const HostEntry* next = snapshot_->pick({}, ahead_);
    HttpPool* likely = next == nullptr ? nullptr : pool(*next->host, Priority::kDefault);
    if (likely == nullptr || !likely->predict(ratio)) return;
  }
}

template <typename F>
void ClusterLocal::forPools(const Host& host, F fn) {
  if (HttpPool* pool = host.local(worker_.index()).pool) fn(*pool);
  if (byClient_.empty()) return;
  forAllPools([&](HttpPool& pool) {
    if (pool.clientConnection() != 0 && &pool.host() == &host) fn(pool);
  });
}

// `fn` may end the pool that it is given, and no other one.
template <typename F>
void ClusterLocal::forAllPools(F fn) {
  for (HttpPool* pool = pools_.front(); pool != nullptr;) {
    HttpPool* next = pools_.next(pool);
    fn(*pool);
    pool = next;
  }
}

// Its connections may be what is wrong: new ones are made when it is picked again.
void ClusterLocal::hostFailed(const Host& host) {
  forPools(host, [](HttpPool& pool) { pool.renew(); });
  if (!snapshot_->config().connect.closeOnHealthFailure) return;
  for (HostWatcher* watcher = watchers_.front(); watcher != nullptr;) {
    HostWatcher* next = watchers_.next(watcher);
    watcher->onHostFailed(host);
    watcher = next;
  }
}

// Counts one more pool. As in Envoy, an idle one is closed to make room.
bool ClusterLocal::takePool(Priority priority) {
  Resource& pools = snapshot_->identity().resources(priority).pools;
  uint32_t most = snapshot_->breaker(priority).maxConnectionPools;
  if (pools.tryTake(most)) return true;
  for (HttpPool* pool = pools_.front(); pool != nullptr; pool = pools_.next(pool)) {
    if (!pool->unused()) continue;
    pool->drain(pin_.again());
    if (pools.tryTake(most)) return true;
    break;
  }
  ++stats_[cluster_stat::kCxPoolOverflow];
  return false;
}

void ClusterLocal::update(Pin now) {
  Pin before = std::move(pin_);
  const HostHistory& past = snapshot_->history();
  pin_ = std::move(now);
  snapshot_ = pin_.get<ClusterSnapshot>();
  if (snapshot_->connectVersion() != before.get<ClusterSnapshot>()->connectVersion()) {
    forAllPools([&](HttpPool& pool) { pool.drain(before.again()); });
  }
  const auto& then = *before.get<ClusterSnapshot>();
  if (snapshot_->idleTimeoutMs() != then.idleTimeoutMs() ||
      snapshot_->maxConnectionDurationMs() != then.maxConnectionDurationMs()) {
    forAllPools([](HttpPool& pool) { pool.idleTimesChanged(); });
  }
  HostHistory::walk(&past, &snapshot_->history(), [&](const HostChange& change) {
    if (change.kind == HostChange::Kind::kFailed) return hostFailed(*change.host);
    waiting_.hostRemoved(*change.host);
    forPools(*change.host, [&](HttpPool& pool) { pool.drain(before.again()); });
  });
#ifndef NDEBUG
  forAllPools([&](HttpPool& pool) {
    MR_DASSERT(pool.draining() || snapshot_->entry(pool.host()) != nullptr);
  });
#endif
  waiting_.snapshotChanged();
}

void ClusterLocal::drain() {
  draining_ = true;
  while (watchers_.popFront() != nullptr) {
  }
  forAllPools([&](HttpPool& pool) { pool.drain(pin_.again()); });
  waiting_.clusterGone();
  finishIfDrained();
}

void ClusterLocal::finishIfDrained() {
  if (!draining_ || !pools_.empty() || !waiting_.empty() || gone_) return;
  gone_ = true;
  worker_.net().loop().deferDelete(this);
}

// Nobody finds it any more; whoever asks for its host gets another one.
void ClusterLocal::hidePool(HttpPool& pool) {
  if (pool.clientConnection() == 0) {
    HttpPool*& found = pool.host().local(worker_.index()).pool;
    if (found == &pool) found = nullptr;
    return;
  }
  auto& ofClient = static_cast<ListNode<OfClient>&>(pool);
  if (!ofClient.linked()) return;  // hidden before
  ofClient.unlink();
  byClient_.erase({pool.clientConnection(), &pool.host()});
  auto left = worker_.ofClients_.find(pool.clientConnection());
  if (left->second.empty()) worker_.ofClients_.erase(left);
}

void ClusterLocal::poolGone(HttpPool& pool) {
  hidePool(pool);
  pool.uncount();
  static_cast<ListNode<HttpPool>&>(pool).unlink();
  finishIfDrained();
}

void ClusterLocal::destroyDeferred() {
  worker_.locals().give(this);
}

UpstreamWorker::UpstreamWorker(NetContext& net, Reader& slots, StatsShard& stats, uint32_t index,
                               uint64_t seed)
    : net_(net), slots_(slots), stats_(stats), index_(index), seed_(seed) {}

UpstreamWorker::~UpstreamWorker() {
  MR_ASSERT(draining_.empty());
  for (ClusterLocal* local : locals_) MR_ASSERT(local == nullptr);
  MR_ASSERT(ofClients_.empty());
}

ClusterLocal* UpstreamWorker::cluster(SlotId slot) {
  uint32_t index = slotIndex(slot);
  if (index < locals_.size() && locals_[index] != nullptr && locals_[index]->slot() == slot) {
    return locals_[index];
  }
  Pin pin = slots_.pin(slot);
  if (!pin) return nullptr;
  if (index >= locals_.size()) locals_.resize(index + 1, nullptr);
  if (locals_[index] != nullptr) remove(index);
  // Workers start their rounds at different hosts, or the first host would get every first request.
  seed_ = seed_ * 6364136223846793005u + 1442695040888963407u;
  locals_[index] = localPool_.take(*this, slot, std::move(pin), seed_);
  return locals_[index];
}

void UpstreamWorker::onSlotChanged(SlotId slot) {
  uint32_t index = slotIndex(slot);
  if (index >= locals_.size() || locals_[index] == nullptr) return;
  ClusterLocal* local = locals_[index];
  if (local->slot() != slot) return;
  Pin now = slots_.pin(slot);
  if (!now) {
    remove(index);
  } else if (&now.get<ClusterSnapshot>()->identity() != &local->snapshot().identity()) {
    remove(index);  // another cluster of the same slot; made anew on first use
  } else {
    local->update(std::move(now));
  }
}

void UpstreamWorker::clientGone(uint64_t connection) {
  for (auto it = ofClients_.find(connection); it != ofClients_.end();
       it = ofClients_.find(connection)) {
    HttpPool* pool = it->second.front();
    pool->drain(pool->cluster().pin());  // takes it off the list
  }
}

void UpstreamWorker::refuseHosts(SlotId slot, const std::vector<std::string>& keys,
                                 HostRefusal why) {
  uint32_t index = slotIndex(slot);
  ClusterLocal* local = index < locals_.size() ? locals_[index] : nullptr;
  if (local == nullptr || local->slot() != slot) return;
  for (const std::string& key : keys) local->waiting().refuse(key, why);
}

void UpstreamWorker::remove(uint32_t index) {
  ClusterLocal* local = locals_[index];
  locals_[index] = nullptr;
  draining_.pushBack(local);
  local->drain();
}

void UpstreamWorker::closeAll() {
  for (uint32_t i = 0; i < locals_.size(); i++) {
    if (locals_[i] != nullptr) remove(i);
  }
}

}  // namespace millrace
