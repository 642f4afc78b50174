// What travels through slots, and the handle of a slot.
#pragma once

#include <cstdint>
#include <thread>

namespace millrace {

// What travels through a slot. Immutable from the moment it is published; destroyed on the table's
// main thread.
class Snapshot {
 public:
  Snapshot() = default;
  virtual ~Snapshot();
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

 private:
  friend class SlotTable;
  mutable std::thread::id home_;  // the main thread of the table that published it; none before
};

// A handle of an allocated slot: the index in the low 16 bits, above it how often that index was
// allocated. A handle kept past release() therefore never reads what a later owner of the index
// publishes: it reads nothing.
using SlotId = uint32_t;
constexpr SlotId kNoSlot = 0;  // never allocated; reads as nothing published
// Of the handle of an index that was allocated once.
constexpr SlotId kFirstUse = 1u << 16;
// What 16 bits address. A cluster costs one slot, so this is a very large mesh.
constexpr uint32_t kMaxSlots = 65'536;
// Of one index; then it is not allocated again, so that no handle ever repeats.
constexpr uint32_t kMaxSlotUses = 65'535;
constexpr uint32_t slotIndex(SlotId id) {
  return id & (kMaxSlots - 1);
}

}  // namespace millrace
