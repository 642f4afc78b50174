// A worker's side of the slot table: its private view, its pins, its quiet period. How this works
// together with the main thread is drawn in slot_table.h.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "base/assert.h"
#include "base/object_pool.h"
#include "rcu/snapshot.h"

namespace millrace {

class Reader;
class SlotTable;

namespace rcu {

// One published state of a slot. Everything but `refs` and `next` is constant from publish() on.
struct Version {
  SlotId id = kNoSlot;
  uint64_t number = 0;      // counts the publishes of this slot, from 1
  uint64_t generation = 0;  // the table's, that brings this version
  uint64_t replacedAt = 0;  // main thread only: the generation that took it away
  // What it replaced; valid for a reader that has not taken `generation` yet, and for no other.
  Version* prev = nullptr;
  const Snapshot* snapshot = nullptr;  // owned; null: released, or nothing published
  std::atomic<uint32_t> refs{1};       // the table, and each reader once
  Version* next = nullptr;             // on the list of returned versions
};

// A version as one reader holds it. Pins are counted here, by that reader's thread alone.
struct Held {
  Version* version = nullptr;
  const Snapshot* snapshot = nullptr;  // the version's, on this worker's own cache line
  Reader* reader = nullptr;
  Held* next = nullptr;  // on the reader's list of versions to let go
  uint32_t pins = 0;
  bool current = true;  // in the reader's view; not yet moved past
};

}  // namespace rcu

// Keeps one version of one slot alive beyond the batch: a request in flight holds one. Movable, on
// the reader's thread only; costs a plain increment and decrement. Must be gone before its reader
// is.
class Pin {
 public:
  Pin() = default;
  Pin(Pin&& other) noexcept : held_(other.held_) { other.held_ = nullptr; }
  Pin& operator=(Pin&& other) noexcept {
    if (this != &other) {
      reset();
      held_ = other.held_;
      other.held_ = nullptr;
    }
    return *this;
  }
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;
  ~Pin() { reset(); }

  // Null for an empty pin (nothing was published in the slot).
  const Snapshot* get() const { return held_ == nullptr ? nullptr : held_->snapshot; }
  template <typename T>
  const T* get() const {
    return static_cast<const T*>(get());
  }
  explicit operator bool() const { return held_ != nullptr; }
  // Another pin on the same version, for a second owner.
  Pin again() const { return Pin(held_); }
  inline void reset();

 private:
  friend class Reader;
  explicit Pin(rcu::Held* held) : held_(held) {
    if (held_ != nullptr) held_->pins++;
  }
  rcu::Held* held_ = nullptr;
};

// One worker's view of the table. Made by SlotTable::attach(), then used on one thread only: its
// worker's.
class Reader {
 public:
  // Called during quiesce() for each slot that changed, when the whole view is already the new one.
  // `old` stays valid during the call (longer only for those who pinned it before); null: nothing
  // was there. `now` is null after a release. May drop pins; must not call quiesce().
  using ChangeFn = void (*)(void* context, SlotId id, const Snapshot* old, const Snapshot* now);

  // Only SlotTable::attach() can make the key.
  class AttachKey {
    friend class SlotTable;
    AttachKey() = default;
  };
  using WakeFn = void (*)(void* context);
  Reader(AttachKey, SlotTable* table, WakeFn wake, WakeFn gone, void* context);
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // What the slot held at the last quiet period; null where nothing was published or the handle is
  // no longer valid. Valid until the next quiesce(). A plain load; the one function here that
  // checks no thread, being on every path.
  const Snapshot* get(SlotId id) const {
    uint32_t index = slotIndex(id);
    if (__builtin_expect(index >= viewSize_, 0)) return nullptr;
    const Entry& entry = view_[index];
    return __builtin_expect(entry.id == id, 1) ? entry.snapshot : nullptr;
  }
  // T must be what is published in this slot.
  template <typename T>
  const T* get(SlotId id) const {
    return static_cast<const T*>(get(id));
  }
  // As get(), and keeps the version until the pin is gone. Empty where get() gives null.
  Pin pin(SlotId id) {
    checkThread();
    return get(id) == nullptr ? Pin() : Pin(view_[slotIndex(id)].held);
  }
  // How often the slot had been published when this view was taken; 0 where get() gives null.
  uint64_t version(SlotId id) const {
    return get(id) == nullptr ? 0 : view_[slotIndex(id)].held->version->number;
  }

