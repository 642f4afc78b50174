// What all connections of one loop share: the receive buffer, the write batch, pools and counts.
//
// Writing. Within one callback of the loop, everything that is written to a connection is gathered,
// by reference, in a lane of the batch; after the callback (Loop's flush hook) each lane leaves in
// one system call. What the kernel does not take is copied to blocks of the pool, because only then
// may it outlive the callback.
//
// Thread rule: the loop's thread. Destroyed after the loop has stopped and before it is destroyed,
// when all connections are closed.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <memory>

#include "base/arena.h"
#include "base/object_pool.h"
#include "event/loop.h"
#include "net/connection.h"
#include "net/connection_race.h"
#include "net/plain_transport.h"

namespace millrace {

struct Connection::Block {
  static constexpr size_t kBytes = 16 * 1024 - 16;  // 16 KiB with the header
  Block* next = nullptr;
  uint32_t begin = 0;
  uint32_t end = 0;
  char data[kBytes];
  Block() {}  // leaves `data` as it is: new of a class without a constructor would zero it
};

struct Connection::Deadline {
  Deadline(Connection& c, uint32_t afterMs)
      : timer([](void* connection) { static_cast<Connection*>(connection)->deadlinePassed(); }, &c),
        ms(afterMs) {}
  void endRace();
  Timer timer;
  uint32_t ms;
  uint32_t stallMs = 0;  // lingering: how long the flush may stall
  uint64_t sinceMs = 0;  // lingering: when something moved last, loop ms
  Progress progress;
  Race* race = nullptr;  // while connecting to one of several addresses
};

class NetContext {
 public:
  // Shared by all connections of a worker.
  static constexpr size_t kReceiveBuffer = 256 * 1024;
  // Formatted output of one callback; more comes from chunks.
  static constexpr size_t kScratch = 64 * 1024;
  // Connections written to in one callback before one of them is flushed early.
  static constexpr size_t kLanes = 16;
  // Pieces of output of one lane; below IOV_MAX everywhere.
  static constexpr size_t kSlices = 64;
  // Empty blocks: 16 MiB at the most.
  static constexpr size_t kKeptBlocks = 1024;

  // Connection ids are firstId, firstId + idStep, …: give each worker its own residue to make them
  // unique.
  explicit NetContext(Loop& loop, uint64_t firstId = 1, uint64_t idStep = 1);
  ~NetContext();
  NetContext(const NetContext&) = delete;
  NetContext& operator=(const NetContext&) = delete;

  Loop& loop() { return loop_; }
  char* receiveBuffer() { return receiveBuffer_.get(); }
  ChunkPool& chunks() {
    return chunks_;
  }  // for leftovers, scratch, and the arenas of whoever owns connections

  // Sends all that was written since the last flush. The loop calls it after each callback.
  void flush() {
    if (usedLanes_ != 0 || scratchUsed_ != 0) flushLanes();
  }

  size_t openConnections() const { return open_; }

  // Memory that is held for what peers sent and have yet to take: output, unread input, and the
  // arenas of streams, with the bodies that they keep.
  uint64_t bytesHeld() const {
    return chunks_.bytesTaken() + uint64_t(blocks_.inUse()) * sizeof(Connection::Block);
  }
  // Whether it is so much that nothing new should begin here. `most`: bytes; 0: the default.
  bool full(uint64_t most) const { return bytesHeld() > (most != 0 ? most : mostHeld_); }
  void setMostHeld(uint64_t bytes) { mostHeld_ = bytes; }
  // Frees what was not needed since the last call; at most `most` of each kind. Returns how many
  // bytes.
  size_t trim(size_t most);

 private:
  friend class Connection;
  // The write batch of one connection.
  struct Lane {
    Connection* connection = nullptr;
    uint32_t slices = 0;
    size_t bytes = 0;
    std::array<iovec, kSlices> iov;
  };

  Lane& laneOf(Connection& c);
  void addSlice(Connection& c, const char* bytes, size_t size);
  void releaseLane(Connection& c);
  void flushLanes();
  char* scratch(size_t size);

  Loop& loop_;
  uint64_t nextId_;
  uint64_t idStep_;
  size_t open_ = 0;
  uint64_t mostHeld_ = UINT64_MAX;
  uint32_t usedLanes_ = 0;   // a bit for each
  uint32_t nextVictim_ = 0;  // which lane to flush when all are used
  size_t scratchUsed_ = 0;
  std::unique_ptr<char[]> receiveBuffer_;
  std::unique_ptr<char[]> scratch_;
  std::array<Lane, kLanes> lanes_;
  PlainTransport plain_;
  ChunkPool chunks_;
  Arena largeScratch_{chunks_};
  ObjectPool<Connection> connections_;
  ObjectPool<Connection::Block> blocks_{kKeptBlocks};
  ObjectPool<Connection::Deadline> deadlines_;
  ObjectPool<Connection::Race> races_{16};
};

}  // namespace millrace
