#include "upstream/http_pool.h"

#include <cerrno>

#include "net/net_context.h"
#include "upstream/cluster_stats.h"
#include "upstream/upstream_worker.h"

namespace millrace {

using namespace cluster_stat;

// ---- UpstreamConnection
// ---------------------------------------------------------------------------------------------

UpstreamConnection::UpstreamConnection(HttpPool& pool, Connection& connection,
                                       const ClusterSnapshot& cluster, uint64_t nowNs)
    : pool_(pool),
      connection_(&connection),
      options_(cluster.http1()),
      codec_(connection, options_),
      idleTimer_([](void* self) { static_cast<UpstreamConnection*>(self)->idleTooLong(); }, this),
      createdNs_(nowNs) {}

RequestEncoder& UpstreamConnection::start(ResponseSink& sink, ResponseHead& head) {
  requests_++;
  return codec_.start(sink, head);
}

void UpstreamConnection::cancel() {
  MR_DASSERT(state_ == State::kBusy);
  codec_.resetStream(ResetReason::kLocalReset);
  connection_->close();
}

size_t UpstreamConnection::onData(Connection&, std::span<char> bytes) {
  size_t used = codec_.dispatch(bytes);
  if (state_ == State::kBusy && codec_.idle()) {
    exchangeEnded();
  } else if (state_ == State::kIdle) {
    connection_->close();  // bytes that no request asked for
  }
  return used;
}

void UpstreamConnection::onReadEnd(Connection&) {
  endReason_ = CloseReason::kRemoteEnd;
  codec_.onReadEnd();
  if (state_ != State::kClosed) connection_->close();
}

void UpstreamConnection::onConnected(Connection&) {
  Loop& loop = pool_.cluster_.worker().net().loop();
  pool_.connecting_--;
  local_ = connection_->local();
  pool_.cluster_.connectTime().record((loop.nowNs() - createdNs_) / 1000);
  pool_.ready(*this);
}

void UpstreamConnection::onClosed(Connection&, CloseReason reason, int sysErrno) {
  if (reason == CloseReason::kLocal) reason = endReason_;
  State before = state_;
  state_ = State::kClosed;
  unlink();
  countBytes();
  if (before == State::kBusy) pool_.requestOver(*this);
  pool_.closed(*this, reason, sysErrno, before == State::kConnecting);
  if (before == State::kBusy) {
    // Told last: the sink may ask the pool for another connection.
    codec_.onConnectionClosed(ResetReason::kRemoteReset);
  }
  // Before the pool, and that before the cluster: each is given back through the next one.
  pool_.cluster_.worker().net().loop().deferDelete(this);
  pool_.finishIfDrained();
}

void UpstreamConnection::onHighWatermark(Connection&) {
  codec_.onWritable(false);
}

void UpstreamConnection::onLowWatermark(Connection&) {
  codec_.onWritable(true);
}

void UpstreamConnection::destroyDeferred() {
  pool_.cluster_.worker().connections().give(this);
}

void UpstreamConnection::countBytes() {
  StatBlock stats = pool_.cluster_.stats();
  uint64_t read = connection_->bytesRead(), written = connection_->bytesWritten();
  stats[kCxRxBytes].add(read - countedRead_);
  stats[kCxTxBytes].add(written - countedWritten_);
  countedRead_ = read;
  countedWritten_ = written;
}

void UpstreamConnection::exchangeEnded() {
  countBytes();
  state_ = State::kIdle;
  pool_.requestOver(*this);
  const ClusterSnapshot& cluster = pool_.cluster_.snapshot();
  Loop& loop = pool_.cluster_.worker().net().loop();
  StatBlock stats = pool_.cluster_.stats();
  bool close = !codec_.reusable() || connection_->readEnded() || pool_.draining_;
  if (cluster.maxRequestsPerConnection() != 0 && requests_ >= cluster.maxRequestsPerConnection()) {
    ++stats[kCxMaxRequests];
    close = true;
  }
  uint64_t idleMs = cluster.idleTimeoutMs();
  if (uint64_t most = cluster.maxConnectionDurationMs(); most != 0) {
    uint64_t age = (loop.nowNs() - createdNs_) / kNsPerMs;
    if (age >= most) {
      ++stats[kCxMaxDurationReached];
      close = true;
    } else {
      idleMs = idleMs == 0 ? most - age : std::min(idleMs, most - age);
    }
  }
  if (close) {
    connection_->close();
    return;
  }
  if (idleMs != 0) loop.arm(idleTimer_, idleMs);
  pool_.ready(*this);
}

void UpstreamConnection::idleTooLong() {
  if (state_ != State::kIdle) return;
  ++pool_.cluster_.stats()[kCxIdleTimeout];
  connection_->close();
}

// ---- HttpPool
// -------------------------------------------------------------------------------------------------

HostLocal& HttpPool::local() const {
  return host_.local(cluster_.worker().index());
}

HttpPool::Acquired HttpPool::acquire(PoolWaiter& waiter, Priority priority, bool fresh) {
  StatBlock stats = cluster_.stats();
  if (UpstreamConnection* c = fresh ? nullptr : idle_.front(); c != nullptr) {
    if (!beginRequest(*c, priority)) return {.failure = PoolFailure::kOverflow};
    cluster_.worker().net().loop().cancel(c->idleTimer_);
    c->unlink();
    used_.pushBack(c);
    ++stats[kCxReused];
    return {.connection = c};
  }
  const ClusterSnapshot& snapshot = cluster_.snapshot();
  Resources& resources = snapshot.identity().resources(priority);
  if (!resources.pendingRequests.tryTake(snapshot.breaker(priority).maxPendingRequests)) {
    ++stats[kRqPendingOverflow];
    return {.failure = PoolFailure::kOverflow};
  }
  if (connecting_ <= waiting_) {
    if (int error = open(priority); error != 0 && connecting_ == 0 && used_.empty()) {
      resources.pendingRequests.give();
      ++stats[kRqPendingFailureEject];
      return {.failure = PoolFailure::kConnectFailed, .sysErrno = error};
    }
  }
  ++stats[kRqPendingTotal];
  ++stats[kRqPendingActive];
  waiter.priority_ = priority;
  waiters_.pushBack(&waiter);
  waiting_++;
  return {};
}

// 0 also when the breaker holds the connection back: the request then waits for one that exists.
int HttpPool::open(Priority priority) {
  const ClusterSnapshot& snapshot = cluster_.snapshot();
  UpstreamWorker& worker = cluster_.worker();
  Resource& connections = snapshot.identity().resources(priority).connections;
  StatBlock stats = cluster_.stats();
  if (!snapshot.tryTakeConnection(host_, priority)) {
    ++stats[kCxOverflow];
    // A worker without any connection to the host gets one all the same, or its requests would wait
    // for ever.
    if (!used_.empty() || !idle_.empty()) return 0;
    connections.take();
  }
  // The owner is set below: no callback comes from inside connect().
  Connection* connection =
      Connection::connect(worker.net(), host_.address(), snapshot.connectTimeoutMs(), nullptr,
                          snapshot.connectOptions());
  if (connection == nullptr) {
    int error = errno;
    connections.give();
    ++stats[kCxConnectFail];
    bump(local().cxConnectFail);
    return error;
  }
  connection->setWatermarks(snapshot.bufferLimit(), snapshot.bufferLimit() / 2);
  UpstreamConnection* c =
      worker.connections().take(*this, *connection, snapshot, worker.net().loop().nowNs());
  c->priority_ = priority;
  connection->setOwner(c);
  used_.pushBack(c);
  connecting_++;
  ++stats[kCxTotal];
  ++stats[kCxHttp1Total];
  ++stats[kCxActive];
  bump(local().cxTotal);
  bump(local().cxActive);
  return 0;
}

void HttpPool::ready(UpstreamConnection& c) {
  c.unlink();
  c.state_ = UpstreamConnection::State::kIdle;  // it may have been connecting
  used_.pushBack(&c);  // whatever a waiter that is refused does now, this one is not free yet
  while (PoolWaiter* waiter = waiters_.front()) {
    Priority priority = waiter->priority_;
    stopWaiting(*waiter);
    if (beginRequest(c, priority)) {
      waiter->onPoolReady(c);
      return;
    }
    waiter->onPoolFailure(PoolFailure::kOverflow, 0);
  }
  if (draining_) {
    c.connection_->close();
    return;
  }
  c.unlink();
  idle_.pushFront(&c);
}

bool HttpPool::beginRequest(UpstreamConnection& c, Priority priority) {
  const ClusterSnapshot& snapshot = cluster_.snapshot();
  Resource& requests = snapshot.identity().resources(priority).requests;
  if (!requests.tryTake(snapshot.breaker(priority).maxRequests)) {
    ++cluster_.stats()[kRqPendingOverflow];
    return false;
  }
  c.requestPriority_ = priority;
  c.state_ = UpstreamConnection::State::kBusy;
  return true;
}

void HttpPool::requestOver(UpstreamConnection& c) {
  cluster_.snapshot().identity().resources(c.requestPriority_).requests.give();
}

void HttpPool::stopWaiting(PoolWaiter& waiter) {
  waiter.unlink();
  waiting_--;
  cluster_.snapshot().identity().resources(waiter.priority_).pendingRequests.give();
  --cluster_.stats()[kRqPendingActive];
}

void HttpPool::forget(PoolWaiter& waiter) {
  if (!waiter.linked()) return;
  stopWaiting(waiter);
  ++cluster_.stats()[kRqCancelled];
}

void HttpPool::closed(UpstreamConnection& c, CloseReason reason, int sysErrno, bool neverUp) {
  StatBlock stats = cluster_.stats();
  cluster_.snapshot().identity().resources(c.priority_).connections.give();
  --stats[kCxActive];
  bump(local().cxActive, -1);
  if (neverUp) {
    connecting_--;
    bool timeout = reason == CloseReason::kConnectTimeout;
    if (reason != CloseReason::kLocal) {
      ++stats[timeout ? kCxConnectTimeout : kCxConnectFail];
      bump(local().cxConnectFail);
      failWaiters(timeout ? PoolFailure::kConnectTimeout : PoolFailure::kConnectFailed, sysErrno);
    }
    return;
  }
  ++stats[kCxDestroy];
  ++stats[reason == CloseReason::kLocal ? kCxDestroyLocal : kCxDestroyRemote];
  if (!c.codec_.idle()) ++stats[kCxDestroyWithActiveRq];
  if (c.codec_.detail() != nullptr) ++stats[kCxProtocolError];
  // The breaker may have held back a connection for those who wait.
  if (waiting_ > connecting_ && waiters_.front() != nullptr) {
    if (int error = open(waiters_.front()->priority_); error != 0 && used_.empty()) {
      failWaiters(PoolFailure::kConnectFailed, error);
    }
  }
}

// As Envoy does: one failed connect fails all that wait for this host; each may try another.
void HttpPool::failWaiters(PoolFailure reason, int sysErrno) {
  // A waiter may come back at once; those who were here before are failed once.
  List<PoolWaiter> failed;
  while (PoolWaiter* waiter = waiters_.front()) {
    stopWaiting(*waiter);
    failed.pushBack(waiter);
  }
  while (PoolWaiter* waiter = failed.popFront()) {
    ++cluster_.stats()[kRqPendingFailureEject];
    waiter->onPoolFailure(reason, sysErrno);
  }
}

void HttpPool::drain(Pin last) {
  draining_ = true;
  last_ = std::move(last);
  while (UpstreamConnection* c = idle_.front()) c->connection_->close();
  // Connections that nobody waits for would be idle as soon as they are up.
  for (UpstreamConnection* c = used_.front(); c != nullptr && connecting_ > waiting_;) {
    UpstreamConnection* next = used_.next(c);
    if (c->state_ == UpstreamConnection::State::kConnecting) c->connection_->close();
    c = next;
  }
  finishIfDrained();
}

void HttpPool::finishIfDrained() {
  if (!draining_ || !idle_.empty() || !used_.empty() || waiting_ != 0 || finished_) return;
  finished_ = true;
  if (local().pool == this) local().pool = nullptr;
  cluster_.worker().net().loop().deferDelete(this);
  cluster_.poolGone(*this);
}

void HttpPool::destroyDeferred() {
  cluster_.worker().pools().give(this);
}

}  // namespace millrace
