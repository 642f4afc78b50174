// The table for threads that come and go: parked readers, members, maps, the registry.
#include "rcu/shared_table.h"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "rcu/table_registry.h"
#include "rcu/value.h"
#include "support/repetitions.h"

namespace millrace {

namespace {

std::shared_ptr<const Blob> blob(uint64_t id, const std::string& text) {
  auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  return Blob::make(id, {bytes, text.size()}, {});
}
std::unique_ptr<SharedSnapshot> valueOf(uint64_t id, const std::string& text = "x") {
  return std::make_unique<ValueSnapshot>(blob(id, text));
}
uint64_t idOf(const SharedTable::Member& member, SlotId slot) {
  auto* value = static_cast<const ValueSnapshot*>(member.value(slot));
  return value == nullptr ? 0 : value->blob()->id();
}

struct Woken {
  std::atomic<int> times{0};
  static void wake(void* self) { static_cast<Woken*>(self)->times++; }
};
using Member = SharedTable::Member;
std::unique_ptr<Member> join(const std::shared_ptr<SharedTable>& table, Woken& woken,
                             const char* name = "test") {
  return std::make_unique<Member>(table, Member::Identity{1, name}, Woken::wake, &woken);
}
void ignore(void*, uint32_t, uint64_t) {}

std::shared_ptr<SharedTable> newTable() {
  return std::make_shared<SharedTable>(monotonicNs);
}

}  // namespace

TEST_CASE("a parked reader holds one version of a slot, and no other back") {
  SlotTable table({}, SlotTable::Sharing::kAnyThread);
  Reader* blocked = table.attach(nullptr, nullptr);
  SlotId a = newSlot(table);
  SlotId b = newSlot(table);
  table.publish(a, value(1));
  table.commit();
  blocked->quiesce();
  for (int n = 2; n < 1000; n++) {
    table.publish(a, value(n));
    table.publish(b, value(n));
    table.commit();
    table.reclaim();
    CHECK(table.stats().retired <= 1);
  }
  CHECK(read(*blocked, a) == 1);
  CHECK(table.stats().lag == 1996);
  blocked->quiesce();  // further behind than one look at a time, and nearer than the log
  CHECK(read(*blocked, a) == 999);
  CHECK(read(*blocked, b) == 999);
  table.reclaim();
  CHECK(table.stats().retired == 0);
  table.detach(blocked);
}

TEST_CASE("a shared table: what is staged is seen together, after commit() and quiesce()") {
  auto table = newTable();
  Woken woken;
  auto owner = join(table, woken);
  SlotId a = *table->allocate("a");
  SlotId b = *table->allocate("b");
  CHECK(table->allocate("a").error().code == std::string("ERR_MILLRACE_SLOT_EXISTS"));
  CHECK(table->find("b") == b);
  CHECK(table->find("c") == kNoSlot);
  CHECK(table->stage(a, valueOf(1)) == 1);
  CHECK(table->stage(a, valueOf(2)) == 1);
  CHECK(table->stage(b, valueOf(3)) == 1);
  CHECK(woken.times == 0);
  CHECK(table->commit() == 2);
  CHECK(woken.times == 1);
  CHECK(idOf(*owner, a) == 0);
  std::vector<uint64_t> changed;
  CHECK(owner->quiesce(
      [](void* all, uint32_t index, uint64_t version) {
        static_cast<std::vector<uint64_t>*>(all)->push_back(index * 100 + version);
      },
      &changed));
  CHECK(changed == std::vector<uint64_t>{1, 101});
  CHECK_FALSE(owner->quiesce(ignore, nullptr));
  CHECK(idOf(*owner, a) == 2);
  CHECK(idOf(*owner, b) == 3);
  CHECK(table->commit() == 2);
  CHECK(woken.times == 1);
  CHECK(table->stats().published == 2);
}

TEST_CASE("a shared table: its owner is woken when all have taken what it awaits") {
  auto table = newTable();
  Woken ownerWoken, otherWoken;
  auto owner = join(table, ownerWoken, "owner");
  auto other = join(table, otherWoken, "other");
  SlotId a = *table->allocate("a");
  table->stage(a, valueOf(1));
  uint64_t first = table->commit();
  table->stage(a, valueOf(2));
  uint64_t second = table->commit();
  owner->quiesce(ignore, nullptr);
  int before = ownerWoken.times;
  CHECK_FALSE(table->awaitTaken(second, *owner));
  CHECK_FALSE(table->awaitTaken(first, *owner));
  std::vector<SharedTable::ReaderState> states = table->readers();
  REQUIRE(states.size() == 2);
  CHECK(states[0].lag == 0);
  CHECK(states[0].behindNs == 0);
  CHECK(states[1].identity.name == "other");
  CHECK(states[1].lag == 2);
  CHECK(states[1].behindNs > 0);
  SUBCASE("because the last of them took it") {
    other->quiesce(ignore, nullptr);
    CHECK(table->awaitTaken(second, *owner));
  }
  SUBCASE("because the last of them went") {
    other.reset();
  }
  SUBCASE("because the last of them parked") {
    other->park();
    CHECK(table->readers()[1].parked);
    CHECK(table->awaitTaken(second, *owner));
    other->quiesce(ignore, nullptr);
    CHECK_FALSE(other->parked());
    CHECK(other->taken() == second);
  }
  CHECK(ownerWoken.times == before + 1);
}

TEST_CASE("a shared table: outlives its owner, for those who read") {
  auto table = newTable();
  Woken woken;
  auto owner = join(table, woken);
  auto reader = join(table, woken);
  SlotId a = *table->allocate("a");
  table->stage(a, valueOf(7));
  table->commit();
  table->close();
  owner.reset();
  CHECK(table->closed());
  std::weak_ptr<SharedTable> watched = table;
  table.reset();
  CHECK_FALSE(watched.expired());
  reader->quiesce(ignore, nullptr);
  CHECK(idOf(*reader, a) == 7);
  reader.reset();
  CHECK(watched.expired());
}

TEST_CASE("a map shares with its next version all that did not change") {
  MapSnapshot first;
  std::vector<std::shared_ptr<const Blob>> blobs;
  constexpr int kKeys = 5000;
  for (int i = 0; i < kKeys; i++) {
    blobs.push_back(blob(uint64_t(i), "v"));
    first.set("key " + std::to_string(i), blobs.back());
  }
  CHECK(first.size() == kKeys);
  {
    auto second = first.copy();
    second->set("key 7", blob(1'000'007, "w"));
    second->set("new", blob(1'000'008, "w"));
    CHECK(second->erase("key 8"));
    CHECK_FALSE(second->erase("key 8"));
    CHECK(second->size() == kKeys);
    CHECK(first.find("key 7")->blob->id() == 7);
    CHECK(first.find("new") == nullptr);
    CHECK(first.find("key 8")->blob->id() == 8);
    CHECK(second->find("key 7")->blob->id() == 1'000'007);
    CHECK(second->find("key 8") == nullptr);
    CHECK(second->find("key 9") == first.find("key 9"));
    // In a changed bucket a value has another holder, never another copy.
    for (int i = 0; i < kKeys; i++) CHECK(blobs[size_t(i)].use_count() == 2);
    auto entries = second->entries();
    REQUIRE(entries.size() == kKeys);
    CHECK(entries[7]->key == "key 7");
    CHECK(entries[8]->key == "key 9");
    CHECK(entries.back()->key == "new");
  }
  for (int i = 0; i < kKeys; i++) {
    CHECK(first.find("key " + std::to_string(i))->blob->id() == uint64_t(i));
  }
}

TEST_CASE("a blob has its parts aligned behind the serialised bytes") {
  const uint8_t head[] = {1, 2, 3};
  const uint8_t one[] = {4, 5};
  const uint8_t two[20] = {6};
  const Blob::Part parts[] = {one, {}, two};
  auto made = Blob::make(9, head, parts);
  CHECK(made->id() == 9);
  CHECK(made->hasParts());
  CHECK(made->partsOffset() == 16);
  CHECK(made->size() == 16 + 16 + 0 + 32);
  CHECK(made->data()[2] == 3);
  CHECK(made->data()[17] == 5);
  CHECK(made->data()[32] == 6);
  CHECK(reinterpret_cast<uintptr_t>(made->data()) % Blob::kAlignment == 0);
  auto empty = Blob::make(1, {}, {});
  CHECK(empty->size() == 0);
  CHECK_FALSE(empty->hasParts());
}

TEST_CASE("the registry knows its handles for genuine, and holds no table") {
  TableRegistry registry;
  auto table = newTable();
  TableRegistry::Handle handle = registry.add(table);
  CHECK(registry.genuine(handle));
  CHECK(registry.find(handle) == table);
  CHECK_FALSE(registry.genuine({handle.id, handle.key + 1}));
  CHECK_FALSE(registry.genuine({handle.id + 1, handle.key}));
  CHECK_FALSE(registry.genuine({0, 0}));
  CHECK(TableRegistry().find(handle) == nullptr);
  SUBCASE("closed") {
    table->close();
  }
  SUBCASE("gone") {
    table.reset();
  }
  CHECK(registry.genuine(handle));
  CHECK(registry.find(handle) == nullptr);
}

TEST_CASE("torture: members that come, read, stall and go, while a value and a map change") {
  const auto changes = uint64_t(repetitions(20'000));
  constexpr int kThreads = 3;
  auto table = newTable();
  Woken woken;
  auto owner = join(table, woken);
  SlotId slot = *table->allocate("value");
  SlotId mapSlot = *table->allocate("map");
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> wrong{0}, lives{0}, seen{0};
  auto live = [&](uint64_t seed) {
    Random random(seed);
    while (!stop.load()) {
      lives++;
      Woken here;
      auto member = join(table, here);
      uint64_t last = 0;
      for (uint64_t turns = random.next() % 200; turns > 0 && !stop.load(); turns--) {
        if (random.next() % 8 == 0) std::this_thread::yield();  // a turn that takes its time
        if (member->quiesce(ignore, nullptr)) seen++;
        auto* value = static_cast<const ValueSnapshot*>(member->value(slot));
        auto* map = static_cast<const MapSnapshot*>(member->value(mapSlot));
        if (value == nullptr || map == nullptr) continue;
        uint64_t now = value->blob()->id();
        // Both were published together, and never go back; the bytes are those of that version.
        auto* entry = map->find("key " + std::to_string(now % 97));
        if (now < last || entry == nullptr || entry->blob->id() != now) wrong++;
        if (std::string(reinterpret_cast<const char*>(value->blob()->data()),
                        value->blob()->size()) != std::to_string(now)) {
          wrong++;
        }
        last = now;
      }
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; i++) threads.emplace_back(live, uint64_t(i + 1));
  uint64_t retired = 0;
  for (uint64_t n = 1; n <= changes; n++) {
    table->stage(slot, valueOf(n, std::to_string(n)));
    table->stageMap(mapSlot).set("key " + std::to_string(n % 97), blob(n, "v"));
    uint64_t generation = table->commit();
    if (n % 5 == 0) owner->quiesce(ignore, nullptr);
    if (n % 64 == 0) static_cast<void>(table->awaitTaken(generation, *owner));
    retired = std::max(retired, table->stats().retired);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  owner->quiesce(ignore, nullptr);
  MESSAGE(lives.load() << " lives took " << seen.load() << " times news; at most " << retired
                       << " replaced snapshots were held");
  CHECK(wrong == 0);
  CHECK(seen > 0);
  // No bound for `retired`: a thread that loses its CPU while it takes news holds back what is
  // replaced until it has it again.
  CHECK(table->stats().retired == 0);
  CHECK(table->stats().live == 2);
}

}  // namespace millrace
