// What a worker gives back of its memory once a peak is over, and how much it may hold for its
// peers.
//
// Pools keep what one interval did not need and free it at its end; when the worker is at rest,
// what the allocator holds goes back to the system. A timer runs while there are connections, or
// something was freed.
//
// Thread rule: the worker's loop; made by the main thread.
#pragma once

#include <cstdint>

#include "event/loop.h"
#include "proxy/worker_context.h"

namespace millrace {

class WorkerMemory {
 public:
  static constexpr uint32_t kIntervalMs = 5000;
  // Freed of each kind in one interval: a fraction of a millisecond's work.
  static constexpr size_t kMostFreed = 1024;
  // From so much on the allocator is asked to give back what it holds, which takes it milliseconds.
  static constexpr uint64_t kWorthGivingBack = 8 * 1024 * 1024;
  // At rest: busy for at most this part of the interval.
  static constexpr uint64_t kRestOfTime = 10;
  // What all workers may hold together, as a part of the memory that the process may use.
  static constexpr uint64_t kPartOfMemory = 2;

  // `workers`: how many share the process's memory.
  WorkerMemory(WorkerContext& context, uint32_t workers);
  WorkerMemory(const WorkerMemory&) = delete;
  WorkerMemory& operator=(const WorkerMemory&) = delete;

  // Once a turn.
  void turned() {
    const uint64_t held = context_.net.bytesHeld();
    context_.load.bytesHeld.store(held, std::memory_order_relaxed);
    if (held > peak_) peak_ = held;
    if (!timer_.armed() && context_.net.openConnections() != 0) arm();
  }

 private:
  void arm() { context_.loop.arm(timer_, kIntervalMs); }
  void intervalOver();

  WorkerContext& context_;
  Timer timer_;
  uint64_t peak_ = 0;   // of what was held since something was given back
  uint64_t freed_ = 0;  // by the pools, since then
  uint64_t busyNs_ = 0;
};

// Bytes of memory that this process may use: the machine's, or its control group's limit.
uint64_t memoryOfProcess();

}  // namespace millrace
