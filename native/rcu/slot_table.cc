// The main thread's side of the slot table: publishing, waking, reclaiming.
#include "rcu/slot_table.h"

#include <algorithm>

namespace millrace {

using rcu::Version;

Snapshot::~Snapshot() {
  // A snapshot that was published is destroyed by the table it was published in.
  MR_DASSERT(home_ == std::thread::id() || home_ == std::this_thread::get_id());
}

SlotTable::SlotTable(Hooks hooks, Sharing sharing)
    : hooks_(hooks),
      sharing_(sharing),
      thread_(std::this_thread::get_id()),
      log_(std::make_unique<std::atomic<uint64_t>[]>(kLogEntries)) {}

SlotTable::~SlotTable() {
  checkThread();
  reclaim();
  MR_ASSERT(readers_.empty());
  // Nobody is left to look, so what is still staged or retired goes too.
  while (!retired_.empty()) {
    Version* version = retired_.front();
    retired_.pop_front();
    destroy(version);
  }
  for (uint32_t index = 0; index < slots_.size(); index++) {
    Version* version = current(index).load(std::memory_order_relaxed);
    if (version != nullptr) destroy(version);
  }
}

Result<SlotId> SlotTable::allocate(std::string_view name) {
  checkThread();
  uint32_t index;
  if (!free_.empty()) {
    index = free_.front();
    free_.pop_front();
  } else {
    index = static_cast<uint32_t>(slots_.size());
    if (index == kMaxSlots) {
      return Error{"ERR_MILLRACE_SLOTS_EXHAUSTED", "no slot left for '" + std::string(name) +
                                                       "': all " + std::to_string(kMaxSlots) +
                                                       " are in use"};
    }
    if (index % kSlotsPerChunk == 0) {
      ownedChunks_.push_back(std::make_unique<Chunk>());
      // Relaxed: made visible by slotCount_.
      chunks_[index / kSlotsPerChunk].store(ownedChunks_.back().get(), std::memory_order_relaxed);
    }
    slots_.emplace_back();
    // Release: before it comes the chunk.
    slotCount_.store(index + 1, std::memory_order_release);
  }
  SlotInfo& info = slots_[index];
  info.uses++;
  info.id = info.uses << 16 | index;
  info.allocated = true;
  info.number = 0;
  info.name = name;
  counts_.slots++;
  return info.id;
}

void SlotTable::publish(SlotId id, std::unique_ptr<const Snapshot> snapshot) {
  checkThread();
  replace(id, ++info(id).number, std::move(snapshot));
}

void SlotTable::release(SlotId id) {
  checkThread();
  SlotInfo& released = info(id);
  if (latest(id) != nullptr) replace(id, released.number, nullptr);
  released.allocated = false;
  released.name.clear();
  counts_.slots--;
  if (released.uses < kMaxSlotUses) free_.push_back(slotIndex(id));
}

void SlotTable::replace(SlotId id, uint64_t number, std::unique_ptr<const Snapshot> snapshot) {
  uint64_t committed = generation_.load(std::memory_order_relaxed);
  bool firstStaged = position_ == committed;
  uint32_t index = slotIndex(id);
  std::atomic<Version*>& slot = current(index);
  Version* old = slot.load(std::memory_order_relaxed);
  uint64_t position;
  if (old != nullptr && old->generation > committed) {
    position = old->generation;  // again in the same turn: it is in the log already
  } else {
    position = ++position_;
    // Relaxed: made visible by the generation.
    log_[position % kLogEntries].store(position << 16 | index, std::memory_order_relaxed);
  }

  auto version = std::make_unique<Version>();
  version->id = id;
  version->number = number;
  version->generation = position;
  version->prev = old;
  if (snapshot != nullptr) {
    if (sharing_ == Sharing::kMainThread) snapshot->home_ = thread_;
    version->snapshot = snapshot.release();
    counts_.published++;
    counts_.live++;
  }
  // Release: a reader that comes upon it, even before commit(), sees what is in it.
  slot.store(version.release(), std::memory_order_release);
  if (old != nullptr) retire(old, position);
  if (firstStaged && hooks_.scheduleCommit != nullptr) hooks_.scheduleCommit(hooks_.context);
}

void SlotTable::retire(Version* version, uint64_t replacedAt) {
  version->replacedAt = replacedAt;
  if (version->snapshot != nullptr) {
    counts_.live--;
    counts_.retired++;
  }
  // Within one commit() the positions may be out of order; the horizon never falls between them.
  retired_.push_back(version);
}

void SlotTable::commit() {
  checkThread();
  if (generation_.load(std::memory_order_relaxed) == position_) return;
  // Release: before it come the versions, the log, and the number of slots. Sequentially
  // consistent: with a parked reader's epoch; see Reader::quiesceSlow().
  generation_.store(position_, std::memory_order_seq_cst);
  if (readers_.empty()) reclaim();  // no reader will ask for it
  for (const std::unique_ptr<Reader>& reader : readers_) {
    if (reader->wake_ == nullptr) continue;
    // Acquire-release: see Reader::quiesceSlow().
    if (!reader->notified_.exchange(true, std::memory_order_acq_rel)) {
      reader->wake_(reader->context_);
    }
  }
}

void SlotTable::reclaim() {
  checkThread();
  // Acquire: who asked before had stored `taken` or returned a version. Cleared first, so that who
  // comes later asks again.
  reclaimAsked_.exchange(false, std::memory_order_acq_rel);
  removeGoneReaders();
  uint64_t limit = horizon();
  while (!retired_.empty() && retired_.front()->replacedAt <= limit) {
    Version* version = retired_.front();
    retired_.pop_front();
    drop(version);
  }
  // Acquire: what was written by those who returned them.
  Version* version = returned_.exchange(nullptr, std::memory_order_acquire);
  while (version != nullptr) {
    Version* next = version->next;
    destroy(version);
    version = next;
  }
}

// No reader looks at, or takes, what was replaced until then: every reader has taken it, or is
// parked.
uint64_t SlotTable::horizon() const {
  if (sharing_ == Sharing::kMainThread) return leastTaken();
  uint64_t limit = generation_.load(std::memory_order_relaxed);
  for (const std::unique_ptr<Reader>& reader : readers_) {
    limit = std::min(limit, reader->epoch_.load(std::memory_order_seq_cst));
  }
  return limit;
}

// The generation that every reader has taken.
uint64_t SlotTable::leastTaken() const {
  uint64_t least = generation_.load(std::memory_order_relaxed);
  for (const std::unique_ptr<Reader>& reader : readers_) least = std::min(least, reader->taken());
  return least;
}

// The table's own reference.
void SlotTable::drop(Version* version) {
  // Acquire: if it is the last, the uses of those who let go before come first.
  if (version->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(version);
}

void SlotTable::destroy(Version* version) {
  std::unique_ptr<Version> owned(version);
  if (version->snapshot == nullptr) return;
  counts_.retired--;
  counts_.freed++;
  std::unique_ptr<const Snapshot> snapshot(version->snapshot);
}

// Any thread: the last reference to `version` is gone.
void SlotTable::giveBack(Version* version) {
  Version* first = returned_.load(std::memory_order_relaxed);
  do {
    version->next = first;
    // Release: with all that led here, for the main thread that takes the list. Only whole lists
    // are taken, so that an address seen twice does no harm.
  } while (!returned_.compare_exchange_weak(first, version, std::memory_order_release,
                                            std::memory_order_relaxed));
  askForReclaim();
}

// Any thread.
void SlotTable::askForReclaim() {
  // Acquire-release: see reclaim().
  bool asked = reclaimAsked_.exchange(true, std::memory_order_acq_rel);
  if (!asked && hooks_.scheduleReclaim != nullptr) hooks_.scheduleReclaim(hooks_.context);
}

Reader* SlotTable::attach(WakeFn wake, void* context, WakeFn gone) {
  checkThread();
  auto reader = std::make_unique<Reader>(Reader::AttachKey(), this, wake, gone, context);
  uint64_t committed = generation_.load(std::memory_order_relaxed);
  reader->takeAll(committed);
  reader->changes_.clear();
  reader->seen_ = committed;
  // Relaxed: whatever hands the reader to its worker synchronises.
  reader->taken_.store(committed, std::memory_order_relaxed);
  readers_.push_back(std::move(reader));
  return readers_.back().get();
}

void SlotTable::detach(Reader* reader) {
  checkThread();
  MR_ASSERT(reader->taken() != kGone);
  reader->letGoAll();
  reader->taken_.store(kGone, std::memory_order_relaxed);
  removeGoneReaders();
  askForReclaim();
}

void SlotTable::removeGoneReaders() {
  for (size_t i = 0; i < readers_.size();) {
    if (readers_[i]->taken() != kGone) {
      i++;
      continue;
    }
    std::unique_ptr<Reader> reader = std::move(readers_[i]);
    readers_.erase(readers_.begin() + static_cast<ptrdiff_t>(i));
    if (reader->gone_ != nullptr) reader->gone_(reader->context_);
  }
}

SlotTable::SlotInfo& SlotTable::info(SlotId id) {
  MR_ASSERT(allocated(id));
  return slots_[slotIndex(id)];
}

const SlotTable::SlotInfo& SlotTable::info(SlotId id) const {
  MR_ASSERT(allocated(id));
  return slots_[slotIndex(id)];
}

bool SlotTable::allocated(SlotId id) const {
  checkThread();
  uint32_t index = slotIndex(id);
  return index < slots_.size() && slots_[index].allocated && slots_[index].id == id;
}

uint64_t SlotTable::version(SlotId id) const {
  return info(id).number;
}

const std::string& SlotTable::name(SlotId id) const {
  return info(id).name;
}

const Snapshot* SlotTable::latest(SlotId id) const {
  MR_ASSERT(allocated(id));
  const Version* version = current(slotIndex(id)).load(std::memory_order_relaxed);
  return version == nullptr ? nullptr : version->snapshot;
}

SlotTable::Stats SlotTable::stats() const {
  checkThread();
  Stats stats = counts_;
  stats.generation = generation_.load(std::memory_order_relaxed);
  stats.readers = static_cast<uint32_t>(readers().size());
  stats.lag = stats.generation - leastTaken();
  return stats;
}

std::vector<const Reader*> SlotTable::readers() const {
  checkThread();
  std::vector<const Reader*> readers;
  for (const std::unique_ptr<Reader>& reader : readers_) {
    if (reader->taken() != kGone) readers.push_back(reader.get());
  }
  return readers;
}

}  // namespace millrace
