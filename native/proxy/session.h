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
  // Closes now when there is nothing to lose (an idle keep-alive connection), else as soon as that
  // is so.
  virtual void drain() = 0;
  // Closes now, whatever is under way.
  virtual void closeNow() = 0;

 protected:
  ~Session() = default;
};

// How busy a worker is: written by it alone, read by the others when they accept. Its own cache
// line.
struct alignas(64) WorkerLoad {
  std::atomic<uint32_t> connections{0};
  std::atomic<uint64_t> requests{0};
  std::atomic<uint64_t> handedOver{0};  // accepted here, served by another worker
  std::atomic<uint64_t> received{0};    // the other way round
  std::atomic<uint64_t> bytesHeld{0};   // NetContext::bytesHeld(), as of the last turn
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
};

}  // namespace millrace
