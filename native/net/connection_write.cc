// Connection: writing. What is written within one callback waits in a lane of the worker's batch
// (NetContext) and leaves in one system call; blocks hold what the kernel did not take.
#include <cerrno>
#include <cstring>

#include "net/connection.h"
#include "net/net_context.h"
#include "stats/shard.h"

namespace millrace {

void Connection::setBufferedGauges(StatCell* rxAndTx) {
  if (buffered_ != nullptr) {
    buffered_[0].sub(leftoverSize_);
    buffered_[1].sub(pending_);
  }
  buffered_ = rxAndTx;
  buffered_[0].add(leftoverSize_);
  buffered_[1].add(pending_);
}

void Connection::write(std::string_view bytes) {
  if (bytes.empty() || writeEnded() || state_ == kClosed) return;
  ctx_->addSlice(*this, bytes.data(), bytes.size());
}

void Connection::writeCopy(std::string_view bytes) {
  if (bytes.empty() || writeEnded() || state_ == kClosed) return;
  char* at = ctx_->scratch(bytes.size());
  std::memcpy(at, bytes.data(), bytes.size());
  ctx_->addSlice(*this, at, bytes.size());
}

char* Connection::reserve(size_t size) {
  char* at = ctx_->scratch(size);
  if (size > 0 && !writeEnded() && state_ != kClosed) ctx_->addSlice(*this, at, size);
  return at;
}

void Connection::trimReserved(size_t unused) {
  if (unused == 0 || lane_ == kNoLane) return;
  NetContext::Lane& lane = ctx_->lanes_[lane_];
  MR_DASSERT(lane.slices > 0 && lane.iov[lane.slices - 1].iov_len >= unused);
  iovec& last = lane.iov[lane.slices - 1];
  last.iov_len -= unused;
  lane.bytes -= unused;
  char* scratchEnd = ctx_->scratch_.get() + ctx_->scratchUsed_;
  if (static_cast<char*>(last.iov_base) + last.iov_len + unused == scratchEnd) {
    ctx_->scratchUsed_ -= unused;
  }
  if (last.iov_len == 0) lane.slices--;
}

void Connection::flushNow() {
  if (lane_ != kNoLane) sendLane();
}

size_t Connection::pendingBytes() const {
  return pending_ + (lane_ != kNoLane ? ctx_->lanes_[lane_].bytes : 0);
}

void Connection::shutdownWrite() {
  if (state_ == kClosed || writeEnded()) return;
  flags_ |= kShutAsked;
  ctx_->laneOf(*this);  // the flush does it, even when there is nothing to be sent
}

// Sends the lane's slices; the rest goes to blocks. No callbacks.
void Connection::sendLane() {
  NetContext::Lane& lane = ctx_->lanes_[lane_];
  if (lane.slices == 0) return;
  const iovec* iov = lane.iov.data();
  const iovec* end = iov + lane.slices;
  size_t sent = 0;
  if (pending_ == 0 && state_ != kConnecting && (flags_ & kBroken) == 0) {
    ssize_t n = transport_->write(fd_, iov, int(lane.slices));
    if (n >= 0) {
      sent = size_t(n);
      bytesWritten_ += sent;
    } else if (errno == EINTR) {
      ctx_->loop().again(this, kWritable);
    } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
      broken(errno);
    }
  }
  if (sent < lane.bytes && (flags_ & kBroken) == 0) {
    for (; iov != end; iov++) {
      size_t skip = sent < iov->iov_len ? sent : iov->iov_len;
      sent -= skip;
      append(static_cast<const char*>(iov->iov_base) + skip, iov->iov_len - skip);
    }
  }
  lane.slices = 0;
  lane.bytes = 0;
}

// After the flush: what the owner is told, and what waited for the bytes to be out.
void Connection::flushed() {
  if (state_ == kClosed) return;
  if (pending_ > high_ && (flags_ & kAboveHigh) == 0 && state_ != kLingering) {
    flags_ |= kAboveHigh;
    owner_->onHighWatermark(*this);
  }
  if (pending_ == 0 && state_ != kClosed && state_ != kConnecting) shutNow();
}

