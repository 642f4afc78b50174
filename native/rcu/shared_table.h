// A slot table for threads that are not the proxy's workers: one of them writes, any number of them
// read, each at its own pace, and each may end at any moment.
//
//   open -> closed (by its owner, or because the owner's thread ended) -> gone with its last holder
//
// A closed table takes no more changes; what its members hold stays readable.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "rcu/blob.h"
#include "rcu/map_snapshot.h"
#include "rcu/slot_table.h"

namespace millrace {

// Held by a shared_ptr, so that whoever comes last destroys it. The lock is held for a few pointer
// operations, and while replaced snapshots are destroyed; never while anything waits. Reading
// (Member::value) and taking news (Member::quiesce, but for its end) need no lock.
class SharedTable {
 public:
  using Clock = uint64_t (*)();

  // One thread's part in the table.
  class Member {
   public:
    struct Identity {
      uint64_t thread = 0;  // as its platform numbers it
      std::string name;     // for people
    };
    // For each slot that changed; its version now.
    using ChangeFn = void (*)(void* context, uint32_t index, uint64_t version);

    // Joins now, by the thread that will use it. `wake` is called on any thread, under the table's
    // lock: there is news, or the table was closed, or what was awaited is so.
    Member(std::shared_ptr<SharedTable> table, Identity identity, void (*wake)(void*),
           void* context);
    ~Member();  // on the thread that joined
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;

    // Takes what was committed, and ends parking. True: there was news. No pointer that value()
    // gave may be in use.
    bool quiesce(ChangeFn changed, void* context);
    // The thread is about to block without turning its loop. Until its next quiesce(), before which
    // it must not ask for a value, awaitTaken() does not wait for it: it cannot see anything older
    // than what is committed when it looks again.
    void park();
    bool parked() const { return parked_; }  // by its thread
    // What the slot held at the last quiesce(), valid until the next; null: nothing.
    const SharedSnapshot* value(SlotId id) const { return reader_->get<SharedSnapshot>(id); }
    uint64_t version(SlotId id) const { return reader_->version(id); }
    uint64_t taken() const { return reader_->taken(); }

   private:
    friend class SharedTable;
    const std::shared_ptr<SharedTable> table_;
    const Identity identity_;
    void (*const wake_)(void*);
    void* const context_;
    Reader* reader_;
    uint64_t behindSince_ = 0;  // under the lock: when the first change was committed that it lacks
    bool parked_ = false;       // written under the lock by its thread
    ChangeFn changed_ = nullptr;
    void* changedContext_ = nullptr;
  };

  struct ReaderState {
    Member::Identity identity;
    uint64_t taken;     // the generation that it has
    uint64_t lag;       // changes that it has not taken
    uint64_t behindNs;  // for how long
    bool parked;        // nobody waits for it
  };

  // `now`: a monotonic clock, ns.
  explicit SharedTable(Clock now) : now_(now) {}
  ~SharedTable();
  SharedTable(const SharedTable&) = delete;
  SharedTable& operator=(const SharedTable&) = delete;

  // The owner's thread.

  // Errors: ERR_MILLRACE_SLOT_EXISTS, ERR_MILLRACE_SLOTS_EXHAUSTED.
  Result<SlotId> allocate(std::string_view name);
  bool allocated(SlotId id) const { return table_.allocated(id); }
  // The slot's next value, seen by nobody before commit(); one staged before is gone. Returns the
  // version that it will be.
  uint64_t stage(SlotId id, std::unique_ptr<SharedSnapshot> snapshot);
  // As stage(), with what the slot's map holds now, staged changes included, to be changed.
  MapSnapshot& stageMap(SlotId id);
  // What commit() would publish, or the latest; null: nothing.
  const SharedSnapshot* latest(SlotId id) const;
  uint64_t latestVersion(SlotId id) const;
  // Publishes what was staged, all of it together. Returns the generation that has it.
  uint64_t commit();
  // True: every member that is not parked has taken `generation`. Else the owner is woken once that
  // is so for the least generation awaited; then nothing is awaited any more.
  bool awaitTaken(uint64_t generation, Member& owner);
  // Blobs of this table, for telling them apart.
  uint64_t nextBlob() { return ++blobs_; }

  // Any thread.

  // Wakes every member once more; the owner's is not woken after that.
  void close();
  bool closed() const { return closed_.load(std::memory_order_acquire); }
  SlotId find(std::string_view name) const;  // kNoSlot: none of that name
  std::vector<ReaderState> readers() const;
  SlotTable::Stats stats() const;

 private:
  friend class Member;
  uint64_t leastTaken() const;
  void tellOwner();

  const Clock now_;
  mutable std::mutex mutex_;  // for all below, but for what is the owner's
  SlotTable table_{{}, SlotTable::Sharing::kAnyThread};
  std::map<std::string, SlotId, std::less<>> names_;
  std::vector<Member*> members_;
  uint64_t awaited_ = 0;  // a generation; 0: none
  Member* awaiting_ = nullptr;
  std::atomic<bool> closed_{false};

  std::map<SlotId, std::unique_ptr<SharedSnapshot>> staged_;  // the owner's
  uint64_t blobs_ = 0;                                        // the owner's
};

}  // namespace millrace
