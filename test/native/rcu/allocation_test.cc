// The steady path of a worker, get, pin and an uneventful quiesce, allocates nothing; nor does an
// update once the reader has recycled as much as it needs.
#include <doctest/doctest.h>

#include <cstdlib>
#include <new>

#include "rcu/slot_table.h"
#include "value.h"

namespace {
thread_local size_t allocations = 0;
}

void* operator new(size_t size) {
  allocations++;
  void* p = std::malloc(size);
  if (p == nullptr) std::abort();
  return p;
}
void* operator new(size_t size, std::align_val_t align) {
  allocations++;
  void* p = std::aligned_alloc(size_t(align), (size + size_t(align) - 1) & ~(size_t(align) - 1));
  if (p == nullptr) std::abort();
  return p;
}
void operator delete(void* p) noexcept {
  std::free(p);
}
void operator delete(void* p, size_t) noexcept {
  std::free(p);
}
void operator delete(void* p, std::align_val_t) noexcept {
  std::free(p);
}
void operator delete(void* p, size_t, std::align_val_t) noexcept {
  std::free(p);
}

namespace millrace {

TEST_CASE("reading, pinning and quiet periods allocate nothing") {
  SlotTable table;
  SlotId slot = newSlot(table);
  table.publish(slot, value(1));
  table.commit();
  Reader* reader = table.attach(nullptr, nullptr);
  size_t before = allocations;
  int sum = 0;
  for (int i = 0; i < 1000; i++) {
    Pin pin = reader->pin(slot);
    sum += read(*reader, slot) + pin.get<Value>()->n;
    reader->quiesce();
  }
  CHECK(sum == 2000);
  CHECK(allocations == before);

  size_t inUpdates = 0;
  for (int i = 0; i < 100; i++) {
    table.publish(slot, value(i));
    table.commit();
    before = allocations;
    reader->quiesce();
    if (i > 1) inUpdates += allocations - before;
    table.reclaim();
  }
  // Under AddressSanitizer pools recycle nothing.
  if (MR_RECYCLE) CHECK(inUpdates == 0);
  table.detach(reader);
}

}  // namespace millrace
