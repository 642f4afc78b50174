#include "net/relay.h"

#include <cerrno>

#include "net/net_context.h"

namespace millrace {

namespace {

// Bytes that were handed to the kernel and have not reached the peer.
bool onTheirWay(const Connection& c) {
  return c.pendingBytes() > 0 || c.bytesDelivered() != c.bytesWritten();
}

}  // namespace

Relay::Relay(SplicePipes& pipes, RelayOwner& owner)
    : pipes_(pipes),
      owner_(owner),
      idleTimer_([](void* self) { static_cast<Relay*>(self)->idle(); }, this) {
  first_.other = &second_;
  second_.other = &first_;
}

Relay::~Relay() {
  first_.releasePipe();
  second_.releasePipe();
}

void Relay::start(Connection& first, Connection& second, uint64_t idleMs) {
  first_.connection = &first;
  second_.connection = &second;
  first.setOwner(&first_);
  second.setOwner(&second_);
  idleMs_ = idleMs;
  used();
}

void Relay::close() {
  over_ = true;
  // Whoever does not get what was there for it is not told that this was the end of it.
  const bool toFirst = second_.owesSome(), toSecond = first_.owesSome();
  if (Connection* c = first_.connection) toFirst ? c->abort() : c->close();
  if (Connection* c = second_.connection) toSecond ? c->abort() : c->close();
}

// There are bytes of this one that the other one has not got.
bool Relay::Half::owesSome() const {
  return (pipe != nullptr && pipe->held() > 0) ||
         (connection != nullptr && connection->hasUnread());
}

void Relay::idle() {
  // A slow reader of what our system holds is not idle. Both are looked at.
  const bool first = first_.tookSome(), second = second_.tookSome();
  if (first || second) return used();
  end_.side = RelayEnd::Side::kIdle;
  close();
}

// Something moved: the idle time starts anew, which is a store.
void Relay::used() {
  Connection* c = first_.connection != nullptr ? first_.connection : second_.connection;
  if (idleMs_ > 0 && c != nullptr) c->context().loop().arm(idleTimer_, idleMs_);
  owner_.onRelayUsed();
}

void Relay::closed(Half& half, CloseReason reason, int sysErrno) {
  if (!over_) {
    over_ = true;
    end_.side = &half == &first_ ? RelayEnd::Side::kFirst : RelayEnd::Side::kSecond;
    end_.reason = reason;
    end_.sysErrno = sysErrno;
  }
  owner_.onRelayClosing(*half.connection, reason);
  half.connection = nullptr;
  half.other->releasePipe();
  Connection* left = half.other->connection;
  if (left == nullptr) return owner_.onRelayOver(end_);
  // After an orderly end of both directions the other one ends by itself, once its last bytes are
  // out.
  if (reason == CloseReason::kRemoteEnd && left->writeEnded()) return;
  if (reason == CloseReason::kLocal) return;
  half.passOnPipe();
  if (onTheirWay(*left)) {
    left->abortAfterFlush(kLastBytesMs);  // the end of this stream is not the one that was meant
  } else {
    left->abort();
  }
}

// ---- copying

size_t Relay::Half::onData(Connection& c, std::span<char> bytes) {
  relay.used();
  Connection* to = other->connection;
  if (to == nullptr) return bytes.size();
  to->write({bytes.data(), bytes.size()});
  if (bytes.size() >= kSpliceFrom && (pipe = relay.pipes_.take()) != nullptr) {
    burst = uint32_t(kSpliceFrom);
    c.setRaw(true);
  }
  return bytes.size();
}

void Relay::Half::onReadEnd(Connection&) {
  relay.used();
  if (other->connection != nullptr) other->connection->shutdownWrite();
}

void Relay::Half::onClosed(Connection&, CloseReason reason, int sysErrno) {
  relay.closed(*this, reason, sysErrno);
}

// Whether the peer of this one has taken something since this was last asked.
bool Relay::Half::tookSome() {
  return connection != nullptr && progress.moved(*connection);
}

bool Relay::Half::moves(Connection&) {
  return other->tookSome();
}

void Relay::Half::onHighWatermark(Connection&) {
  if (other->connection == nullptr) return;
  holdsBack = true;
  if (other == &relay.first_) relay.pauses_++;
  other->connection->pause();
}

void Relay::Half::onLowWatermark(Connection&) {
  if (!holdsBack) return;
  holdsBack = false;
  if (other->connection == nullptr) return;
  if (other == &relay.first_) relay.resumes_++;
  other->connection->resume();
}

// ---- splicing

// What was copied to this one is out: the other one may go on.
void Relay::Half::onDrained(Connection&) {
  relay.used();
  if (other->connection != nullptr && other->connection->raw()) other->pump();
}

void Relay::Half::onRawReady(Connection& c, uint32_t bits) {
  if ((bits & kWritable) != 0) {
    if (other->connection != nullptr) other->pump();
    return;
  }
  if (c.raw() && (c.ready() & kReadable) != 0) pump();
}

// Moves what there is from this connection to the other one.
void Relay::Half::pump() {
  uint64_t before = connection->bytesRead();
  while (connection != nullptr && other->connection != nullptr) {
    if (!drainPipe()) return;
    if ((connection->ready() & kReadable) == 0 || connection->readEnded()) return leaveSplicing();
    // What was copied before has to be out first.
    other->connection->flushNow();
    if (other->connection->pendingBytes() > 0) return;
    if (connection->bytesRead() - before >= kSpliceCapPerEvent) {
      connection->context().loop().again(connection, kReadable);
      return;
    }
    if (!fillPipe()) return;
  }
}

// False while the pipe holds bytes that the other one does not take.
bool Relay::Half::drainPipe() {
  Connection& to = *other->connection;
  while (pipe != nullptr && pipe->held() > 0) {
    ssize_t n = pipe->drain(to.fd());
    if (n > 0) {
      to.countWritten(size_t(n));
      relay.used();
    } else if (n < 0 && errno == EAGAIN) {
      to.awaitWritable();
      return false;
    } else if (n < 0 && errno != EINTR) {
      to.rawFailed(errno);
      return false;
    }
  }
  return true;
}

// False when nothing was read.
bool Relay::Half::fillPipe() {
  if (pipe == nullptr) pipe = relay.pipes_.take();
  if (pipe == nullptr) {
    connection->setRaw(false);  // no pipe to be had
    return false;
  }
  ssize_t n = pipe->fill(connection->fd());
  if (n > 0) {
    connection->countRead(size_t(n));
    burst = uint32_t(burst + size_t(n) < UINT32_MAX ? burst + size_t(n) : UINT32_MAX);
    return true;
  }
  if (n == 0) {
    connection->rawReadEnd();
  } else if (errno == EAGAIN) {
    connection->clearReady(kReadable);
    return true;
  } else if (errno != EINTR) {
    connection->rawFailed(errno);
  } else {
    return true;
  }
  return false;
}

// The socket is drained: the pipe goes back, and after little also the splicing ends.
void Relay::Half::leaveSplicing() {
  releasePipe();
  if (burst < kSpliceFrom) connection->setRaw(false);
  burst = 0;
}

// The connection is gone: what the pipe holds of it goes the slow way.
void Relay::Half::passOnPipe() {
  Connection& to = *other->connection;
  char* buffer = to.context().receiveBuffer();
  while (pipe != nullptr && pipe->held() > 0) {
    ssize_t n = pipe->takeOut(buffer, NetContext::kReceiveBuffer);
    if (n <= 0) break;
    to.write({buffer, size_t(n)});
    to.flushNow();
  }
  releasePipe();
}

void Relay::Half::releasePipe() {
  if (pipe != nullptr) relay.pipes_.give(pipe);
  pipe = nullptr;
}

}  // namespace millrace
