// Connection: how it begins, reads, and ends. Writing is in connection_write.cc.
#include "net/connection.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/sockios.h>
#endif

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "net/net_context.h"
#include "net/socket.h"
#include "stats/shard.h"

namespace millrace {

Connection::Connection(NetContext& ctx, int fd, const Address& peer, ConnectionOwner* owner)
    : ctx_(&ctx), owner_(owner), transport_(&ctx.plain_) {
  fd_ = fd;
  id_ = ctx.nextId_;
  ctx.nextId_ += ctx.idStep_;
  setPeer(peer);
}

void Connection::setPeer(const Address& peer) {
  peerFamily_ = uint8_t(peer.family());
  if (peerFamily_ == AF_INET) {
    auto* in = reinterpret_cast<const sockaddr_in*>(peer.sockaddrPtr());
    peerPort_ = in->sin_port;
    std::memcpy(peerIp_, &in->sin_addr, sizeof in->sin_addr);
  } else if (peerFamily_ == AF_INET6) {
    auto* in6 = reinterpret_cast<const sockaddr_in6*>(peer.sockaddrPtr());
    peerPort_ = in6->sin6_port;
    peerScope_ = in6->sin6_scope_id;
    std::memcpy(peerIp_, &in6->sin6_addr, sizeof in6->sin6_addr);
  }
}

Connection* Connection::accepted(NetContext& ctx, int fd, const Address& peer,
                                 ConnectionOwner* owner) {
  Connection* c = ctx.connections_.take(ctx, fd, peer, owner);
  Status added = ctx.loop().add(c, fd);
  if (!added) {
    ctx.connections_.give(c);
    ::close(fd);
    errno = added.error().sysErrno;
    return nullptr;
  }
  ctx.open_++;
  return c;
}

Address Connection::peer() const {
  if (peerFamily_ == AF_INET) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = peerPort_;
    std::memcpy(&in.sin_addr, peerIp_, sizeof in.sin_addr);
    return Address::fromSockaddr(reinterpret_cast<sockaddr*>(&in), sizeof in);
  }
  if (peerFamily_ == AF_INET6) {
    sockaddr_in6 in6{};
    in6.sin6_family = AF_INET6;
    in6.sin6_port = peerPort_;
    in6.sin6_scope_id = peerScope_;
    std::memcpy(&in6.sin6_addr, peerIp_, sizeof in6.sin6_addr);
    return Address::fromSockaddr(reinterpret_cast<sockaddr*>(&in6), sizeof in6);
  }
  return peerAddress(fd_);
}

Address Connection::local() const {
  return localAddress(fd_);
}

Address Connection::originalDestination() const {
  return millrace::originalDestination(fd_);
}

bool Connection::wasRedirected(const Address& meant) const {
  return millrace::wasRedirected(fd_, meant);
}

// ---- readiness

void Connection::onReady(uint32_t events) {
  if (movesMuch() && (events & kPutOff) == 0) return ctx_->loop().putOff(this, events);
  events &= ~uint32_t(kPutOff);
  if (state_ == kConnecting) connectDone(events);
  if (state_ == kConnecting || state_ == kClosed) return;
  // Left undone by a lane that had to make room in the write batch. Before anything is sent: being
  // above the mark is known by then.
  if ((flags_ & kShutAsked) != 0 || pending_ > high_) flushed();
  if (state_ == kClosed) return;
  if ((events & kWritable) != 0) {
    if (pending_ > 0) {
      sendPending();
    } else if ((flags_ & kAwaitWritable) != 0 && state_ == kOpen) {
      flags_ &= uint16_t(~kAwaitWritable);
      owner_->onRawReady(*this, kWritable);
    }
    if (state_ == kClosed) return;
  }
  if (state_ == kLingering) return discardReady();
  if (state_ != kOpen) return;
  if (!raw()) return readReady();
  MR_ASSERT(leftoverSize_ == 0);
  if ((ready() & kError) != 0) failIfDrained();
  if (state_ == kOpen) owner_->onRawReady(*this, events & ~uint32_t(kWritable));
}

