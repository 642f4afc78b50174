// The worker's side of the slot table: taking what was committed, letting go of what was replaced.
#include "rcu/reader.h"

#include <algorithm>
#include <bit>

#include "rcu/slot_table.h"

namespace millrace {

using rcu::Held;
using rcu::Version;

namespace {
constexpr uint32_t kFirstViewSlots = 64;  // 1.5 KiB; doubles as the table grows
}

Reader::Reader(AttachKey, SlotTable* table, WakeFn wake, WakeFn gone, void* context)
    : generation_(&table->generation_),
      table_(table),
      parks_(table->sharing_ == SlotTable::Sharing::kAnyThread),
      wake_(wake),
      gone_(gone),
      context_(context) {}

Reader::~Reader() {
  MR_ASSERT(old_ == 0 && loose_ == nullptr);
}

void Reader::quiesceSlow() {
  MR_ASSERT(!quiescing_);
  quiescing_ = true;
  // The flag is cleared before the generation is read. Acquire-release, against the exchange in
  // commit(): either commit() sees it cleared and wakes this worker again, or this sees the flag
  // that commit() set, and with it the generation that was stored before.
  if (notified_.load(std::memory_order_relaxed)) {
    notified_.exchange(false, std::memory_order_acq_rel);
  }
  uint64_t generation = parks_ ? announce() : generation_->load(std::memory_order_acquire);
  bool news = generation != seen_;
  if (news) takeUpdates(generation);
  // Release: the references taken, and every look at what was walked past, come before.
  if (parks_) epoch_.store(kParked, std::memory_order_release);
  if (news) report();
  letGoLoose();
  quiescing_ = false;
  if (!news) return;
  seen_ = generation;
  // Release: the references taken above, and every look at a version that is older, come before
  // what reclaim() does once it sees this.
  taken_.store(generation, std::memory_order_release);
  table_->askForReclaim();
}

// A parked reader is about to look at the table as of the generation returned. Sequentially
// consistent, against commit(), which stores the generation and whose table then looks at the
// epoch: either the table sees this epoch, or this sees the generation that the table's horizon
// came from. The epoch itself need only be no later than the generation.
uint64_t Reader::announce() {
  epoch_.store(generation_->load(std::memory_order_relaxed), std::memory_order_seq_cst);
  return generation_->load(std::memory_order_seq_cst);
}

void Reader::takeUpdates(uint64_t generation) {
  // Acquire: with the slots come the chunks they are in.
  growView(table_->slotCount_.load(std::memory_order_acquire));
  if (!takeLogged(generation)) takeAll(generation);
}

// False if the log no longer reaches back to what this reader has seen. What was taken until then
// stays taken.
bool Reader::takeLogged(uint64_t generation) {
  if (generation - seen_ > SlotTable::kLogEntries) return false;
  for (uint64_t position = seen_ + 1; position <= generation; position++) {
    // Relaxed: written before the generation; an entry overwritten since names another position.
    uint64_t entry =
        table_->log_[position % SlotTable::kLogEntries].load(std::memory_order_relaxed);
    if (entry >> 16 != position) return false;
    takeSlot(static_cast<uint32_t>(entry & (kMaxSlots - 1)), generation);
  }
  return true;
}

void Reader::takeAll(uint64_t generation) {
  uint32_t slots = table_->slotCount_.load(std::memory_order_acquire);
  growView(slots);
  for (uint32_t index = 0; index < slots; index++) takeSlot(index, generation);
}

void Reader::takeSlot(uint32_t index, uint64_t generation) {
  // Acquire: it may be newer than the generation, so its content is not covered by that.
  Version* version = table_->current(index).load(std::memory_order_acquire);
  // What a version replaced is kept until every reader has taken the version's generation; this one
  // has not.
  while (version != nullptr && version->generation > generation) version = version->prev;
  if (version != nullptr && version->snapshot == nullptr) version = nullptr;
  Entry& entry = view_[index];
  Version* old = entry.held == nullptr ? nullptr : entry.held->version;
  if (version != old) moveTo(entry, version);
}

void Reader::moveTo(Entry& entry, Version* version) {
  Entry old = entry;
  entry = Entry();
  if (version != nullptr) {
    // Relaxed: the table's own reference is there until taken_ says that this one was added.
    version->refs.fetch_add(1, std::memory_order_relaxed);
    Held* held = pool_.take();
    held->version = version;
    held->snapshot = version->snapshot;
    held->reader = this;
    entry = {version->snapshot, held, version->id};
  }
  if (old.held != nullptr) {
    old.held->current = false;
    old_++;
    if (old.held->pins == 0) loosen(old.held);
  }
  if (old.id == entry.id) {
    changes_.push_back({entry.id, old.snapshot, entry.snapshot});
    return;
  }
  // Two owners of one index: one is gone, the other is new.
  if (old.snapshot != nullptr) changes_.push_back({old.id, old.snapshot, nullptr});
  if (entry.snapshot != nullptr) changes_.push_back({entry.id, nullptr, entry.snapshot});
}

void Reader::growView(uint32_t slots) {
  if (slots <= viewSize_) return;
  uint32_t size = std::max(kFirstViewSlots, std::bit_ceil(slots));
  auto grown = std::make_unique<Entry[]>(size);
  std::copy(view_, view_ + viewSize_, grown.get());
  storage_ = std::move(grown);
  view_ = storage_.get();
  viewSize_ = size;
}

void Reader::report() {
  if (onChange_ != nullptr) {
    for (const Change& change : changes_) {
      onChange_(onChangeContext_, change.id, change.old, change.now);
    }
  }
  changes_.clear();
}

void Reader::loosen(Held* held) {
  held->next = loose_;
  loose_ = held;
}

void Reader::letGoLoose() {
  while (loose_ != nullptr) {
    Held* held = loose_;
    loose_ = held->next;
    old_--;
    letGo(held);
  }
}

void Reader::letGo(Held* held) {
  Version* version = held->version;
  pool_.give(held);
  // Release: this reader's last use of the snapshot comes first. Acquire: if this was the last
  // reference of all, so do the other readers' uses, before the version is handed on.
  if (version->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) table_->giveBack(version);
}

void Reader::letGoAll() {
  for (uint32_t index = 0; index < viewSize_; index++) {
    Held* held = view_[index].held;
    if (held == nullptr) continue;
    MR_ASSERT(held->pins == 0);
    letGo(held);
  }
  storage_.reset();
  view_ = nullptr;
  viewSize_ = 0;
  letGoLoose();
  MR_ASSERT(old_ == 0);  // else a pin would outlive its reader
}

void Reader::leave() {
  checkThread();
  letGoAll();
  SlotTable* table = table_;
  // Release: as in quiesceSlow(). The main thread may delete this reader from here on.
  taken_.store(SlotTable::kGone, std::memory_order_release);
  table->askForReclaim();
}

}  // namespace millrace
