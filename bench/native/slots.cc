// The slot table by itself: what a read costs, and how long a publish takes to reach the last of
// eight workers, each of them a real event loop. Prints one line of JSON.
//   slots [PUBLISHES]
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "event/loop.h"
#include "rcu/slot_table.h"

using namespace millrace;

namespace {

constexpr int kWorkers = 8;
constexpr int kSlots = 64;
constexpr uint64_t kReads = 50'000'000;
constexpr uint64_t kWorkNs = 200'000;        // of each millisecond, for a worker under load
constexpr uint64_t kPauseNs = 200'000;       // between two publishes
constexpr uint64_t kPatienceNs = kNsPerSec;  // for the last worker to see one

struct Number final : Snapshot {
  explicit Number(uint64_t v) : value(v) {}
  const uint64_t value;
};

void sleepNs(uint64_t ns) {
  const timespec time{static_cast<time_t>(ns / kNsPerSec), static_cast<long>(ns % kNsPerSec)};
  nanosleep(&time, nullptr);
}

/** ns of Reader::get(), the slots in turn. */
double readNs() {
  SlotTable table;
  std::vector<SlotId> ids;
  for (int i = 0; i < kSlots; i++) {
    ids.push_back(table.allocate("bench").value());
    table.publish(ids.back(), std::make_unique<Number>(static_cast<uint64_t>(i)));
  }
  table.commit();
  Reader* reader = table.attach(nullptr, nullptr);
  const uint64_t start = monotonicNs();
  for (uint64_t i = 0; i < kReads; i++) {
    const Snapshot* snapshot = reader->get(ids[i % kSlots]);
    asm volatile("" : : "r"(snapshot) : "memory");  // nothing is kept in a register across a read
  }
  const uint64_t end = monotonicNs();
  table.detach(reader);
  return static_cast<double>(end - start) / static_cast<double>(kReads);
}

/** A loop on a thread of its own that notes when it took the newest generation. */
class Worker {
 public:
  Worker(SlotTable& table, SlotId slot, bool busy)
      : loop_(std::move(Loop::create().value())), slot_(slot) {
    reader_ =
        table.attach([](void* self) { static_cast<Worker*>(self)->loop_->post([] {}); }, this);
    loop_->setQuietHook([](void* self) { static_cast<Worker*>(self)->quiet(); }, this);
    if (busy) loop_->arm(timer_, 1);
    thread_ = std::thread([this] { loop_->run(); });
  }

  void stop(SlotTable& table) {
    loop_->stop();
    thread_.join();
    table.detach(reader_);
  }

  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
  uint64_t tookAtNs() const { return tookAtNs_.load(std::memory_order_relaxed); }

 private:
  void quiet() {
    reader_->quiesce();
    if (reader_->taken() == generation_.load(std::memory_order_relaxed)) return;
    tookAtNs_.store(monotonicNs(), std::memory_order_relaxed);
    generation_.store(reader_->taken(), std::memory_order_release);
  }

  void work() {
    const uint64_t until = monotonicNs() + kWorkNs;
    while (monotonicNs() < until) {
      const Snapshot* snapshot = reader_->get(slot_);
      asm volatile("" : : "r"(snapshot) : "memory");
    }
    loop_->arm(timer_, 1);
  }

  std::unique_ptr<Loop> loop_;
  const SlotId slot_;
  Timer timer_{[](void* self) { static_cast<Worker*>(self)->work(); }, this};
  Reader* reader_ = nullptr;
  std::atomic<uint64_t> generation_{0};
  std::atomic<uint64_t> tookAtNs_{0};
  std::thread thread_;
};

struct Latency {
  double p50Us;
  double p99Us;
};

Latency publishLatency(int publishes, bool busy) {
  SlotTable table;
  const SlotId slot = table.allocate("bench").value();
  table.publish(slot, std::make_unique<Number>(1));
  table.commit();
  std::vector<std::unique_ptr<Worker>> workers;
  for (int i = 0; i < kWorkers; i++) workers.push_back(std::make_unique<Worker>(table, slot, busy));

  std::vector<double> us;
  for (int i = 0; i < publishes; i++) {
    sleepNs(kPauseNs);
    const uint64_t start = monotonicNs();
    table.publish(slot, std::make_unique<Number>(static_cast<uint64_t>(i) + 2));
    table.commit();
    const uint64_t generation = table.generation();
    const auto seen = [generation](const auto& worker) {
      return worker->generation() >= generation;
    };
    while (!std::all_of(workers.begin(), workers.end(), seen)) {
      if (monotonicNs() - start > kPatienceNs) {
        std::fprintf(stderr, "slots: a worker did not see a publish within a second\n");
        std::exit(1);
      }
      sleepNs(kPauseNs);
    }
    uint64_t last = start;
    for (const auto& worker : workers) last = std::max(last, worker->tookAtNs());
    us.push_back(static_cast<double>(last - start) / 1000);
    table.reclaim();
  }
  for (const auto& worker : workers) worker->stop(table);
  table.reclaim();
  std::sort(us.begin(), us.end());
  return {us[us.size() / 2], us[us.size() * 99 / 100]};
}

}  // namespace

int main(int argc, char** argv) {
  const int publishes = argc > 1 ? std::atoi(argv[1]) : 2000;
  const double read = readNs();
  const Latency idle = publishLatency(publishes, false);
  const Latency busy = publishLatency(publishes, true);
  std::printf(
      "{\"readNs\": %.2f, \"workers\": %d, \"idleP50Us\": %.1f, \"idleP99Us\": %.1f, "
      "\"busyP50Us\": %.1f, \"busyP99Us\": %.1f}\n",
      read, kWorkers, idle.p50Us, idle.p99Us, busy.p50Us, busy.p99Us);
}
