// The steady path of a worker, get, pin and an uneventful quiesce, allocates nothing; nor does an
// update once the reader has recycled as much as it needs.
#include <doctest/doctest.h>

#include "rcu/slot_table.h"
#include "support/allocations.h"
#include "value.h"

namespace millrace {

TEST_CASE("reading, pinning and quiet periods allocate nothing") {
  SlotTable table;
  SlotId slot = newSlot(table);
  table.publish(slot, value(1));
  table.commit();
  Reader* reader = table.attach(nullptr, nullptr);
  size_t before = test::heapAllocations();
  int sum = 0;
  for (int i = 0; i < 1000; i++) {
    Pin pin = reader->pin(slot);
    sum += read(*reader, slot) + pin.get<Value>()->n;
    reader->quiesce();
  }
  CHECK(sum == 2000);
  CHECK(test::heapAllocations() == before);

  size_t inUpdates = 0;
  for (int i = 0; i < 100; i++) {
    table.publish(slot, value(i));
    table.commit();
    before = test::heapAllocations();
    reader->quiesce();
    if (i > 1) inUpdates += test::heapAllocations() - before;
    table.reclaim();
  }
  // Under AddressSanitizer pools recycle nothing.
  if (MR_RECYCLE) CHECK(inUpdates == 0);
  table.detach(reader);
}

}  // namespace millrace
