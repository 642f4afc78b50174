// The snapshot of these tests: a number, and a count of those alive.
#pragma once

#include <memory>

#include "rcu/slot_table.h"

namespace millrace {

class Value : public Snapshot {
 public:
  explicit Value(int n) : n(n) { alive++; }
  ~Value() override { alive--; }
  const int n;
  static inline int alive = 0;  // main thread
};

inline std::unique_ptr<const Snapshot> value(int n) {
  return std::make_unique<Value>(n);
}

// -1: nothing there.
inline int read(const Reader& reader, SlotId slot) {
  const Value* v = reader.get<Value>(slot);
  return v == nullptr ? -1 : v->n;
}

inline SlotId newSlot(SlotTable& table, const char* name = "test") {
  Result<SlotId> slot = table.allocate(name);
  MR_ASSERT(slot.ok());
  return slot.value();
}

}  // namespace millrace
