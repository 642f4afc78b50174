#include "net/listener.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace millrace {

namespace {

void count(std::atomic<uint64_t>& n) {
  n.store(n.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

// Errors of one connection, which was lost in the backlog (accept(2), "Error handling").
bool lostConnection(int error) {
  switch (error) {
    case ECONNABORTED:
    case EINTR:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EOPNOTSUPP:
    case ETIMEDOUT:
      return true;
    default:
      return false;
  }
}

}  // namespace

Listener::Listener(Loop& loop, Fd fd, const Address& local, AcceptSink& sink)
    : loop_(loop),
      socket_(std::move(fd)),
      local_(local),
      sink_(sink),
      timer_([](void* self) { static_cast<Listener*>(self)->onTimer(); }, this) {}

Listener::~Listener() {
  if (registered()) loop_.remove(this);
}

Status Listener::start() {
  return loop_.addListener(this, socket_.get());
}

void Listener::stop() {
  if (stopping_ || stopped_) return;
  stopping_ = true;
  // One that was never polled is not polled for its end either: it takes what waits then.
  if (refuseNewClients(socket_.get()) != Refusal::kSoon) return onTimer();
  if (!paused_) loop_.arm(timer_, kStopGraceMs);
}

void Listener::stopNow() {
  if (stopped_) return;
  stopping_ = true;
  refuseNewClients(socket_.get());
  while (rest_ > 0 && acceptBatch(kAcceptsPerEvent)) rest_ -= kAcceptsPerEvent;
  if (!stopped_) close();
}

void Listener::close() {
  stopped_ = true;
  loop_.cancel(timer_);
  if (registered()) loop_.remove(this);
  socket_.reset();
  sink_.onStopped();
}

void Listener::onReady(uint32_t) {
  adjustBatch();
  acceptBatch(batch_);
}

void Listener::adjustBatch() {
  uint64_t turn = loop_.turns();
  turnsInARow_ = turn == lastTurn_ + 1 ? turnsInARow_ + 1 : 0;
  lastTurn_ = turn;
  if (turnsInARow_ < kTurnsToGrow) return;
  turnsInARow_ = 0;
  batch_ = batch_ * 2 < kAcceptsPerEvent ? batch_ * 2 : kAcceptsPerEvent;
}

// True when `most` were accepted, and there may be more.
bool Listener::acceptBatch(int most) {
  for (int i = 0; i < most && !stopped_; i++) {
    Address peer;
    int fd = acceptOn(socket_.get(), peer);
    if (fd >= 0) {
      count(accepted_);
      sink_.onAccept(fd, peer, local_);
      // Found out too late by one: that is what tells.
      if (beyondReserve(fd, DescriptorUse::kAccept) && !stopped_) {
        pause(EMFILE);
        return false;
      }
    } else if (lostConnection(errno)) {
      count(failures_);
      sink_.onAcceptFailed();
    } else if (errno == EINVAL) {
      // Nobody will ever come any more: another worker, whose socket it is, too, stops.
      if (registered()) loop_.setListening(this, false);
      return false;
    } else {
      if (errno != EAGAIN && errno != EWOULDBLOCK) pause(errno);
      return false;
    }
  }
  return !stopped_;
}

// A batch each turn, so that others have theirs; then the socket is closed.
void Listener::takeRest() {
  const bool more = acceptBatch(kAcceptsPerEvent) && (rest_ -= kAcceptsPerEvent) > 0;
  if (more) return loop_.arm(timer_, 0);
  if (!paused_ && !stopped_) close();
}

void Listener::pause(int sysErrno) {
  count(pauses_);
  sink_.onAcceptPaused(sysErrno);
  if (stopped_) return;
  paused_ = true;
  if (registered()) loop_.setListening(this, false);
  loop_.arm(timer_, kPauseMs);
}

void Listener::onTimer() {
  if (paused_ && noneLeft(socket_.get(), DescriptorUse::kAccept)) {
    count(pauses_);
    sink_.onAcceptPaused(EMFILE);
    if (!stopped_) loop_.arm(timer_, kPauseMs);
    return;
  }
  paused_ = false;
  if (!stopping_) return loop_.setListening(this, true);
  takeRest();
}

}  // namespace millrace