  // The quiet period: no pointer that get() gave is used any more. Takes what was committed since
  // and lets go of what was moved past and has no pin. Without news: two loads. With news: as much
  // work as slots have changed, at the most one update a slot.
  inline void quiesce();

  // One observer; null for none. The content at attach() is not reported.
  void observe(ChangeFn fn, void* context) {
    onChange_ = fn;
    onChangeContext_ = context;
  }

  // The last act of a worker that goes away by itself: lets go of everything. Nothing may be
  // pinned. The main thread drops the reader in its next reclaim(); the reader must not be used any
  // more. The table must outlive the call.
  void leave();

  // Any thread: the generation this reader has taken, which counts the changes it has seen.
  uint64_t taken() const { return taken_.load(std::memory_order_acquire); }
  // This reader's thread: versions that were moved past and are still pinned.
  size_t pinnedOld() const { return old_; }

 private:
  friend class Pin;
  friend class SlotTable;
  struct Entry {
    const Snapshot* snapshot = nullptr;
    rcu::Held* held = nullptr;
    SlotId id = kNoSlot;
  };
  struct Change {
    SlotId id;
    const Snapshot* old;
    const Snapshot* now;
  };

  static constexpr uint64_t kParked = ~uint64_t(0);

  void checkThread();
  void quiesceSlow();
  uint64_t announce();
  void takeUpdates(uint64_t generation);
  bool takeLogged(uint64_t generation);
  void takeAll(uint64_t generation);
  void takeSlot(uint32_t index, uint64_t generation);
  void moveTo(Entry& entry, rcu::Version* version);
  void growView(uint32_t slots);
  void report();
  void loosen(rcu::Held* held);
  void letGoLoose();
  void letGo(rcu::Held* held);
  void letGoAll();

  // What get() and an uneventful quiesce() touch, together.
  Entry* view_ = nullptr;  // = storage_
  uint32_t viewSize_ = 0;
  uint64_t seen_ = 0;                        // = taken_, for this thread
  const std::atomic<uint64_t>* generation_;  // the table's
  rcu::Held* loose_ = nullptr;  // moved past and without a pin: let go at the next quiet period

  SlotTable* const table_;
  const bool parks_;
  std::unique_ptr<Entry[]> storage_;
  ObjectPool<rcu::Held> pool_;
  size_t old_ = 0;
  std::vector<Change> changes_;
  ChangeFn onChange_ = nullptr;
  void* onChangeContext_ = nullptr;
  bool quiescing_ = false;
  std::thread::id thread_;  // set by the first use after attach()

  // Between this thread and the main thread, on a cache line of their own.
  alignas(64) std::atomic<uint64_t> taken_{0};
  std::atomic<uint64_t> epoch_{kParked};  // of a shared table: what this reader holds back
  std::atomic<bool> notified_{false};     // woken, and no quiet period since
  const WakeFn wake_;
  const WakeFn gone_;
  void* const context_;
};

inline void Pin::reset() {
  if (held_ == nullptr) return;
  rcu::Held* held = held_;
  held_ = nullptr;
  held->reader->checkThread();
  MR_DASSERT(held->pins > 0);
  if (--held->pins == 0 && !held->current) held->reader->loosen(held);
}

inline void Reader::checkThread() {
#ifndef NDEBUG
  if (thread_ == std::thread::id()) thread_ = std::this_thread::get_id();
  MR_ASSERT(thread_ == std::this_thread::get_id());
#endif
}

inline void Reader::quiesce() {
  checkThread();
  // Acquire: whoever sees the generation sees every version and log entry that was staged before
  // it. Relaxed: the flag alone decides nothing but whether to look; a wake-up that follows it is
  // looked at in the next turn.
  if (generation_->load(std::memory_order_acquire) == seen_ && loose_ == nullptr &&
      !notified_.load(std::memory_order_relaxed)) {
    return;
  }
  quiesceSlow();
}

}  // namespace millrace
