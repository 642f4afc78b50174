// The slot table: how the main thread hands immutable snapshots to every worker, and gets them
// back.
//
//   main thread                                      a worker, with its Reader
//   -----------                                      -------------------------
//   publish(slot, snapshot)   stages a Version       get(slot)   a plain load from a private view
//     current = version       (release)              pin(slot)   keeps that version past the batch:
//     log[position] = slot                                       a count of this worker alone
//
//   commit()                  once per turn          quiesce()   between two batches, every turn
//     generation = position   (release)     ----->     g = generation   (acquire)
//     wake(reader)            unless told already      take each slot logged up to g: refs + 1
//                                                      let go of what was moved past, not pinned
//   reclaim()                                          taken = g        (release)
//     horizon = min(generation, all taken)  <-----
//     drop what was replaced up to there:            a version's last reference, wherever it goes:
//       refs - 1                                       onto the list of returned versions
//     destroy what was returned             <-----
//
//   A version's life: staged -> current -> retired (replaced; the table itself still holds a
//   reference) -> dropped (every reader has passed a quiet period since; only pins may hold it)
//   -> destroyed, on the main thread.
//
// The generation counts published changes. It is also the epoch: a reader that has taken generation
// g has passed a quiet period since every change up to g, so nothing else has to be announced, and
// an unchanged table costs a reader one load. What a reader sees is always the whole table as of
// one commit(): a version newer than g that it comes upon is walked past, along `prev`, to the one
// that was current at g.
//
// A table may be shared instead (Sharing::kAnyThread): its functions are called by any thread, one
// at a time, under a lock of the caller's. Its readers belong to threads that may stop for as long
// as they like, so they are parked: between two quiet periods they look at nothing but what they
// hold a reference to, at most one version of each slot, and the horizon passes them by. A quiet
// period with news announces itself first:
//
//     epoch = generation      (seq_cst)            commit()   generation = position   (seq_cst)
//     g = generation          (seq_cst)            reclaim()  horizon = min(generation,
//     take each slot as of g: refs + 1                                     all epochs (seq_cst))
//     epoch = parked          (release)
//
// Whoever computes a horizon without seeing the announcement did so before it, from a generation
// that is at most g; what this reader walks past and takes was replaced after g.
//
// slot_table.pml beside this file is the same protocol as a model for SPIN, with the same names.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/assert.h"
#include "base/result.h"
#include "rcu/reader.h"
#include "rcu/snapshot.h"

namespace millrace {

// The table. One thread, the one that made it, is its main thread; every function here belongs to
// it, unless the table is shared.
class SlotTable {
 public:
  using WakeFn = void (*)(void* context);
  enum class Sharing : uint8_t {
    kMainThread,
    // Whoever holds the caller's lock is the main thread. Readers are parked; each is attached and
    // detached, under the lock, by the thread that uses it. Snapshots are destroyed on any of them.
    kAnyThread,
  };
  // How the table asks its owner to call it again. Without hooks the owner calls commit() and
  // reclaim() by itself.
  struct Hooks {
    // On the main thread: the first change since the last commit() was published.
    WakeFn scheduleCommit = nullptr;
    // On any thread: reclaim() may have work. Not called again before reclaim() was.
    WakeFn scheduleReclaim = nullptr;
    void* context = nullptr;
  };
  struct Stats {
    uint64_t generation = 0;  // committed changes since the beginning
    uint64_t lag = 0;         // changes that the reader furthest behind has not taken
    uint32_t slots = 0;       // allocated
    uint32_t readers = 0;
    uint64_t published = 0;  // snapshots, since the beginning
    uint64_t live = 0;       // snapshots that are current in their slot
    uint64_t retired = 0;    // snapshots replaced and not yet destroyed
    uint64_t freed = 0;      // snapshots destroyed, since the beginning
  };

  SlotTable() : SlotTable(Hooks()) {}
  explicit SlotTable(Hooks hooks, Sharing sharing = Sharing::kMainThread);
  // Every reader must have been detached, or have left. Destroys every snapshot.
  ~SlotTable();
  SlotTable(const SlotTable&) = delete;
  SlotTable& operator=(const SlotTable&) = delete;

