// What the slot table promises, one sentence a case, on a single thread that plays main and worker
// in turn.
#include "rcu/slot_table.h"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

#include "value.h"

namespace millrace {

namespace {

struct Counts {
  int commits = 0;
  int reclaims = 0;
  SlotTable::Hooks hooks() {
    return {[](void* c) { static_cast<Counts*>(c)->commits++; },
            [](void* c) { static_cast<Counts*>(c)->reclaims++; }, this};
  }
};

void count(void* n) {
  ++*static_cast<int*>(n);
}

void publish(SlotTable& table, SlotId slot, int n) {
  table.publish(slot, value(n));
  table.commit();
}

}  // namespace

TEST_CASE("a slot reads as nothing until something is published, committed and taken") {
  SlotTable table;
  SlotId slot = newSlot(table, "routes");
  CHECK(table.name(slot) == "routes");
  Reader* reader = table.attach(nullptr, nullptr);
  CHECK(reader->get(slot) == nullptr);
  CHECK(reader->get(kNoSlot) == nullptr);
  CHECK(!reader->pin(slot));
  table.publish(slot, value(1));
  reader->quiesce();
  CHECK(read(*reader, slot) == -1);  // staged only
  table.commit();
  CHECK(read(*reader, slot) == -1);  // still the same batch
  reader->quiesce();
  CHECK(read(*reader, slot) == 1);
  CHECK(reader->version(slot) == 1);
  table.detach(reader);
}

TEST_CASE("within a batch every read gives the same snapshot") {
  SlotTable table;
  SlotId slot = newSlot(table);
  publish(table, slot, 1);
  Reader* reader = table.attach(nullptr, nullptr);
  const Snapshot* before = reader->get(slot);
  for (int n = 2; n < 10; n++) publish(table, slot, n);
  CHECK(reader->get(slot) == before);
  CHECK(read(*reader, slot) == 1);
  reader->quiesce();
  CHECK(read(*reader, slot) == 9);
  table.detach(reader);
}

TEST_CASE("a burst of publishes is one update, of the newest") {
  SlotTable table;
  SlotId slot = newSlot(table);
  publish(table, slot, 0);
  Reader* reader = table.attach(nullptr, nullptr);
  struct Seen {
    int updates = 0;
    int from = -1;
    int to = -1;
  } seen;
  reader->observe(
      [](void* context, SlotId, const Snapshot* old, const Snapshot* now) {
        Seen* s = static_cast<Seen*>(context);
        s->updates++;
        s->from = static_cast<const Value*>(old)->n;
        s->to = static_cast<const Value*>(now)->n;
      },
      &seen);
  for (int n = 1; n <= 1000; n++) publish(table, slot, n);
  reader->quiesce();
  CHECK(seen.updates == 1);
  CHECK(seen.from == 0);
  CHECK(seen.to == 1000);
  CHECK(reader->version(slot) == 1001);
  CHECK(table.version(slot) == 1001);
  table.detach(reader);
}

TEST_CASE("publishes of one turn become visible together") {
  SlotTable table;
  SlotId cluster = newSlot(table);
  SlotId routes = newSlot(table);
  Reader* reader = table.attach(nullptr, nullptr);
  table.publish(cluster, value(1));
  table.publish(routes, value(1));
  table.commit();
  // The next turn has begun: its versions are in the slots already, but not committed.
  table.publish(cluster, value(2));
  table.publish(routes, value(2));
  table.publish(routes, value(3));
  reader->quiesce();
  CHECK(read(*reader, cluster) == 1);
  CHECK(read(*reader, routes) == 1);
  table.release(routes);
  table.commit();
  reader->quiesce();
  CHECK(read(*reader, cluster) == 2);
  CHECK(read(*reader, routes) == -1);
  // A reader attached while something is staged starts with what is committed.
  table.publish(cluster, value(3));
  table.reclaim();
  Reader* second = table.attach(nullptr, nullptr);
  CHECK(read(*second, cluster) == 2);
  table.detach(second);
  table.detach(reader);
}

TEST_CASE("several publishes are one request to commit, and one wake-up") {
  Counts counts;
  SlotTable table(counts.hooks());
  SlotId slot = newSlot(table);
  int wakes = 0;
  Reader* reader = table.attach(count, &wakes);
  table.publish(slot, value(1));
  table.publish(slot, value(2));
  table.publish(newSlot(table), value(3));
  CHECK(counts.commits == 1);
  CHECK(wakes == 0);
  table.commit();
  CHECK(wakes == 1);
  table.commit();  // nothing new
  CHECK(wakes == 1);
  publish(table, slot, 4);
  CHECK(counts.commits == 2);
  CHECK(wakes == 1);  // told already, and has not come by
  reader->quiesce();
  CHECK(read(*reader, slot) == 4);
  publish(table, slot, 5);
  CHECK(wakes == 2);
  reader->quiesce();
  reader->quiesce();
  publish(table, slot, 6);
  CHECK(wakes == 3);
  table.detach(reader);
}

TEST_CASE("a pin keeps its version beyond the batch") {
  Value::alive = 0;
  SlotTable table;
  SlotId slot = newSlot(table);
  publish(table, slot, 1);
  Reader* reader = table.attach(nullptr, nullptr);
  {
    Pin pin = reader->pin(slot);
    CHECK(pin.get<Value>()->n == 1);
    publish(table, slot, 2);
    reader->quiesce();
    table.reclaim();
    CHECK(read(*reader, slot) == 2);
    CHECK(pin.get<Value>()->n == 1);
    CHECK(reader->pinnedOld() == 1);
    CHECK(Value::alive == 2);
    Pin moved = std::move(pin);
    Pin second = moved.again();
    CHECK(!pin);
    moved = Pin();
    reader->quiesce();
    table.reclaim();
    CHECK(second.get<Value>()->n == 1);
    second.reset();
    table.reclaim();
    CHECK(Value::alive == 2);  // let go at the next quiet period, not before
  }
  reader->quiesce();
  CHECK(reader->pinnedOld() == 0);
  CHECK(Value::alive == 2);  // and never destroyed by the worker
  table.reclaim();
  CHECK(Value::alive == 1);
  table.detach(reader);
}

TEST_CASE("a pin on the current version does not outlive its use") {
  SlotTable table;
  SlotId slot = newSlot(table);
  publish(table, slot, 1);
  Reader* reader = table.attach(nullptr, nullptr);
  {
    Pin pin = reader->pin(slot);
  }
  reader->quiesce();
  CHECK(read(*reader, slot) == 1);
  publish(table, slot, 2);
  reader->quiesce();
  table.reclaim();
  CHECK(table.stats().freed == 1);
  table.detach(reader);
}

TEST_CASE("a replaced pointer is dropped only when every reader has passed a quiet period since") {
  Value::alive = 0;
  Counts counts;
  SlotTable table(counts.hooks());
  SlotId slot = newSlot(table);
  publish(table, slot, 1);
  Reader* first = table.attach(nullptr, nullptr);
  Reader* second = table.attach(nullptr, nullptr);
  publish(table, slot, 2);
  publish(table, slot, 3);
  table.reclaim();
  CHECK(Value::alive == 3);
  first->quiesce();
  CHECK(counts.reclaims == 1);
  table.reclaim();
  CHECK(Value::alive == 3);  // nobody has version 2, yet `second` could still come upon it
  CHECK(table.stats().lag == 2);
  second->quiesce();
  CHECK(counts.reclaims == 2);
  table.reclaim();
  CHECK(Value::alive == 1);
  SlotTable::Stats stats = table.stats();
  CHECK(stats.published == 3);
  CHECK(stats.live == 1);
  CHECK(stats.retired == 0);
  CHECK(stats.freed == 2);
  CHECK(stats.lag == 0);
  CHECK(stats.readers == 2);
  table.detach(first);
  table.detach(second);
}

TEST_CASE("without readers a replaced snapshot goes with the commit") {
  Value::alive = 0;
  {
    SlotTable table;
    SlotId slot = newSlot(table);
    publish(table, slot, 1);
    publish(table, slot, 2);
    CHECK(Value::alive == 1);
    table.publish(slot, value(3));  // neither committed nor taken
  }
  CHECK(Value::alive == 0);
}

TEST_CASE("each reader tells how far it is") {
  SlotTable table;
  SlotId slot = newSlot(table);
  Reader* first = table.attach(nullptr, nullptr);
  Reader* second = table.attach(nullptr, nullptr);
  for (int n = 0; n < 5; n++) publish(table, slot, n);
  first->quiesce();
  CHECK(table.generation() == 5);
  std::vector<const Reader*> readers = table.readers();
  CHECK(readers.size() == 2);
  CHECK(readers[0]->taken() == 5);
  CHECK(readers[1]->taken() == 0);
  CHECK(table.stats().lag == 5);
  table.detach(first);
  table.detach(second);
}

TEST_CASE("readers come and go while the table lives") {
  Value::alive = 0;
  SlotTable table;
  SlotId slot = newSlot(table);
  publish(table, slot, 1);
  Reader* first = table.attach(nullptr, nullptr);
  CHECK(read(*first, slot) == 1);  // at once, without a quiet period
  publish(table, slot, 2);
  Reader* second = table.attach(nullptr, nullptr);
  CHECK(read(*second, slot) == 2);
  table.reclaim();
  CHECK(Value::alive == 2);  // `first` holds it
  table.detach(first);
  table.reclaim();
  CHECK(Value::alive == 1);
  table.detach(second);
  CHECK(table.stats().readers == 0);
}

TEST_CASE("a worker that leaves by itself holds nothing back") {
  Value::alive = 0;
  Counts counts;
  SlotTable table(counts.hooks());
  SlotId slot = newSlot(table);
  publish(table, slot, 1);
  int calls = 0;
  Reader* reader = table.attach(nullptr, &calls, count);
  publish(table, slot, 2);
  reader->leave();
  CHECK(counts.reclaims == 1);
  CHECK(calls == 0);
  CHECK(table.stats().readers == 0);
  table.reclaim();
  CHECK(calls == 1);
  CHECK(Value::alive == 1);
}

TEST_CASE("the observer sees every change when the whole view is new") {
  SlotTable table;
  SlotId a = newSlot(table);
  SlotId b = newSlot(table);
  publish(table, a, 1);
  Reader* reader = table.attach(nullptr, nullptr);
  struct Seen {
    Reader* reader;
    SlotId a, b;
    Pin pin;
    std::vector<std::pair<int, int>> changes;
  } seen{reader, a, b, reader->pin(a), {}};
  reader->observe(
      [](void* context, SlotId, const Snapshot* old, const Snapshot* now) {
        Seen& s = *static_cast<Seen*>(context);
        auto number = [](const Snapshot* x) {
          return x == nullptr ? -1 : static_cast<const Value*>(x)->n;
        };
        s.changes.push_back({number(old), number(now)});
        CHECK(read(*s.reader, s.a) == 2);
        CHECK(read(*s.reader, s.b) == 3);
        s.pin.reset();  // as a worker does that closes what used the old version
      },
      &seen);
  table.publish(a, value(2));
  table.publish(b, value(3));
  table.commit();
  reader->quiesce();
  CHECK(seen.changes == std::vector<std::pair<int, int>>{{1, 2}, {-1, 3}});
  CHECK(reader->pinnedOld() == 0);  // let go in the same quiet period
  reader->quiesce();
  CHECK(seen.changes.size() == 2);
  reader->observe(nullptr, nullptr);
  table.detach(reader);
}

TEST_CASE("a handle kept past release reads nothing, even when the index has a new owner") {
  SlotTable table;
  SlotId old = newSlot(table, "old");
  publish(table, old, 1);
  Reader* reader = table.attach(nullptr, nullptr);
  std::vector<std::pair<SlotId, int>> seen;
  reader->observe(
      [](void* context, SlotId id, const Snapshot* was, const Snapshot* now) {
        auto* list = static_cast<std::vector<std::pair<SlotId, int>>*>(context);
        const Snapshot* snapshot = now == nullptr ? was : now;
        int n = static_cast<const Value*>(snapshot)->n;
        list->push_back({id, now == nullptr ? -n : n});
      },
      &seen);
  table.release(old);
  CHECK(!table.allocated(old));
  CHECK(read(*reader, old) == 1);  // until its quiet period
  SlotId now = newSlot(table, "new");
  CHECK(slotIndex(now) == slotIndex(old));
  CHECK(now != old);
  CHECK(reader->get(now) == nullptr);
  publish(table, now, 2);
  reader->quiesce();
  CHECK(read(*reader, old) == -1);
  CHECK(!reader->pin(old));
  CHECK(reader->version(old) == 0);
  CHECK(read(*reader, now) == 2);
  CHECK(seen == std::vector<std::pair<SlotId, int>>{{old, -1}, {now, 2}});
  table.detach(reader);
}

TEST_CASE("publishing null empties a slot") {
  Value::alive = 0;
  SlotTable table;
  SlotId slot = newSlot(table);
  publish(table, slot, 1);
  Reader* reader = table.attach(nullptr, nullptr);
  table.publish(slot, nullptr);
  table.commit();
  reader->quiesce();
  CHECK(read(*reader, slot) == -1);
  table.reclaim();
  CHECK(Value::alive == 0);
  CHECK(table.latest(slot) == nullptr);
  CHECK(table.stats().live == 0);
  publish(table, slot, 2);
  reader->quiesce();
  CHECK(read(*reader, slot) == 2);
  table.detach(reader);
}

TEST_CASE("a reader that missed more than the log holds still takes everything") {
  SlotTable table;
  std::vector<SlotId> slots;
  for (int i = 0; i < 3000; i++) slots.push_back(newSlot(table));
  Reader* reader = table.attach(nullptr, nullptr);
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 3000; i++) table.publish(slots[static_cast<size_t>(i)], value(round * i));
    table.commit();
  }
  CHECK(table.stats().lag == 9000);
  reader->quiesce();
  bool all = true;
  for (int i = 0; i < 3000; i++) all = all && read(*reader, slots[static_cast<size_t>(i)]) == 2 * i;
  CHECK(all);
  table.detach(reader);
  table.reclaim();
  CHECK(table.stats().retired == 0);
}