// The socket takes bytes again.
void Connection::sendPending() {
  constexpr int kMost = int(kWriteCapPerEvent / Block::kBytes);
  iovec iov[kMost];
  int count = 0;
  size_t size = 0;
  for (Block* b = firstBlock_; b != nullptr && count < kMost; b = b->next) {
    iov[count++] = {b->data + b->begin, b->end - b->begin};
    size += b->end - b->begin;
  }
  ssize_t n = transport_->write(fd_, iov, count);
  if (n < 0) {
    if (errno == EINTR) return ctx_->loop().again(this, kWritable);
    if (errno != EAGAIN && errno != EWOULDBLOCK) broken(errno);
    return;
  }
  takeSent(size_t(n));
  if (state_ == kLingering) deadline_->sinceMs = ctx_->loop().nowMs();
  if (size_t(n) == size && pending_ > 0) ctx_->loop().again(this, kWritable);
  if ((flags_ & kAboveHigh) != 0 && pending_ <= low_) {
    flags_ &= uint16_t(~kAboveHigh);
    if (state_ == kOpen) owner_->onLowWatermark(*this);
  }
  if (pending_ == 0 && state_ == kOpen) owner_->onDrained(*this);
  if (pending_ == 0 && state_ != kClosed) shutNow();
}

void Connection::append(const char* bytes, size_t size) {
  pending_ += uint32_t(size);
  if (buffered_ != nullptr) buffered_[1].add(size);
  while (size > 0) {
    if (lastBlock_ == nullptr || lastBlock_->end == Block::kBytes) {
      Block* fresh = ctx_->blocks_.take();
      (lastBlock_ == nullptr ? firstBlock_ : lastBlock_->next) = fresh;
      lastBlock_ = fresh;
    }
    size_t room = Block::kBytes - lastBlock_->end;
    size_t n = size < room ? size : room;
    std::memcpy(lastBlock_->data + lastBlock_->end, bytes, n);
    lastBlock_->end += uint32_t(n);
    bytes += n;
    size -= n;
  }
}

void Connection::takeSent(size_t size) {
  bytesWritten_ += size;
  pending_ -= uint32_t(size);
  if (buffered_ != nullptr) buffered_[1].sub(size);
  while (firstBlock_ != nullptr) {
    size_t held = firstBlock_->end - firstBlock_->begin;
    if (size < held) {
      firstBlock_->begin += uint32_t(size);
      return;
    }
    size -= held;
    Block* empty = firstBlock_;
    firstBlock_ = empty->next;
    ctx_->blocks_.give(empty);
  }
  lastBlock_ = nullptr;
}

// Everything is with the kernel: our end of stream, if it was asked for. Closing sends it too.
void Connection::shutNow() {
  if ((flags_ & kShutAsked) == 0 || pendingBytes() > 0) return;
  if ((flags_ & kCut) != 0) return cutWhenDelivered();
  if (state_ == kLingering && (deadline_->ms == 0 || readEnded())) {
    return finish(CloseReason::kLocal, 0);
  }
  if (readEnded()) return finish(CloseReason::kRemoteEnd, 0);
  if (state_ == kLingering) {
    deadline_->sinceMs = ctx_->loop().nowMs();
    ctx_->loop().arm(deadline_->timer, deadline_->ms);
  }
  flags_ = uint16_t((flags_ & ~kShutAsked) | kWriteShut);
  transport_->shutdownWrite(fd_);
}

// Nothing can be written any more. The owner is told from the loop.
void Connection::broken(int sysErrno) {
  dropOutput();
  sysErrno_ = sysErrno;
  flags_ |= kBroken | kWriteShut;
  ctx_->loop().again(this, kReadable | kError);
}

void Connection::dropOutput() {
  ctx_->releaseLane(*this);
  while (firstBlock_ != nullptr) {
    Block* next = firstBlock_->next;
    ctx_->blocks_.give(firstBlock_);
    firstBlock_ = next;
  }
  lastBlock_ = nullptr;
  if (buffered_ != nullptr) buffered_[1].sub(pending_);
  pending_ = 0;
}

}  // namespace millrace