  // A new, empty slot. `name` is for people. Error ERR_MILLRACE_SLOTS_EXHAUSTED at kMaxSlots.
  Result<SlotId> allocate(std::string_view name);
  // The slot's next version; null empties the slot. Workers see it after commit(). `id` must be
  // allocated.
  void publish(SlotId id, std::unique_ptr<const Snapshot> snapshot);
  // Empties the slot and frees its index. Workers see it after commit(). `id` must be allocated.
  void release(SlotId id);
  bool allocated(SlotId id) const;
  // Number of publishes of this slot so far, committed or not.
  uint64_t version(SlotId id) const;
  const std::string& name(SlotId id) const;
  // The newest snapshot, committed or not; valid until the next publish, release, or reclaim.
  const Snapshot* latest(SlotId id) const;

  // Makes everything published since the last commit() visible to workers, all together, and wakes
  // each reader once, unless it was woken before and has not come by since.
  void commit();
  // Destroys what no reader can see any more, and drops readers that left.
  void reclaim();

  // A reader that sees what is committed now. The table owns it. `wake` (may be null: it polls) is
  // called by commit() on the main thread and must make its worker pass a quiet period soon. `gone`
  // (may be null) is called on the main thread when the reader no longer exists; `context` must
  // stay valid until then.
  Reader* attach(WakeFn wake, void* context, WakeFn gone = nullptr);
  // For a worker that has stopped (its thread was joined, or it said so through something that
  // synchronises), without pins. A worker that the main thread cannot wait for uses Reader::leave()
  // instead.
  void detach(Reader* reader);

  uint64_t generation() const { return generation_.load(std::memory_order_relaxed); }
  Stats stats() const;
  // Readers that have not left, in the order of attach(); for a figure per worker. Valid until
  // detach().
  std::vector<const Reader*> readers() const;

 private:
  friend class Reader;
  // Slots come in chunks that never move, so that readers can look while the table grows.
  static constexpr uint32_t kSlotsPerChunk = 1024;
  // A reader that missed more changes than this looks at every slot in use instead: still bounded,
  // and rare.
  static constexpr uint64_t kLogEntries = 4096;
  static constexpr uint64_t kGone = ~uint64_t(0);  // Reader::taken_ of one that left
  struct Chunk {
    std::atomic<rcu::Version*> current[kSlotsPerChunk] = {};
  };
  struct SlotInfo {       // main thread only
    SlotId id = kNoSlot;  // of the present or last owner
    uint32_t uses = 0;
    bool allocated = false;
    uint64_t number = 0;
    std::string name;
  };

  std::atomic<rcu::Version*>& current(uint32_t index) const {
    // Relaxed: the chunk was stored before the slotCount_ or generation, acquired, that led here.
    Chunk* chunk = chunks_[index / kSlotsPerChunk].load(std::memory_order_relaxed);
    return chunk->current[index % kSlotsPerChunk];
  }
  SlotInfo& info(SlotId id);
  const SlotInfo& info(SlotId id) const;
  void checkThread() const {
    MR_DASSERT(sharing_ == Sharing::kAnyThread || std::this_thread::get_id() == thread_);
  }
  void replace(SlotId id, uint64_t number, std::unique_ptr<const Snapshot> snapshot);
  void retire(rcu::Version* version, uint64_t replacedAt);
  void askForReclaim();
  void giveBack(rcu::Version* version);
  void drop(rcu::Version* version);
  void destroy(rcu::Version* version);
  void removeGoneReaders();
  uint64_t horizon() const;
  uint64_t leastTaken() const;

  const Hooks hooks_;
  const Sharing sharing_;
  const std::thread::id thread_;
  std::atomic<Chunk*> chunks_[kMaxSlots / kSlotsPerChunk] = {};
  std::vector<std::unique_ptr<Chunk>> ownedChunks_;
  std::vector<SlotInfo> slots_;
  std::deque<uint32_t> free_;  // indexes, oldest first
  std::vector<std::unique_ptr<Reader>> readers_;
  std::deque<rcu::Version*> retired_;  // in the order of replacedAt
  uint64_t position_ = 0;              // of the last change staged
  Stats counts_;

  alignas(64) std::atomic<uint64_t> generation_{0};
  std::atomic<uint32_t> slotCount_{0};  // indexes ever allocated
  // The change at position p is in log_[p % kLogEntries] as p << 16 | index, so that a reader sees
  // if it was overwritten.
  std::unique_ptr<std::atomic<uint64_t>[]> log_;
  alignas(64) std::atomic<rcu::Version*> returned_{nullptr};
  std::atomic<bool> reclaimAsked_{false};
};

}  // namespace millrace
