#include "net/net_context.h"

#include <bit>

namespace millrace {

NetContext::NetContext(Loop& loop, uint64_t firstId, uint64_t idStep)
    : loop_(loop),
      nextId_(firstId),
      idStep_(idStep),
      receiveBuffer_(std::make_unique_for_overwrite<char[]>(kReceiveBuffer)),
      scratch_(std::make_unique_for_overwrite<char[]>(kScratch)) {
  loop_.setFlushHook([](void* self) { static_cast<NetContext*>(self)->flush(); }, this);
}

NetContext::~NetContext() {
  MR_DASSERT(open_ == 0);
  loop_.runDeferred();  // closed connections go back to their pool
  loop_.setFlushHook(nullptr, nullptr);
}

size_t NetContext::trim(size_t most) {
  return chunks_.trim(most) + connections_.trim(most) + blocks_.trim(most) + deadlines_.trim(most) +
         races_.trim(most);
}

// The lane of `c`; when all are taken, another connection's bytes are sent to free one.
NetContext::Lane& NetContext::laneOf(Connection& c) {
  if (c.lane_ != Connection::kNoLane) return lanes_[c.lane_];
  uint32_t free = ~usedLanes_ & ((1u << kLanes) - 1);
  uint32_t index;
  if (free != 0) {
    index = uint32_t(std::countr_zero(free));
  } else {
    index = nextVictim_++ % kLanes;
    Connection& victim = *lanes_[index].connection;
    victim.sendLane();
    releaseLane(victim);
    loop_.again(&victim, 0);  // for what else follows a flush
  }
  usedLanes_ |= 1u << index;
  c.lane_ = uint8_t(index);
  Lane& lane = lanes_[index];
  lane.connection = &c;
  lane.slices = 0;
  lane.bytes = 0;
  return lane;
}

void NetContext::addSlice(Connection& c, const char* bytes, size_t size) {
  Lane& lane = laneOf(c);
  lane.bytes += size;
  if (lane.slices > 0) {
    iovec& last = lane.iov[lane.slices - 1];
    if (static_cast<char*>(last.iov_base) + last.iov_len == bytes) {
      last.iov_len += size;
      return;
    }
    if (lane.slices == kSlices) {
      lane.bytes -= size;
      c.sendLane();
      if (c.lane_ == Connection::kNoLane) return;  // nothing can be written any more
      lane.bytes = size;
    }
  }
  lane.iov[lane.slices++] = {const_cast<char*>(bytes), size};
}

void NetContext::releaseLane(Connection& c) {
  if (c.lane_ == Connection::kNoLane) return;
  Lane& lane = lanes_[c.lane_];
  usedLanes_ &= ~(1u << c.lane_);
  lane.connection = nullptr;
  lane.slices = 0;
  lane.bytes = 0;
  c.lane_ = Connection::kNoLane;
}

// First every system call, then the callbacks: these may free what the slices of another lane refer
// to.
void NetContext::flushLanes() {
  do {
    uint32_t sent = usedLanes_;
    for (uint32_t left = sent; left != 0; left &= left - 1) {
      lanes_[size_t(std::countr_zero(left))].connection->sendLane();
    }
    scratchUsed_ = 0;
    largeScratch_.reset();
    for (uint32_t left = sent; left != 0; left &= left - 1) {
      Connection* c = lanes_[size_t(std::countr_zero(left))].connection;
      // Closed by a callback, or written to by one: then it is the next round's.
      if (c == nullptr || lanes_[c->lane_].slices > 0) continue;
      releaseLane(*c);
      c->flushed();
    }
  } while (usedLanes_ != 0);
}

char* NetContext::scratch(size_t size) {
  if (size > kScratch - scratchUsed_) return static_cast<char*>(largeScratch_.allocate(size, 1));
  char* at = scratch_.get() + scratchUsed_;
  scratchUsed_ += size;
  return at;
}

}  // namespace millrace
