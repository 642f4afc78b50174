// What a listener keeps on one worker, and what it knows of the connections that it accepted there.
// Thread rule: the worker's loop, but for the atomics, which any thread may read.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/list.h"
#include "rcu/snapshot.h"
#include "stats/shard.h"

namespace millrace {

// An accepted connection with what serves it.
class Session : public ListNode<Session> {
 public:
  // It is to end. Where the protocol can say so, the peer is told with the next response, and the
  // connection closes after that one.
  virtual void drain() = 0;
  // Closes now if nothing would be lost: nothing is under way, nothing that has arrived waits to be
  // read, and that has been so for quietMs. For sessions that know when that is so.
  virtual void closeIfQuiet(uint64_t quietMs) { (void)quietMs; }
  // Closes now, whatever is under way.
  virtual void closeNow() = 0;

 protected:
  ~Session() = default;
};

// How busy a worker is: written by it alone (but for what says otherwise), read by the others when
// they accept. Its own cache line.
struct alignas(64) WorkerLoad {
  std::atomic<uint32_t> connections{0};
  // On their way from other workers, which count them up; they are in `connections` before they
  // are no longer here. Else a burst would all go to the worker that was the least loaded before.
  std::atomic<uint32_t> coming{0};
  // That this worker accepts on. Counted down (release) after what waited was accepted.
  std::atomic<uint32_t> sockets{0};
  std::atomic<uint64_t> requests{0};
  std::atomic<uint64_t> handedOver{0};  // accepted here, served by another worker
  std::atomic<uint64_t> received{0};    // the other way round
  std::atomic<uint64_t> bytesHeld{0};   // NetContext::bytesHeld(), as of the last turn

  // Any thread.
  uint32_t expected() const {
    // In this order: see `coming`.
    uint32_t soon = coming.load(std::memory_order_acquire);
    return soon + connections.load(std::memory_order_relaxed);
  }
};

struct ListenerLocal {
  List<Session> sessions;
  StatBlock stats;  // listener_stats.h
  WorkerLoad* load = nullptr;
  // Connections of this listener on all workers, for its limit. Taken when one is accepted, given
  // back by closed().
  std::atomic<uint32_t>* total = nullptr;
  SlotId config = kNoSlot;  // the listener's ListenerConfig
  bool draining = false;
  bool modifyOnly = false;  // drain type: does not drain because of failed health

  void opened(Session& s);
  void closed(Session& s);
  // The numbers go on in another block; what is open is open there now.
  void moveStats(StatBlock to);
};

}  // namespace millrace