void Connection::readReady() {
  if ((flags_ & kBroken) != 0 && (flags_ & kAboveHigh) != 0) {
    flags_ &= uint16_t(~kAboveHigh);  // what was pending is dropped
    owner_->onLowWatermark(*this);
    if (state_ != kOpen) return;
  }
  if (paused() || readEnded()) {
    if (!readEnded() && (ready() & (kReadClosed | kError)) != 0) owner_->onPeerLeft(*this);
    if (state_ == kOpen && (ready() & kError) != 0) failIfDrained();
    return;
  }
  if ((flags_ & kOfferAgain) != 0 && leftoverSize_ > kOfferWindow) return offerWindow();
  bool offerOld = (flags_ & kOfferAgain) != 0 && leftoverSize_ > 0;
  if (!offerOld && (ready() & kReadable) == 0) return;
  size_t kept = leftoverSize_;
  if (kept > 0) std::memcpy(ctx_->receiveBuffer(), leftover_->data() + leftoverBegin_, kept);
  bool end = false;
  size_t fresh = readBehind(kept, end);
  if (state_ != kOpen) return;
  if (fresh > 0 || offerOld) offer(kept + fresh);
  // If the owner paused, or was replaced, what is left over comes first, and the end is read again
  // after it.
  if (end && state_ == kOpen && !paused() && (flags_ & kOfferAgain) == 0) readEnd();
}

// Reads once, behind what is kept. Returns the number of bytes, and whether the stream ended.
size_t Connection::readBehind(size_t kept, bool& end) {
  size_t room = NetContext::kReceiveBuffer - kept;
  if ((ready() & kReadable) == 0 || room == 0) return 0;
  ssize_t n = transport_->read(fd_, ctx_->receiveBuffer() + kept, room);
  if (n > 0) {
    bytesRead_ += uint64_t(n);
    // A short read took everything, but for the end of the stream. The rest is for when others had
    // their turn, and the receive buffer has been flushed.
    flags_ = uint16_t(size_t(n) >= kMuch ? flags_ | kMovesMuch : flags_ & ~kMovesMuch);
    if (size_t(n) == room || (ready() & (kReadClosed | kError)) != 0) {
      ctx_->loop().again(this, kReadable);
    } else {
      clearReady(kReadable);
    }
    return size_t(n);
  }
  if (n == 0) {
    end = true;
  } else if (errno == EINTR) {
    ctx_->loop().again(this, kReadable);
  } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
    clearReady(kReadable | kError);
    dropDeadline();
    if ((flags_ & kBroken) != 0) fail(sysErrno_);
  } else {
    fail(errno);
  }
  return 0;
}

// Offers leftover bytes alone. Much may be left over (pipelined requests) of which the owner takes
// little at a time: then copying all of it each time would cost the square of it.
void Connection::offerWindow() {
  size_t size = kOfferWindow;
  for (;; size = leftoverSize_) {
    std::memcpy(ctx_->receiveBuffer(), leftover_->data() + leftoverBegin_, size);
    size_t used = owner_->onData(*this, {ctx_->receiveBuffer(), size});
    if (state_ != kOpen) return;
    MR_ASSERT(used <= size);
    leftoverBegin_ += uint32_t(used);
    leftoverSize_ -= uint32_t(used);
    if (buffered_ != nullptr) buffered_[0].sub(used);
    if (leftoverSize_ == 0) dropLeftover();
    if (paused()) return;
    if (yielded()) return ctx_->loop().putOff(this, ready() & kReadable);
    if (used > 0) break;
    if (size == leftoverSize_) {  // needs bytes that have yet to come
      flags_ &= uint16_t(~kOfferAgain);
      if (leftoverSize_ > kMaxUnconsumed) return fail(ENOBUFS);
      break;
    }
    ctx_->flush();  // the buffer is used once more
    if (state_ != kOpen || paused()) return;
  }
  ctx_->loop().again(this, ready() & kReadable);
}

void Connection::offer(size_t size) {
  char* buffer = ctx_->receiveBuffer();
  ConnectionOwner* owner = owner_;
  flags_ &= uint16_t(~kOfferAgain);
  size_t used = owner->onData(*this, {buffer, size});
  if (state_ != kOpen) return;
  MR_ASSERT(used <= size);
  const bool shared = yielded();
  size_t rest = size - used;
  if (rest == 0) return dropLeftover();
  if (rest > kMaxUnconsumed && !paused() && !shared) return fail(ENOBUFS);
  keep(buffer + used, rest);
  if (owner_ != owner || paused() || shared) flags_ |= kOfferAgain;
  if (paused()) return;
  if (shared) {
    ctx_->loop().putOff(this, ready() & kReadable);
  } else if (owner_ != owner) {
    ctx_->loop().again(this, ready() & kReadable);
  }
}

// Whether the owner called yield() in the onData() that has just returned.
bool Connection::yielded() {
  const bool is = (flags_ & kYielded) != 0;
  flags_ &= uint16_t(~kYielded);
  return is;
}

