// A byte ring of whole records (log lines) from one worker to one flush thread: single producer,
// single consumer.
//
// The producer never waits: a record goes in whole, or is dropped and counted. When `maxBytes`
// allows, a full ring grows by another segment, which is freed again once it was emptied.
//
//   producer ─▶ [segment] ─▶ [segment] ─▶ … ─▶ consumer
//
// Records lie end to end and may wrap inside a segment, but are never in two segments.
//
// Thread rule: each method says whose it is. Counters may be read by any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "flush/waker.h"

namespace millrace {

class FlushRing {
 public:
  struct Limits {
    size_t segmentBytes;  // size of the ring
    size_t maxBytes;      // bound of all its segments together; not above segmentBytes: never grows
    size_t fillMark;      // bytes from which on the flush thread is woken
    // Who crosses the mark is only told so (wakeWanted()), to wake the flush thread when it suits
    // it; the ring wakes it by itself when a quarter of maxBytes is taken.
    bool deferWake = false;
  };
  // What went in and what did not. `bytes` are those of the records, without the ring's own
  // headers.
  struct Counts {
    uint64_t lines = 0, bytes = 0;                // accepted
    uint64_t droppedLines = 0, droppedBytes = 0;  // refused: the ring was full
    uint64_t grown = 0;                           // segments added
  };

  // Bytes that the ring adds to each record.
  static constexpr size_t kHeaderBytes = 16;
  // A longer record is refused (and counted as dropped) whatever the limits are.
  static constexpr size_t kMaxRecordBytes = size_t{1} << 30;

  // `waker` outlives the ring.
  FlushRing(const Limits& limits, FlushWaker* waker);
  ~FlushRing();
  FlushRing(const FlushRing&) = delete;
  FlushRing& operator=(const FlushRing&) = delete;

  // Producer. Copies `record` in, or counts it as dropped and returns false. `stampNs` says when it
  // belongs (monotonic; a loop's nowNs() will do): the flush thread merges rings by it. No system
  // call below the fill mark. An empty record is nothing.
  bool write(std::string_view record, uint64_t stampNs);
  // Producer. As write(), but what does not fit is not counted: the caller will offer it again, or
  // count it by drop().
  bool offer(std::string_view record, uint64_t stampNs);
  void drop(size_t bytes);
  // Producer: whether a record of this size can ever be taken, when the ring is empty again.
  bool fitsEver(size_t size) const;
  // Producer, with deferWake: the flush thread should be woken; the answer is given once.
  bool wakeWanted() { return std::exchange(wakeWanted_, false); }
  // Producer: wakes the flush thread, if no wake-up is under way. One system call.
  void wake();
  // Producer: bytes not yet taken, headers included, as last seen.
  uint64_t buffered() const { return rawIn_ - rawOutSeen_; }
  // Producer: wants to hear when what it has written is with the kernel; see takeDrainWanted().
  void wantDrain() { drainWanted_.store(true, std::memory_order_release); }
  // Producer, once: nothing more will be written. The flush thread lets the ring go when it is
  // empty.
  void close() { closed_.store(true, std::memory_order_release); }

  // Any thread.
  Counts counts() const;

  // Consumer: lets the producer wake it again, then tells how many records were committed so far.
  uint64_t committed();
  // Consumer: records taken so far.
  uint64_t taken() const { return taken_; }
  // Consumer: remembers how far a pass goes; beforeMark() tells whether it is not yet there.
  void mark() { mark_ = committed(); }
  bool beforeMark() const { return taken_ < mark_; }
  // Consumer: whether the producer asked for it since the last call.
  bool takeDrainWanted() { return drainWanted_.exchange(false, std::memory_order_acq_rel); }
  // Consumer: frees no memory from now on, because a signal handler must not.
  void keepSegments() { keepSegments_ = true; }
  // Consumer: nothing is in the ring and nothing will ever be.
  bool finished() const;
  struct Head {
    uint64_t stampNs;
    uint32_t size;
  };
  // Consumer: the next record. Only while taken() < committed().
  Head peek();
  // Consumer: copies the record that peek() described into `out` and frees its space.
  void take(char* out);
  // Consumer: copies a part of that record, and leaves it where it is.
  void copyPart(size_t offset, size_t size, char* out) const;
  // Consumer: frees its space.
  void skip();

 private:
  struct Segment;

  bool makeRoom(size_t need);
  void copyIn(const void* from, size_t size);
  static void copyOut(const Segment& s, size_t offset, void* to, size_t size);
  void askForFlush();

  const Limits limits_;
  FlushWaker* const waker_;

  // Producer's part. The atomics in it are written by the producer alone.
  alignas(64) Segment* writing_;
  uint64_t head_ = 0;      // bytes ever put into writing_
  uint64_t tailSeen_ = 0;  // bytes the consumer had taken out of it when last looked
  size_t writeOffset_ = 0;
  uint64_t rawIn_ = 0;  // bytes with headers, over all segments
  uint64_t rawOutSeen_ = 0;
  std::atomic<uint64_t> lines_{0};
  std::atomic<uint64_t> bytes_{0};
  std::atomic<uint64_t> droppedLines_{0};
  std::atomic<uint64_t> droppedBytes_{0};
  std::atomic<uint64_t> grown_{0};
  std::atomic<bool> closed_{false};
  std::atomic<bool> asked_{false};  // a wake-up was sent that the consumer has not seen yet
  std::atomic<bool> drainWanted_{false};
  bool wakeWanted_ = false;

  // Consumer's part.
  alignas(64) Segment* reading_;
  uint64_t tail_ = 0;
  size_t readOffset_ = 0;
  uint64_t taken_ = 0;
  Head next_{};
  uint64_t mark_ = 0;
  bool peeked_ = false;
  bool keepSegments_ = false;
  std::atomic<uint64_t> rawOut_{0};

  // Both: bytes of all live segments.
  alignas(64) std::atomic<size_t> allocated_;
};

}  // namespace millrace
