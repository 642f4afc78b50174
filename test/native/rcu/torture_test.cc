// The torture test: a million publishes and more, while workers read, pin, attach, detach and leave
// at random. A destroyed snapshot is poisoned and its memory kept aside for long, so that a late
// look at it is seen; under ThreadSanitizer it is a race as well.
//
// MILLRACE_TORTURE_PUBLISHES: how many publishes; 1,000,000 when not set, and a tenth where each
// takes ten times as long (support/repetitions.h).
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "rcu/slot_table.h"
#include "support/repetitions.h"

namespace millrace {

namespace {

constexpr int kPublishes = 1'000'000;
constexpr size_t kSlots = 12;
constexpr size_t kWorkers = 4;
constexpr size_t kPinsPerWorker = 16;
constexpr size_t kAside = 20'000;         // destroyed snapshots whose memory is not used again yet
constexpr uint64_t kMaxRetired = 50'000;  // then the main thread waits for the workers
constexpr uint64_t kAlive = 0x600d600d600d600d;
constexpr uint64_t kPoison = 0xdeaddeaddeaddead;

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2 + 1) {}
  uint64_t below(uint64_t n) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return (state_ >> 11) % n;
  }

 private:
  uint64_t state_;
};

// Snapshots' memory, all on the main thread: the oldest is used again first.
class Memory {
 public:
  void* take(size_t size) {
    if (aside_.size() > kAside) {
      void* p = aside_.front();
      aside_.pop_front();
      return p;
    }
    return ::operator new(size);
  }
  void give(void* p) { aside_.push_back(p); }
  ~Memory() {
    for (void* p : aside_) ::operator delete(p);
  }

 private:
  std::deque<void*> aside_;
};

class Watched : public Snapshot {
 public:
  Watched(uint64_t slot, uint64_t number, uint64_t commit)
      : slot(slot), number(number), commit(commit) {}
  ~Watched() override { alive = kPoison; }
  static void* operator new(size_t size) { return memory().take(size); }
  static void operator delete(void* p) { memory().give(p); }
  // Reads all of it, as a request would.
  bool sound() const { return alive == kAlive && check == (slot ^ number ^ commit ^ kAlive); }

  volatile uint64_t alive = kAlive;
  const uint64_t slot;
  const uint64_t number;
  const uint64_t commit;
  const uint64_t check = slot ^ number ^ commit ^ kAlive;

 private:
  static Memory& memory() {
    static Memory all;
    return all;
  }
};

// What workers found, over all of them.
struct Findings {
  std::atomic<uint64_t> poisoned{0};   // a snapshot seen after it was destroyed
  std::atomic<uint64_t> backwards{0};  // a version older than one seen before
  std::atomic<uint64_t> torn{0};       // two slots published together, seen apart
  std::atomic<uint64_t> updates{0};
  std::atomic<uint64_t> turns{0};
};

// One life of one worker, from attach() to detach() or leave().
class Life {
 public:
  Life(SlotTable& table, const std::vector<std::atomic<SlotId>>& slots, Findings& findings,
       uint64_t seed, bool leaves)
      : table_(table), slots_(slots), findings_(findings), random_(seed), leaves_(leaves) {
    reader_ = table.attach([](void* life) { static_cast<Life*>(life)->wake(); }, this,
                           [](void* life) { static_cast<Life*>(life)->gone_ = true; });
    thread_ = std::thread([this] { run(); });
  }
  // Main thread: ends it. True once the table no longer knows the reader and this may be deleted.
  void end() {
    stop_.store(true, std::memory_order_release);
    wake();
    thread_.join();
    if (!leaves_) table_.detach(reader_);
  }
  bool gone() const { return gone_; }

 private:
  void wake() {
    wakes_.fetch_add(1, std::memory_order_release);
    wakes_.notify_one();
  }
  void check(const Snapshot* snapshot) {
    if (snapshot != nullptr && !static_cast<const Watched*>(snapshot)->sound()) {
      findings_.poisoned.fetch_add(1, std::memory_order_relaxed);
    }
  }
  void run() {
    reader_->observe(
        [](void* context, SlotId, const Snapshot* old, const Snapshot* now) {
          Life* life = static_cast<Life*>(context);
          life->check(old);
          life->check(now);
          life->updates_++;
          if (life->random_.below(8) == 0) life->dropPin();
        },
        this);
    pins_.resize(kPinsPerWorker);
    while (!stop_.load(std::memory_order_acquire)) {
      int seen = wakes_.load(std::memory_order_acquire);
      uint64_t generation = reader_->taken();
      uint64_t batches = 1 + random_.below(4);
      for (uint64_t i = 0; i < batches; i++) batch();
      reader_->quiesce();
      turns_++;
      // Asleep, as a worker without events is, unless there was news meanwhile.
      if (reader_->taken() == generation && random_.below(4) == 0) {
        wakes_.wait(seen, std::memory_order_acquire);
      }
    }
    pins_.clear();
    findings_.updates.fetch_add(updates_, std::memory_order_relaxed);
    findings_.turns.fetch_add(turns_, std::memory_order_relaxed);
    if (leaves_) reader_->leave();
  }
  void batch() {
    // Slots 0 and 1 are always published in the same turn, with the same mark.
    const Watched* first = reader_->get<Watched>(slot(0));
    const Watched* second = reader_->get<Watched>(slot(1));
    if ((first == nullptr) != (second == nullptr) ||
        (first != nullptr && first->commit != second->commit)) {
      findings_.torn.fetch_add(1, std::memory_order_relaxed);
    }
    for (size_t i = 0; i < kSlots; i++) {
      const Watched* now = reader_->get<Watched>(slot(i));
      check(now);
      if (now == nullptr) continue;
      if (now->number < last_[i]) findings_.backwards.fetch_add(1, std::memory_order_relaxed);
      last_[i] = now->number;
    }
    for (const Pin& pin : pins_) check(pin.get());
    if (random_.below(2) == 0) {
      pins_[random_.below(kPinsPerWorker)] = reader_->pin(slot(random_.below(kSlots)));
    }
    if (random_.below(4) == 0) {
      pins_[random_.below(kPinsPerWorker)] = pins_[random_.below(kPinsPerWorker)].again();
    }
    if (random_.below(4) == 0) dropPin();
  }
  void dropPin() { pins_[random_.below(kPinsPerWorker)].reset(); }
  // A handle may be of a later owner than the view is, or of an earlier one: it reads nothing then.
  SlotId slot(size_t i) const { return slots_[i].load(std::memory_order_relaxed); }

