// Workers on threads of their own: waking, reclaiming on the main thread, leaving.
#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "rcu/slot_table.h"
#include "value.h"

namespace millrace {

namespace {

// A worker's loop as far as the table can tell: it sleeps until it is woken, works, and is quiet.
class Worker {
 public:
  explicit Worker(SlotTable& table) : table_(table) {
    reader_ = table.attach([](void* w) { static_cast<Worker*>(w)->wake(); }, this);
  }
  void start(SlotId slot, int until, bool leaves) {
    thread_ = std::thread([this, slot, until, leaves] {
      for (int last = read(*reader_, slot); last < until;) {
        int seen = wakes_.load(std::memory_order_acquire);
        reader_->quiesce();
        int now = read(*reader_, slot);
        if (now == last) wakes_.wait(seen, std::memory_order_acquire);
        ordered = ordered && now >= last;
        last = now;
      }
      if (leaves) reader_->leave();
    });
  }
  void stop(bool left) {
    thread_.join();
    if (!left) table_.detach(reader_);
  }
  bool ordered = true;

 private:
  void wake() {
    wakes_.fetch_add(1, std::memory_order_release);
    wakes_.notify_one();
  }
  SlotTable& table_;
  Reader* reader_;
  std::atomic<int> wakes_{0};
  std::thread thread_;
};

}  // namespace

TEST_CASE("a sleeping worker is woken for every last publish, and never holds back reclaiming") {
  constexpr int kLast = 20'000;
  Value::alive = 0;
  std::atomic<bool> asked{false};
  SlotTable table(
      {.scheduleReclaim = [](void* a) { static_cast<std::atomic<bool>*>(a)->store(true); },
       .context = &asked});
  SlotId slot = newSlot(table);
  std::vector<std::unique_ptr<Worker>> workers;
  for (int i = 0; i < 4; i++) {
    workers.push_back(std::make_unique<Worker>(table));
    workers.back()->start(slot, kLast, i % 2 == 0);
  }
  for (int n = 1; n <= kLast; n++) {
    table.publish(slot, value(n));
    table.commit();
    if (asked.exchange(false)) table.reclaim();
  }
  // A lost wake-up would leave a worker asleep, and this waiting, for ever.
  for (size_t i = 0; i < workers.size(); i++) {
    workers[i]->stop(i % 2 == 0);
    CHECK(workers[i]->ordered);
  }
  CHECK(asked.load());
  table.reclaim();
  CHECK(Value::alive == 1);
  CHECK(table.stats().freed == kLast - 1);
}

}  // namespace millrace