TEST_CASE("a reader notices that the log was written over while it was behind") {
  SlotTable table;
  SlotId early = newSlot(table);
  SlotId busy = newSlot(table);
  std::vector<SlotId> staged;
  for (int i = 0; i < 200; i++) staged.push_back(newSlot(table));
  Reader* reader = table.attach(nullptr, nullptr);
  publish(table, early, 1);
  for (int n = 0; n < 4000; n++) publish(table, busy, n);
  // Not committed, yet in the log: where the change of `early` was.
  for (SlotId slot : staged) table.publish(slot, value(2));
  reader->quiesce();
  CHECK(read(*reader, early) == 1);
  CHECK(read(*reader, busy) == 3999);
  CHECK(read(*reader, staged.front()) == -1);
  table.commit();
  reader->quiesce();
  CHECK(read(*reader, staged.back()) == 2);
  table.detach(reader);
}

TEST_CASE("the last slot is the last, and freed ones come again") {
  SlotTable table;
  Reader* reader = table.attach(nullptr, nullptr);
  SlotId last = kNoSlot;
  for (uint32_t i = 0; i < kMaxSlots; i++) last = newSlot(table, "");
  Result<SlotId> refused = table.allocate("one more");
  CHECK(!refused.ok());
  CHECK(std::string(refused.error().code) == "ERR_MILLRACE_SLOTS_EXHAUSTED");
  publish(table, last, 1);
  reader->quiesce();
  CHECK(read(*reader, last) == 1);
  table.release(last);
  CHECK(table.allocate("one more").ok());
  CHECK(table.stats().slots == kMaxSlots);
  table.detach(reader);
}

TEST_CASE("an index is not allocated again after its last use") {
  SlotTable table;
  SlotId first = newSlot(table);
  SlotId slot = first;
  for (uint32_t use = 1; use < kMaxSlotUses; use++) {
    table.release(slot);
    slot = newSlot(table);
  }
  CHECK(slotIndex(slot) == slotIndex(first));
  table.release(slot);
  CHECK(slotIndex(newSlot(table)) != slotIndex(first));
}

}  // namespace millrace