void Connection::keep(const char* rest, size_t size) {
  bool tooSmall = leftover_ == nullptr || leftover_->size < size;
  if (tooSmall || leftover_->size / 4 > size + ChunkPool::kChunkBytes) {
    dropLeftover();
    leftover_ = ctx_->chunks().take(size);
  }
  std::memcpy(leftover_->data(), rest, size);
  if (buffered_ != nullptr) buffered_[0].add(size - leftoverSize_);
  leftoverBegin_ = 0;
  leftoverSize_ = uint32_t(size);
}

void Connection::dropLeftover() {
  if (leftover_ != nullptr) ctx_->chunks().give(leftover_);
  leftover_ = nullptr;
  if (buffered_ != nullptr && leftoverSize_ != 0) buffered_[0].sub(leftoverSize_);
  leftoverSize_ = 0;
}

void Connection::readEnd() {
  // A write took the error that this read would have met. EPIPE says that the peer's end came
  // before it broke off; after any other one this is not the end of what it had to say.
  if ((flags_ & kBroken) != 0 && sysErrno_ != EPIPE) return fail(sysErrno_);
  flags_ |= kReadEnded;
  clearReady(kReadable);
  owner_->onReadEnd(*this);
  if (state_ != kOpen) return;
  if ((flags_ & kBroken) != 0) {
    fail(sysErrno_);
  } else if ((flags_ & kWriteShut) != 0) {
    finish(CloseReason::kRemoteEnd, 0);
  }
}

// While lingering, what comes is thrown away.
void Connection::discardReady() {
  if ((flags_ & kBroken) != 0) return finish(CloseReason::kLocal, 0);
  while ((ready() & kReadable) != 0) {
    ssize_t n = transport_->read(fd_, ctx_->receiveBuffer(), NetContext::kReceiveBuffer);
    if (n > 0) {
      bytesRead_ += uint64_t(n);
      flags_ = uint16_t(size_t(n) >= kMuch ? flags_ | kMovesMuch : flags_ & ~kMovesMuch);
      return ctx_->loop().again(this, kReadable);  // also after a short read: it is cheap, and rare
    }
    if (n < 0 && errno == EINTR) continue;
    clearReady(kReadable);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (n < 0 || (flags_ & kWriteShut) != 0) return finish(CloseReason::kLocal, 0);
    flags_ |= kReadEnded;
  }
}

bool Connection::hasUnread() const {
  int unread = 0;
  if (leftoverSize_ == 0 && !readEnded()) ioctl(fd_, FIONREAD, &unread);
  return leftoverSize_ > 0 || unread > 0;
}

bool Connection::silentNow() const {
  if (!silent()) return false;
  char c;
  ssize_t n = recv(fd_, &c, 1, MSG_PEEK | MSG_DONTWAIT);
  return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

bool Connection::overTcp() const {
  return peerFamily_ == AF_INET || peerFamily_ == AF_INET6;
}

// An error is known and nobody reads: it is told at once unless bytes wait to be read first.
void Connection::failIfDrained() {
  if (hasUnread()) {
    if (!raw()) armDeadline(kErrorGraceMs);
    return;
  }
  if (sysErrno_ == 0) {
    socklen_t size = sizeof sysErrno_;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &sysErrno_, &size);
  }
  clearReady(kError);
  if (sysErrno_ != 0) fail(sysErrno_);
}

void Connection::resume() {
  MR_DASSERT(pauseCount_ > 0);
  if (--pauseCount_ != 0 || state_ != kOpen) return;
  if (leftoverSize_ > 0) flags_ |= kOfferAgain;
  if (leftoverSize_ > 0 || (ready() & (kReadable | kError)) != 0) {
    ctx_->loop().again(this, ready() & kReadable);
  }
}

void Connection::setOwner(ConnectionOwner* owner) {
  if (owner == owner_) return;
  owner_ = owner;
  if (leftoverSize_ == 0 || state_ != kOpen) return;
  flags_ |= kOfferAgain;
  if (!paused()) ctx_->loop().again(this, ready() & kReadable);
}

// ---- raw mode

void Connection::setRaw(bool on) {
  if (raw() == on) return;
  flags_ ^= kRaw;
  if (!paused() && (ready() & kReadable) != 0) ctx_->loop().again(this, kReadable);
}

void Connection::rawReadEnd() {
  readEnd();
}
void Connection::rawFailed(int sysErrno) {
  broken(sysErrno);
}

// ---- ends

void Connection::close() {
  finish(CloseReason::kLocal, 0);
}

