#include "rcu/shared_table.h"

#include <algorithm>

namespace millrace {

using Lock = std::lock_guard<std::mutex>;

SharedTable::Member::Member(std::shared_ptr<SharedTable> table, Identity identity,
                            void (*wake)(void*), void* context)
    : table_(std::move(table)), identity_(std::move(identity)), wake_(wake), context_(context) {
  Lock lock(table_->mutex_);
  reader_ = table_->table_.attach(
      [](void* self) {
        auto* member = static_cast<Member*>(self);
        member->wake_(member->context_);
      },
      this);
  reader_->observe(
      [](void* self, SlotId id, const Snapshot*, const Snapshot*) {
        auto* member = static_cast<Member*>(self);
        member->changed_(member->changedContext_, slotIndex(id), member->version(id));
      },
      this);
  table_->members_.push_back(this);
}

SharedTable::Member::~Member() {
  Lock lock(table_->mutex_);
  std::erase(table_->members_, this);
  if (table_->awaiting_ == this) table_->awaiting_ = nullptr;
  table_->table_.detach(reader_);
  table_->table_.reclaim();
  table_->tellOwner();
}

bool SharedTable::Member::quiesce(ChangeFn changed, void* context) {
  if (parked_) {
    // Before it looks: the owner waits for this member from here on, or this member sees what the
    // owner has committed.
    Lock lock(table_->mutex_);
    parked_ = false;
  }
  uint64_t before = reader_->taken();
  changed_ = changed;
  changedContext_ = context;
  reader_->quiesce();
  bool news = reader_->taken() != before;
  Lock lock(table_->mutex_);
  // Changes may have been committed since; they count from now.
  if (news && reader_->taken() < table_->table_.generation()) behindSince_ = table_->now_();
  // Without news too: while this reader looked for some, it held back what another commit replaced.
  table_->table_.reclaim();
  table_->tellOwner();
  return news;
}

void SharedTable::Member::park() {
  Lock lock(table_->mutex_);
  parked_ = true;
  table_->tellOwner();
}

SharedTable::~SharedTable() {
  MR_ASSERT(members_.empty());
}

Result<SlotId> SharedTable::allocate(std::string_view name) {
  Lock lock(mutex_);
  if (names_.find(name) != names_.end()) {
    return Error{"ERR_MILLRACE_SLOT_EXISTS",
                 "the table has a slot '" + std::string(name) + "' already"};
  }
  Result<SlotId> id = table_.allocate(name);
  if (id) names_.emplace(name, *id);
  return id;
}

uint64_t SharedTable::stage(SlotId id, std::unique_ptr<SharedSnapshot> snapshot) {
  staged_[id] = std::move(snapshot);
  return latestVersion(id);
}

MapSnapshot& SharedTable::stageMap(SlotId id) {
  std::unique_ptr<SharedSnapshot>& staged = staged_[id];
  if (staged == nullptr) {
    auto* published = static_cast<const MapSnapshot*>(table_.latest(id));
    staged = published == nullptr ? std::make_unique<MapSnapshot>() : published->copy();
  }
  return static_cast<MapSnapshot&>(*staged);
}

// Only the owner publishes, so what it reads here stays as it is; reclaiming elsewhere takes only
// what was replaced.
const SharedSnapshot* SharedTable::latest(SlotId id) const {
  auto staged = staged_.find(id);
  if (staged != staged_.end()) return staged->second.get();
  return static_cast<const SharedSnapshot*>(table_.latest(id));
}

uint64_t SharedTable::latestVersion(SlotId id) const {
  return table_.version(id) + (staged_.contains(id) ? 1 : 0);
}

uint64_t SharedTable::commit() {
  Lock lock(mutex_);
  if (staged_.empty()) return table_.generation();
  uint64_t now = now_();
  for (Member* member : members_) {
    if (member->taken() == table_.generation()) member->behindSince_ = now;
  }
  for (auto& [id, snapshot] : staged_) table_.publish(id, std::move(snapshot));
  staged_.clear();
  table_.commit();
  // What no member holds is gone at once; the rest goes with the last of them to let go.
  table_.reclaim();
  return table_.generation();
}

bool SharedTable::awaitTaken(uint64_t generation, Member& owner) {
  Lock lock(mutex_);
  if (leastTaken() >= generation) return true;
  awaited_ = awaited_ == 0 ? generation : std::min(awaited_, generation);
  awaiting_ = &owner;
  return false;
}

void SharedTable::close() {
  Lock lock(mutex_);
  if (closed_.exchange(true, std::memory_order_acq_rel)) return;
  awaited_ = 0;
  awaiting_ = nullptr;
  for (Member* member : members_) member->wake_(member->context_);
}

SlotId SharedTable::find(std::string_view name) const {
  Lock lock(mutex_);
  auto found = names_.find(name);
  return found == names_.end() ? kNoSlot : found->second;
}

std::vector<SharedTable::ReaderState> SharedTable::readers() const {
  Lock lock(mutex_);
  uint64_t now = now_();
  std::vector<ReaderState> states;
  for (const Member* member : members_) {
    uint64_t lag = table_.generation() - member->taken();
    states.push_back({member->identity_, member->taken(), lag,
                      lag == 0 ? 0 : now - member->behindSince_, member->parked_});
  }
  return states;
}

SlotTable::Stats SharedTable::stats() const {
  Lock lock(mutex_);
  return table_.stats();
}

uint64_t SharedTable::leastTaken() const {
  uint64_t least = table_.generation();
  for (const Member* member : members_) {
    if (!member->parked_) least = std::min(least, member->taken());
  }
  return least;
}

// Under the lock: someone has taken something, or is gone.
void SharedTable::tellOwner() {
  if (awaited_ == 0 || awaiting_ == nullptr || leastTaken() < awaited_) return;
  awaited_ = 0;
  awaiting_->wake_(awaiting_->context_);
}

}  // namespace millrace
