// HttpPool: when a connection is handed on, who waits for one, and whom a failure concerns. See
// http_pool.h.
#include <algorithm>

#include "net/net_context.h"
#include "upstream/cluster_stats.h"
#include "upstream/http_pool.h"
#include "upstream/upstream_worker.h"

namespace millrace {

using namespace cluster_stat;

// ---- Connections that are free ------------------------------------------------------------------

// It is up: those that can only have a new one come first.
void HttpPool::ready(UpstreamConnection& c) {
  takeOut(c);
  c.state_ = UpstreamConnection::State::kIdle;  // it was connecting
  used_.pushBack(&c);  // whatever a waiter that is refused does now, this one is not free yet
  if (handOn(c, freshWaiters_) || handOn(c, waiters_)) return;
  release(c);
}

// To the first one that may have a request. False: nobody took it.
bool HttpPool::handOn(UpstreamConnection& c, List<PoolWaiter>& waiters) {
  while (PoolWaiter* waiter = waiters.front()) {
    Priority priority = waiter->priority_;
    stopWaiting(*waiter);
    if (beginRequest(c, priority)) {
      waiter->onPoolReady(c);
      return true;
    }
    waiter->onPoolFailure(PoolFailure::kOverflow, 0);
  }
  return false;
}

// Nobody uses it any more, or nobody did when it came up.
void HttpPool::release(UpstreamConnection& c) {
  bool inTheWay = connecting_ < waitingFresh_;  // of a new one that the breaker does not allow
  if (draining_ || c.closeWhenIdle_ || inTheWay) {
    c.connection_->close();
    return;
  }
  rest(c);
  c.becomeIdle();
  lookAfterPoll();
}

void HttpPool::rest(UpstreamConnection& c) {
  takeOut(c);
  c.place_ = UpstreamConnection::Place::kResting;
  c.restsSince_ = cluster_.worker().net().loop().turns();
  resting_.pushBack(&c);
  restingCount_++;
  idleCount_++;
  cluster_.demand().capacity++;
}

// Those that rest since before this turn's poll have rested.
void HttpPool::settle() {
  const uint64_t turn = cluster_.worker().net().loop().turns();
  while (UpstreamConnection* c = resting_.front()) {
    if (c->restsSince_ == turn) return;
    c->unlink();
    restingCount_--;
    c->place_ = UpstreamConnection::Place::kIdle;
    idle_.pushFront(c);
  }
}

// The one that was used last of those that may be used again; null: there is none now.
UpstreamConnection* HttpPool::silentOne() {
  settle();
  // A poll that told of a full batch may have left out what these have to say. And one that was
  // long ago knows nothing of what they said since: a request that an end meets can go elsewhere,
  // so that only those are looked at once more that were seen to say what nobody asked for.
  const Loop& loop = cluster_.worker().net().loop();
  const bool unruly = cluster_.stats()[kCxProtocolError].value() != 0;
  const bool known = loop.toldAll() && (!unruly || loop.sincePollNs() < kKnownForNs);
  while (UpstreamConnection* c = idle_.front()) {
    if (known ? c->connection_->silent() : c->connection_->silentNow()) return c;
    rest(*c);  // what it says is looked at later in this turn, or in the next one
  }
  return nullptr;
}

void HttpPool::idleTimesChanged() {
  for (auto* list : {&idle_, &resting_}) {
    for (UpstreamConnection* c = list->front(); c != nullptr; c = list->next(c)) c->armIdleTimer();
  }
}

// An idle connection whose request has begun.
void HttpPool::use(UpstreamConnection& c) {
  cluster_.worker().net().loop().cancel(c.idleTimer_);
  takeOut(c);
  used_.pushBack(&c);
  ++cluster_.stats()[kCxReused];
}

// From whichever list it is in.
void HttpPool::takeOut(UpstreamConnection& c) {
  if (c.place_ != UpstreamConnection::Place::kUsed) {
    if (c.place_ == UpstreamConnection::Place::kResting) restingCount_--;
    c.place_ = UpstreamConnection::Place::kUsed;
    idleCount_--;
    cluster_.demand().capacity--;
  }
  c.unlink();
}

// ---- Those that wait ----------------------------------------------------------------------------

void HttpPool::wait(PoolWaiter& waiter, Priority priority, bool fresh, bool counted) {
  waiter.priority_ = priority;
  waiter.fresh_ = fresh;
  waiter.counted_ = counted;
  waiter.waits_ = true;
  (fresh ? freshWaiters_ : waiters_).pushBack(&waiter);
  waiting_++;
  if (fresh) waitingFresh_++;
  cluster_.demand().streams++;
  lookAfterPoll();
}

// Whoever waits may have what has rested; what nobody may have makes room.
void HttpPool::lookAfterPoll() {
  bool some = waiting_ > waitingFresh_ && idleCount_ != 0;
  bool inTheWay = connecting_ < waitingFresh_ && idleCount_ != 0;
  if (some || inTheWay) cluster_.worker().net().loop().afterPoll(*this);
}

void HttpPool::onPolled() {
  while (!waiters_.empty()) {
    UpstreamConnection* c = silentOne();
    if (c == nullptr) break;
    PoolWaiter* waiter = waiters_.front();
    Priority priority = waiter->priority_;
    stopWaiting(*waiter);
    if (beginRequest(*c, priority)) {
      use(*c);
      waiter->onPoolReady(*c);
    } else {
      waiter->onPoolFailure(PoolFailure::kOverflow, 0);
    }
  }
  while (connecting_ < waitingFresh_ && idleCount_ != 0) {
    UpstreamConnection* c = idle_.empty() ? resting_.front() : idle_.back();
    c->connection_->close();
  }
  provide();
  lookAfterPoll();
}

// Whether fewer connections are on their way than are waited for.
bool HttpPool::lacking() const {
  return connecting_ + idleCount_ < waiting_ || connecting_ < waitingFresh_;
}

// Opens what is lacking, as far as the breakers allow. Each failure fails somebody, so that this
// ends.
void HttpPool::provide() {
  while (lacking()) {
    const PoolWaiter* first = freshWaiters_.empty() ? waiters_.front() : freshWaiters_.front();
    bool opened = false;
    int error = open(first->priority_, CxReason::kRequest, &opened);
    if (error != 0) {
      connectFailed(PoolFailure::kConnectFailed, error);
    } else if (!opened) {
      return;  // one that is in use will be free, or end
    }
  }
}

void HttpPool::stopWaiting(PoolWaiter& waiter) {
  waiter.unlink();
  waiter.waits_ = false;
  waiting_--;
  if (waiter.fresh_) waitingFresh_--;
  cluster_.demand().streams--;
  if (!waiter.counted_) return;
  cluster_.snapshot().identity().resources(waiter.priority_).pendingRequests.give();
  --cluster_.stats()[kRqPendingActive];
}

void HttpPool::forget(PoolWaiter& waiter) {
  if (!waiter.waits_) {
    waiter.unlink();  // it may be about to be told of a failure
    return;
  }
  stopWaiting(waiter);
  ++cluster_.stats()[kRqCancelled];
  finishIfOver();
}

void HttpPool::closed(UpstreamConnection& c, CloseReason reason, int sysErrno, bool neverUp) {
  cluster_.snapshot().identity().resources(c.priority_).connections.give();
  countClosed(c, reason, sysErrno, neverUp);
  if (neverUp) {
    countConnecting(-1);
    if (reason == CloseReason::kLocal) return;
    bool timeout = reason == CloseReason::kConnectTimeout;
    connectFailed(timeout ? PoolFailure::kConnectTimeout : PoolFailure::kConnectFailed, sysErrno);
  }
  // The breaker may have held back a connection for those who wait.
  provide();
  // What cannot be connected to is not tried ahead of requests; and what ends makes no room for
  // predictions, which could end other pools in their turn.
  if (!neverUp && !draining_) preconnect();
  // A request that this connection fails may need another pool in this one's place.
  if (draining_ && used_.empty() && idleCount_ == 0 && waiting_ == 0) uncount();
}

// A connection did not come up. While the host has others that are up, that is the failure of the
// one that waited for it; else of everybody but those for whom another one is still on its way.
void HttpPool::connectFailed(PoolFailure reason, int sysErrno) {
  if (!lacking()) return;  // whom it was for has another one
  bool live = busy_ + idleCount_ != 0;
  uint32_t coming = connecting_ + idleCount_;
  uint32_t without = waiting_ > coming ? waiting_ - coming : 0;
  uint32_t most = live ? 1 : std::max(without, 1u);
  // A waiter may come back at once; those who were here before are failed once.
  List<PoolWaiter> failed;
  for (; most != 0 && waiting_ != 0; most--) {
    bool fresh = waiters_.empty() || connecting_ < waitingFresh_;
    PoolWaiter* waiter = (fresh ? freshWaiters_ : waiters_).front();
    stopWaiting(*waiter);
    failed.pushBack(waiter);
  }
  while (PoolWaiter* waiter = failed.popFront()) {
    ++cluster_.stats()[kRqPendingFailureEject];
    waiter->onPoolFailure(reason, sysErrno);
  }
}

}  // namespace millrace
