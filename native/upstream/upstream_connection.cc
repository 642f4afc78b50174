#include "upstream/upstream_connection.h"

#include <algorithm>

#include "net/net_context.h"
#include "upstream/cluster_stats.h"
#include "upstream/http_pool.h"
#include "upstream/upstream_worker.h"

namespace millrace {

using namespace cluster_stat;

namespace {

// So many requests of a connection are watched for answers that came before them: a server that
// says more than it was asked mostly begins with that at once.
constexpr uint32_t kWatchedRequests = 4;

}  // namespace

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
  givenBefore_ = connection_->bytesWritten() + connection_->pendingBytes();
  return codec_.start(sink, head);
}

void UpstreamConnection::cancel() {
  MR_DASSERT(state_ == State::kBusy);
  cutShort_ = !codec_.idle();
  codec_.resetStream(ResetReason::kLocalReset);
  connection_->close();
}

// No byte of the present request has reached the peer's system. Whatever the peer has said so far,
// it said before that: TCP acknowledges what has come with whatever it sends.
bool UpstreamConnection::nothingArrived() const {
  return connection_->overTcp() && connection_->bytesDelivered() <= givenBefore_;
}

size_t UpstreamConnection::onData(Connection&, std::span<char> bytes) {
  // What comes first may be the answer to nothing, or to an earlier request once more. Asking costs
  // a system call: upstreams that were never seen to break the rules are believed after a while.
  const bool first = state_ == State::kBusy && !codec_.responseSeen() && !bytes.empty();
  const bool watched =
      requests_ <= kWatchedRequests || pool_.cluster_.stats()[kCxProtocolError].value() != 0;
  if (first && watched && nothingArrived()) {
    untouched_ = true;
    codec_.refuseUnasked();
    connection_->close();
    return bytes.size();
  }
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
  untouched_ = state_ == State::kBusy && !codec_.responseSeen() && nothingArrived();
  if (codec_.endsAtClose()) codec_.onReadEnd();
  // An exchange that is cut is told when the connection has made room for another one.
  if (state_ != State::kClosed) connection_->close();
}

void UpstreamConnection::onConnected(Connection&) {
  connectedNs_ = pool_.cluster_.worker().net().loop().nowNs();
  pool_.countConnecting(-1);
  local_ = connection_->local();
  pool_.cluster_.connectTime().record((connectedNs_ - createdNs_) / 1000);
  pool_.ready(*this);
}

void UpstreamConnection::onClosed(Connection&, CloseReason reason, int sysErrno) {
  if (reason == CloseReason::kLocal) reason = endReason_;
  State before = state_;
  state_ = State::kClosed;
  pool_.takeOut(*this);
  countBytes();
  if (before == State::kBusy) pool_.requestOver(*this);
  cutShort_ |= !codec_.idle();
  // Our system's word is all there is now.
  untouched_ |= before == State::kBusy && connection_->bytesWritten() <= givenBefore_;
  pool_.closed(*this, reason, sysErrno, before == State::kConnecting);
  if (before == State::kBusy) {
    // Told last: the sink may ask the pool for another connection.
    codec_.onConnectionClosed(ResetReason::kRemoteReset);
  }
  // Before the pool, and that before the cluster: each is given back through the next one.
  pool_.cluster_.worker().net().loop().deferDelete(this);
  pool_.connectionFreed();
}

void UpstreamConnection::onHighWatermark(Connection&) {
  ++pool_.cluster_.stats()[kFlowBackedUp];
  codec_.onWritable(false);
}

void UpstreamConnection::onLowWatermark(Connection&) {
  ++pool_.cluster_.stats()[kFlowDrained];
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
  StatBlock stats = pool_.cluster_.stats();
  if (codec_.closeNotified()) ++stats[kCxCloseNotify];
  bool close = !codec_.reusable() || connection_->readEnded() || pool_.draining_ || closeWhenIdle_;
  if (cluster.maxRequestsPerConnection() != 0 && requests_ >= cluster.maxRequestsPerConnection()) {
    ++stats[kCxMaxRequests];
    close = true;
  }
  if (uint64_t most = cluster.maxConnectionDurationMs(); most != 0) {
    uint64_t now = pool_.cluster_.worker().net().loop().nowNs();
    if ((now - connectedNs_) / kNsPerMs >= most) {
      ++stats[kCxMaxDurationReached];
      close = true;
    }
  }
  if (close) {
    connection_->close();
  } else {
    pool_.release(*this);
  }
}

void UpstreamConnection::becomeIdle() {
  idleSinceMs_ = pool_.cluster_.worker().net().loop().nowMs();
  armIdleTimer();
}

// Waits for a request until the idle timeout, or until it is too old.
void UpstreamConnection::armIdleTimer() {
  const ClusterSnapshot& cluster = pool_.cluster_.snapshot();
  Loop& loop = pool_.cluster_.worker().net().loop();
  uint64_t idleMs = cluster.idleTimeoutMs();
  if (uint64_t rested = loop.nowMs() - idleSinceMs_; idleMs != 0 && rested != 0) {
    idleMs = idleMs > rested ? idleMs - rested : 1;
  }
  if (uint64_t most = cluster.maxConnectionDurationMs(); most != 0) {
    uint64_t age = (loop.nowNs() - connectedNs_) / kNsPerMs;
    uint64_t left = age < most ? most - age : 1;
    idleMs = idleMs == 0 ? left : std::min(idleMs, left);
  }
  if (idleMs != 0) {
    loop.arm(idleTimer_, idleMs);
  } else {
    loop.cancel(idleTimer_);
  }
}

void UpstreamConnection::idleTooLong() {
  if (state_ != State::kIdle) return;
  uint64_t most = pool_.cluster_.snapshot().maxConnectionDurationMs();
  uint64_t age = pool_.cluster_.worker().net().loop().nowNs() - connectedNs_;
  bool tooOld = most != 0 && age / kNsPerMs >= most;
  ++pool_.cluster_.stats()[tooOld ? kCxMaxDurationReached : kCxIdleTimeout];
  connection_->close();
}

}  // namespace millrace
