// Workers count while the main thread registers, reads, resets and releases.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "rcu/slot_table.h"
#include "stats/registry.h"

namespace millrace {

namespace {

constexpr StatLeaf kLeaves[] = {{"total"}, {"active", StatKind::kGauge}, {"other"}};
constexpr uint64_t kRounds = 2000;
constexpr size_t kWorkers = 3;

// What the main thread hands out: an id goes to workers only after it was registered.
struct Handed {
  BlockId block;
  HistogramId histogram;
};

class Nothing : public StatVisitor {
 public:
  void counter(const StatName&, uint64_t value) override { backwards += value > limit; }
  void gauge(const StatName&, int64_t) override {}
  void histogram(const StatName&, HistogramUnit, const HistogramData& data) override {
    backwards += data.count() > limit;
  }
  uint64_t limit = 0;
  uint64_t backwards = 0;
};

}  // namespace

TEST_CASE("workers count while the main thread registers and reads") {
  StatsRegistry registry;
  std::vector<Handed> handed(kRounds);
  std::atomic<size_t> ready{0};
  std::vector<StatsShard*> shards;
  std::vector<std::thread> threads;
  for (size_t w = 0; w < kWorkers; w++) shards.push_back(registry.addShard());
  for (size_t w = 0; w < kWorkers; w++) {
    StatsShard* shard = shards[w];
    threads.emplace_back([shard, &handed, &ready] {
      for (size_t done = 0; done < kRounds;) {
        size_t until = ready.load(std::memory_order_acquire);
        if (done == until) std::this_thread::yield();
        for (; done < until; done++) {
          StatBlock block = shard->block(handed[done].block);
          HistogramCells& histogram = shard->histogram(handed[done].histogram);
          for (uint64_t i = 0; i < 10; i++) {
            ++block[0];
            ++block[1];
            histogram.record(i * done);
            --block[1];
          }
        }
      }
    });
  }
  Nothing visitor;
  visitor.limit = kWorkers * 10;
  for (size_t i = 0; i < kRounds; i++) {
    StatScope scope{"scope." + std::to_string(i) + ".", "scope.", {}};
    handed[i] = {registry.block(scope, kLeaves),
                 registry.histogram(scope, "time", HistogramUnit::kMicroseconds)};
    ready.store(i + 1, std::memory_order_release);
    if (i % 400 == 0) registry.visit(visitor);
  }
  for (std::thread& thread : threads) thread.join();
  registry.visit(visitor);
  CHECK(visitor.backwards == 0);
  uint64_t wrong = 0;
  for (const Handed& ids : handed) {
    wrong += registry.value(ids.block.first) != kWorkers * 10;
    wrong += registry.value(ids.block.first + 1) != 0;
    wrong += registry.read(ids.histogram).count() != kWorkers * 10;
  }
  CHECK(wrong == 0);
  for (StatsShard* shard : shards) registry.removeShard(shard);
  CHECK(registry.value(handed.back().block.first) == kWorkers * 10);
}

namespace {

// As a cluster's snapshot does: carries the id, and gives its use back when no worker can write any
// more.
class Carrier : public Snapshot {
 public:
  Carrier(StatsRegistry& registry, uint64_t n)
      : block(registry.block({std::to_string(n) + ".", "", {}}, kLeaves)), registry_(registry) {}
  ~Carrier() override { registry_.release(block); }
  const BlockId block;

 private:
  StatsRegistry& registry_;
};

}  // namespace

TEST_CASE("released cells are used again only after every worker has passed") {
  constexpr uint64_t kVersions = 3000;
  StatsRegistry registry;
  SlotTable table;
  Result<SlotId> slot = table.allocate("cluster");
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  std::vector<Reader*> readers;
  for (size_t w = 0; w < kWorkers; w++) {
    Reader* reader = table.attach(nullptr, nullptr);
    StatsShard* shard = registry.addShard();
    readers.push_back(reader);
    threads.emplace_back([reader, shard, &stop, id = slot.value()] {
      Pin pin;
      for (uint64_t turn = 0; !stop.load(std::memory_order_acquire); turn++) {
        const Carrier* now = reader->get<Carrier>(id);
        if (now != nullptr) ++shard->block(now->block)[0];
        if (pin) ++shard->block(pin.get<Carrier>()->block)[1];
        if (turn % 7 == 0) pin = reader->pin(id);
        reader->quiesce();
      }
    });
  }
  uint64_t dirty = 0;
  StatId highest = 0;
  for (uint64_t n = 0; n < kVersions; n++) {
    auto carrier = std::make_unique<Carrier>(registry, n);
    StatId first = carrier->block.first;
    highest = std::max(highest, first);
    dirty += registry.value(first) + registry.value(first + 1);
    table.publish(slot.value(), std::move(carrier));
    table.commit();
    do {
      table.reclaim();
    } while (table.stats().retired > 50);
  }
  stop.store(true, std::memory_order_release);
  for (std::thread& thread : threads) thread.join();
  for (Reader* reader : readers) table.detach(reader);
  CHECK(dirty == 0);
  CHECK(highest < 60 * 3 * 2);  // of 9,000 cells, were none used again
}

TEST_CASE("a counter read while it is written never goes backwards") {
  StatsRegistry registry;
  StatId id = registry.counter("total");
  StatsShard* shard = registry.addShard();
  std::thread writer([shard, id] {
    StatCell& cell = shard->cell(id);
    for (int i = 0; i < 500'000; i++) ++cell;
  });
  uint64_t last = 0;
  bool forwards = true;
  while (last < 500'000) {
    uint64_t now = registry.value(id);
    forwards = forwards && now >= last;
    last = now;
  }
  writer.join();
  CHECK(forwards);
  CHECK(registry.value(id) == 500'000);
}

}  // namespace millrace
