#include "upstream/http_pool.h"

#include <cerrno>

#include "net/net_context.h"
#include "upstream/cluster_stats.h"
#include "upstream/upstream_worker.h"

namespace millrace {

using namespace cluster_stat;

HostLocal& HttpPool::local() const {
  return host_.local(cluster_.worker().index());
}

HttpPool::HttpPool(ClusterLocal& cluster, const Host& host, Priority priority,
                   const PoolClient* client)
    : cluster_(cluster),
      host_(host),
      clientConnection_(client == nullptr ? 0 : client->connection),
      preface_(prefaceFor(cluster.snapshot().config(), client)),
      priority_(priority) {}

HttpPool::Acquired HttpPool::acquire(PoolWaiter& waiter, Priority priority, bool fresh) {
  Acquired got = tryAcquire(waiter, priority, fresh);
  cluster_.worker().countAcquired(got.connection != nullptr);
  if (got.failure == PoolFailure::kNone) {
    preconnect();
  } else {
    finishIfOver();  // one that is for this client alone may be empty
  }
  return got;
}

HttpPool::Acquired HttpPool::tryAcquire(PoolWaiter& waiter, Priority priority, bool fresh) {
  StatBlock stats = cluster_.stats();
  // Whoever waits comes first: what is free goes to them when the loop has polled.
  const uint32_t before = waiting_ - waitingFresh_;
  UpstreamConnection* c = fresh || idleCount_ <= before ? nullptr : silentOne();
  if (c != nullptr) {
    if (!beginRequest(*c, priority)) return {.failure = PoolFailure::kOverflow};
    use(*c);
    return {.connection = c};
  }
  if (!fresh && idleCount_ > before) {
    wait(waiter, priority, fresh, false);
    return {};
  }
  const ClusterSnapshot& snapshot = cluster_.snapshot();
  Resources& resources = snapshot.identity().resources(priority);
  if (!resources.pendingRequests.tryTake(snapshot.breaker(priority).maxPendingRequests)) {
    ++stats[kRqPendingOverflow];
    return {.failure = PoolFailure::kOverflow};
  }
  if (connecting_ + idleCount_ <= waiting_ || (fresh && connecting_ <= waitingFresh_)) {
    int error = open(priority, CxReason::kRequest);
    if (error != 0 && connecting_ == 0 && (fresh || (used_.empty() && idleCount_ == 0))) {
      resources.pendingRequests.give();
      ++stats[kRqPendingFailureEject];
      return {.failure = PoolFailure::kConnectFailed, .sysErrno = error};
    }
  }
  ++stats[kRqPendingTotal];
  ++stats[kRqPendingActive];
  wait(waiter, priority, fresh, true);
  return {};
}

// Whether requests, `anticipated` ones included, times `ratio` are more than what is provided for
// (preconnect_policy).
bool HttpPool::wants(double ratio, uint32_t anticipated) const {
  return double(waiting_ + busy_ + anticipated) * ratio > double(connecting_ + idleCount_ + busy_);
}

bool HttpPool::hostHealthy() const {
  const HostEntry* entry = cluster_.snapshot().entry(host_);
  return entry != nullptr && entry->health == Health::kHealthy;
}

// Opens what the ratios of the cluster ask for beyond what requests wait for. A host that is not
// healthy gets no extra work.
void HttpPool::preconnect() {
  const spec::Connect& policy = cluster_.snapshot().config().connect;
  if (policy.perUpstreamPreconnect > 1 && !draining_ && hostHealthy()) {
    bool opened = true;
    for (int i = 0; i < kMostAhead && opened && wants(policy.perUpstreamPreconnect, 0); i++) {
      open(priority_, CxReason::kPreconnect, &opened);
    }
  }
  if (policy.predictivePreconnect > 1) cluster_.predict(policy.predictivePreconnect);
}

bool HttpPool::predict(double ratio) {
  bool opened = false;
  if (!draining_ && hostHealthy() && wants(ratio, 1)) {
    open(priority_, CxReason::kPrediction, &opened);
  }
  return opened;
}

// 0 also when the breaker holds the connection back: the request then waits for one that exists.
int HttpPool::open(Priority priority, CxReason reason, bool* opened) {
  if (opened != nullptr) *opened = false;
  const ClusterSnapshot& snapshot = making();
  UpstreamWorker& worker = cluster_.worker();
  Resource& connections = snapshot.identity().resources(priority).connections;
  StatBlock stats = cluster_.stats();
  if (!snapshot.tryTakeConnection(host_, priority)) {
    ++stats[kCxOverflow];
    // A worker without any connection to the host gets one all the same, or its requests would wait
    // for ever.
    if (!used_.empty() || idleCount_ != 0 || reason != CxReason::kRequest) return 0;
    connections.take();
  }
  // The owner is set below: no callback comes from inside connect().
  HostDestination to(snapshot.config(), host_, preface_);
  Connection* connection = Connection::connect(worker.net(), to.get(), snapshot.connectTimeoutMs(),
                                               nullptr, snapshot.connectOptions());
  if (connection == nullptr) {
    int error = errno;
    connections.give();
    ++stats[kCxConnectFail];
    bump(local().cxConnectFail);
    return error;
  }
  if (opened != nullptr) *opened = true;
  connection->setBufferedGauges(&stats[kCxRxBytesBuffered]);
  connection->setWatermarks(snapshot.bufferLimit(), snapshot.bufferLimit() / 2);
  UpstreamConnection* c =
      worker.connections().take(*this, *connection, snapshot, worker.net().loop().nowNs());
  c->priority_ = priority;
  connection->setOwner(c);
  used_.pushBack(c);
  connections_++;
  countConnecting(1);
  ++stats[kCxForRequest + size_t(reason)];
  ++stats[kCxTotal];
  ++stats[kCxHttp1Total];
  ++stats[kCxActive];
  bump(local().cxTotal);
  bump(local().cxActive);
  return 0;
}

// How its connections are made stays the same, though the cluster changes.
const ClusterSnapshot& HttpPool::making() const {
  return draining_ ? *last_.get<ClusterSnapshot>() : cluster_.snapshot();
}

void HttpPool::countConnecting(int delta) {
  connecting_ += uint32_t(delta);
  cluster_.demand().capacity += uint32_t(delta);
}

bool HttpPool::beginRequest(UpstreamConnection& c, Priority priority) {
  const ClusterSnapshot& snapshot = cluster_.snapshot();
  Resource& requests = snapshot.identity().resources(priority).requests;
  if (!requests.tryTake(snapshot.breaker(priority).maxRequests)) {
    ++cluster_.stats()[kRqPendingOverflow];
    return false;
  }
  busy_++;
  cluster_.demand().streams++;
  cluster_.demand().capacity++;
  c.requestPriority_ = priority;
  c.state_ = UpstreamConnection::State::kBusy;
  return true;
}

void HttpPool::requestOver(UpstreamConnection& c) {
  busy_--;
  cluster_.demand().streams--;
  cluster_.demand().capacity--;
  cluster_.snapshot().identity().resources(c.requestPriority_).requests.give();
}

void HttpPool::countClosed(const UpstreamConnection& c, CloseReason reason, int sysErrno,
                           bool neverUp) {
  StatBlock stats = cluster_.stats();
  --stats[kCxActive];
  bump(local().cxActive, -1);
  countDestroyed(stats, reason);
  uint64_t now = cluster_.worker().net().loop().nowNs();
  cluster_.connectionLength().record((now - c.createdNs_) / 1000);
  if (neverUp) {
    if (reason == CloseReason::kLocal) return;  // not wanted any more
    countConnectFailure(stats, cluster_.snapshot(), reason, sysErrno);
    bump(local().cxConnectFail);
    return;
  }
  cluster_.requestsPerConnection().record(c.requests_);
  if (c.cutShort_) {
    ++stats[kCxDestroyWithActiveRq];
    ++stats[isLocalEnd(reason) ? kCxDestroyLocalWithActiveRq : kCxDestroyRemoteWithActiveRq];
  }
  if (c.codec_.detail() != nullptr) ++stats[kCxProtocolError];
}

void HttpPool::drain(Pin last) {
  if (draining_) return;
  draining_ = true;
  last_ = std::move(last);
  cluster_.hidePool(*this);
  closeIdle();
  // Connections that nobody waits for would be idle as soon as they are up.
  for (UpstreamConnection* c = used_.front(); c != nullptr && connecting_ > waiting_;) {
    UpstreamConnection* next = used_.next(c);
    if (c->state_ == UpstreamConnection::State::kConnecting) c->connection_->close();
    c = next;
  }
  if (used_.empty() && waiting_ == 0) uncount();  // its last connection may be closing just now
  finishIfOver();
}

void HttpPool::uncount() {
  if (!counted_) return;
  counted_ = false;
  cluster_.snapshot().identity().resources(priority_).pools.give();
}

void HttpPool::renew() {
  for (UpstreamConnection* c = used_.front(); c != nullptr; c = used_.next(c)) {
    c->closeWhenIdle_ = true;
  }
  closeIdle();
}

void HttpPool::closeIdle() {
  while (UpstreamConnection* c = idle_.front()) c->connection_->close();
  while (UpstreamConnection* c = resting_.front()) c->connection_->close();
}

// `c` goes to the deferred deletes, and what it belongs to may follow.
void HttpPool::connectionFreed() {
  connections_--;
  finishIfOver();
}

void HttpPool::finishIfOver() {
  // A pool for one client is over with its last connection.
  bool over = draining_ || clientConnection_ != 0;
  if (!over || connections_ != 0 || waiting_ != 0 || finished_) return;
  finished_ = true;
  cluster_.worker().net().loop().deferDelete(this);
  cluster_.poolGone(*this);
}

void HttpPool::destroyDeferred() {
  cluster_.worker().pools().give(this);
}

}  // namespace millrace