void Connection::abort() {
  if (state_ == kClosed) return;
  setResetOnClose(fd_);
  finish(CloseReason::kLocal, 0);
}

void Connection::closeAfterFlush(uint32_t delayMs, uint32_t stallMs) {
  if (state_ == kClosed || state_ == kLingering) return;
  if (state_ == kConnecting || (flags_ & kBroken) != 0) return close();
  linger(delayMs, stallMs);
}

void Connection::abortAfterFlush(uint32_t stallMs) {
  if (state_ == kClosed || state_ == kLingering) return;
  if (state_ == kConnecting || writeEnded()) return abort();
  flags_ |= kCut;
  linger(stallMs, stallMs);
}

void Connection::linger(uint32_t delayMs, uint32_t stallMs) {
  state_ = kLingering;
  dropLeftover();
  flags_ |= kShutAsked;
  ctx_->laneOf(*this);  // the flush goes on with it
  armDeadline(delayMs > 0 ? delayMs : stallMs);
  deadline_->ms = delayMs;
  deadline_->stallMs = std::max(delayMs, stallMs);
  deadline_->sinceMs = ctx_->loop().nowMs();
  if ((ready() & kReadable) != 0) ctx_->loop().again(this, kReadable);
}

void Connection::fail(int sysErrno) {
  bool reset = sysErrno == ECONNRESET || sysErrno == EPIPE;
  finish(reset ? CloseReason::kRemoteReset : CloseReason::kError, sysErrno);
}

void Connection::finish(CloseReason reason, int sysErrno) {
  if (state_ == kClosed) return;
  if (pendingBytes() > 0 && fd_ >= 0) setResetOnClose(fd_);
  state_ = kClosed;
  dropOutput();
  dropLeftover();
  dropDeadline();
  ctx_->loop().remove(this);
  if (fd_ >= 0) ::close(fd_);  // of a race, there may be none left
  fd_ = -1;
  ctx_->open_--;
  ctx_->loop().deferDelete(this);
  owner_->onClosed(*this, reason, sysErrno);
}

void Connection::destroyDeferred() {
  ctx_->connections_.give(this);
}

void Connection::armDeadline(uint32_t ms) {
  if (deadline_ == nullptr) deadline_ = ctx_->deadlines_.take(*this, ms);
  deadline_->ms = ms;
  ctx_->loop().arm(deadline_->timer, ms);
}

void Connection::dropDeadline() {
  if (deadline_ == nullptr) return;
  if (deadline_->race != nullptr) deadline_->endRace();
  ctx_->deadlines_.give(deadline_);
  deadline_ = nullptr;
}

void Connection::deadlinePassed() {
  if (state_ == kConnecting) return finish(CloseReason::kConnectTimeout, ETIMEDOUT);
  if (state_ == kLingering) return lingered();
  // The grace after an error is over.
  if (owner_->moves(*this)) return armDeadline(kErrorGraceMs);
  if (state_ != kOpen) return;
  if ((flags_ & kBroken) == 0 && sysErrno_ == 0) {
    socklen_t size = sizeof sysErrno_;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &sysErrno_, &size);
  }
  fail(sysErrno_ != 0 ? sysErrno_ : ECONNRESET);
}

// Closes when nothing has moved for as long as what is left to do may take.
void Connection::lingered() {
  Deadline& d = *deadline_;
  const uint64_t now = ctx_->loop().nowMs();
  if (d.progress.moved(*this)) d.sinceMs = now;
  const uint64_t most = pending_ > 0 ? d.stallMs : d.ms;
  const bool cut = (flags_ & kCut) != 0;
  if (now - d.sinceMs >= most) return cut ? abort() : close();
  if (cut && pending_ == 0) return cutWhenDelivered();
  ctx_->loop().arm(d.timer, most - (now - d.sinceMs));
}

// All is with our system; what the peer's has not got would be lost with a reset.
void Connection::cutWhenDelivered() {
  if (bytesDelivered() == bytesWritten_) return abort();
  ctx_->loop().arm(deadline_->timer, kDeliveryPollMs);
}

uint64_t Connection::bytesDelivered() const {
  int onTheWay = 0;
#if defined(SIOCOUTQ)
  if (ioctl(fd_, SIOCOUTQ, &onTheWay) != 0) onTheWay = 0;
#elif defined(SO_NWRITE)
  socklen_t size = sizeof onTheWay;
  if (getsockopt(fd_, SOL_SOCKET, SO_NWRITE, &onTheWay, &size) != 0) onTheWay = 0;
#endif
  return bytesWritten_ - uint64_t(onTheWay);
}

}  // namespace millrace