  SlotTable& table_;
  const std::vector<std::atomic<SlotId>>& slots_;
  Findings& findings_;
  Random random_;
  const bool leaves_;
  bool gone_ = false;  // main thread
  std::atomic<bool> stop_{false};
  std::atomic<int> wakes_{0};
  uint64_t updates_ = 0;
  uint64_t turns_ = 0;
  uint64_t last_[kSlots] = {};
  std::vector<Pin> pins_;
  Reader* reader_;
  std::thread thread_;
};

class Main {
 public:
  Main() : slots_(kSlots) {
    for (size_t i = 0; i < kSlots; i++) newOwner(i);
  }
  void run(uint64_t publishes) {
    for (size_t i = 0; i < kWorkers; i++) lives_.push_back(nullptr);
    while (published_ < publishes) {
      turn();
      if (asked_.exchange(false, std::memory_order_acq_rel)) table_.reclaim();
      if (random_.below(300) == 0) comeAndGo(random_.below(kWorkers));
      while (table_.stats().retired > kMaxRetired) {
        std::this_thread::sleep_for(std::chrono::microseconds(100));
        table_.reclaim();
      }
    }
    for (auto& life : lives_) {
      if (life != nullptr) life->end();
    }
    table_.reclaim();
    for (auto& life : lives_) unforgotten_ += life != nullptr && !life->gone();
    lives_.clear();
  }
  uint64_t unforgotten() const { return unforgotten_; }
  uint64_t livesLived() const { return livesLived_; }
  const SlotTable& table() const { return table_; }
  const Findings& findings() const { return findings_; }

 private:
  void turn() {
    uint64_t changes = 1 + random_.below(4);
    for (uint64_t i = 0; i < changes; i++) {
      size_t which = random_.below(kSlots);
      if (which <= 1) {
        publish(0);
        publish(1);
      } else if (random_.below(64) == 0) {
        table_.release(slots_[which].load(std::memory_order_relaxed));
        newOwner(which);
      } else {
        publish(which);
      }
    }
    if (random_.below(4) == 0) return;  // the turn goes on: staged, and not committed
    table_.commit();
    commit_++;
  }
  void publish(size_t which) {
    published_++;
    table_.publish(slots_[which].load(std::memory_order_relaxed),
                   std::make_unique<Watched>(which, published_, commit_));
  }
  void newOwner(size_t which) {
    Result<SlotId> slot = table_.allocate("torture");
    MR_ASSERT(slot.ok());
    slots_[which].store(slot.value(), std::memory_order_relaxed);
  }
  void comeAndGo(size_t which) {
    std::unique_ptr<Life>& life = lives_[which];
    if (life != nullptr) {
      life->end();
      table_.reclaim();
      unforgotten_ += !life->gone();
      life.reset();
    } else {
      livesLived_++;
      life = std::make_unique<Life>(table_, slots_, findings_, livesLived_, livesLived_ % 2 == 0);
    }
  }

  std::atomic<bool> asked_{false};
  SlotTable table_{{.scheduleReclaim =
                        [](void* asked) {
                          static_cast<std::atomic<bool>*>(asked)->store(true,
                                                                        std::memory_order_release);
                        },
                    .context = &asked_}};
  std::vector<std::atomic<SlotId>> slots_;
  Findings findings_;
  Random random_{42};
  std::vector<std::unique_ptr<Life>> lives_;
  uint64_t published_ = 0;
  uint64_t commit_ = 0;
  uint64_t livesLived_ = 0;
  uint64_t unforgotten_ = 0;
};

uint64_t publishesWanted() {
  const char* text = std::getenv("MILLRACE_TORTURE_PUBLISHES");
  return text == nullptr ? uint64_t(repetitions(kPublishes)) : std::strtoull(text, nullptr, 10);
}

}  // namespace

TEST_CASE("torture: a million publishes, readers coming and going, pins held at random") {
  uint64_t publishes = publishesWanted();
  Main main;
  main.run(publishes);
  SlotTable::Stats stats = main.table().stats();
  MESSAGE(stats.published << " published, " << stats.freed << " destroyed, " << main.livesLived()
                          << " readers, " << main.findings().updates.load() << " updates in "
                          << main.findings().turns.load() << " turns");
  CHECK(stats.published >= publishes);
  CHECK(main.findings().poisoned.load() == 0);
  CHECK(main.findings().backwards.load() == 0);
  CHECK(main.findings().torn.load() == 0);
  CHECK(main.unforgotten() == 0);
  CHECK(stats.readers == 0);
  CHECK(main.findings().updates.load() > 0);
  // Everything but what is current came back.
  CHECK(stats.live + stats.retired + stats.freed == stats.published);
  CHECK(stats.live <= kSlots);
  CHECK(stats.retired <= 2 * kSlots * 8);  // replaced in a turn that was not committed
}

}  // namespace millrace
