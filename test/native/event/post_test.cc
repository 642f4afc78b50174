#include <doctest/doctest.h>
#include <sys/resource.h>

#include <atomic>
#include <thread>
#include <vector>

#include "event/loop.h"

using namespace millrace;

namespace {

struct Counted final : Task {
  Counted(int who, int number, std::vector<int>& last, std::atomic<int>& alive)
      : who_(who), number_(number), last_(last), alive_(alive) {
    alive_++;
  }
  ~Counted() override { alive_--; }
  void run() override {
    CHECK(last_[size_t(who_)] + 1 == number_);
    last_[size_t(who_)] = number_;
  }
  int who_, number_;
  std::vector<int>& last_;
  std::atomic<int>& alive_;
};

}  // namespace

TEST_CASE("tasks of several threads all run, each thread's in order") {
  auto loop = std::move(*Loop::create());
  constexpr int kThreads = 4, kTasks = 5000;
  std::vector<int> last(kThreads, 0);
  std::atomic<int> alive{0}, finished{0};
  std::vector<std::thread> threads;
  for (int who = 0; who < kThreads; who++) {
    threads.emplace_back([&, who] {
      for (int i = 1; i <= kTasks; i++) {
        loop->post(std::make_unique<Counted>(who, i, last, alive));
        if (i % 1000 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      if (++finished == kThreads) loop->post([&] { loop->stop(); });
    });
  }
  loop->run();
  for (auto& thread : threads) thread.join();
  loop->runOnce(0);
  for (int count : last) CHECK(count == kTasks);
  CHECK(alive == 0);
}

TEST_CASE("a sleeping loop is woken by each post") {
  auto loop = std::move(*Loop::create());
  std::atomic<int> ran{0};
  std::thread thread([&] { loop->run(); });
  for (int i = 1; i <= 200; i++) {
    loop->post([&] { ran++; });
    while (ran < i) std::this_thread::yield();
    if (i % 20 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  loop->stop();
  thread.join();
  CHECK(ran == 200);
}

TEST_CASE("tasks that take long leave turns to the rest of the loop") {
  auto loop = std::move(*Loop::create());
  int ran = 0;
  for (int i = 0; i < 10; i++) {
    loop->post([&] {
      ran++;
      for (uint64_t until = monotonicNs() + 300'000; monotonicNs() < until;) {
      }
    });
  }
  loop->runOnce(-1);
  CHECK(ran >= 1);
  CHECK(ran <= 3);
  while (ran < 10) loop->runOnce(-1);  // never blocks while tasks wait
}

TEST_CASE("a task posted from a task runs, and unrun tasks are deleted with the loop") {
  std::atomic<int> alive{0};
  std::vector<int> last(1, 0);
  auto loop = std::move(*Loop::create());
  int ran = 0;
  loop->post([&] { loop->post([&] { ran++; }); });
  loop->runOnce(-1);
  loop->runOnce(-1);
  CHECK(ran == 1);
  for (int i = 1; i <= 5; i++) loop->post(std::make_unique<Counted>(0, i, last, alive));
  CHECK(alive == 5);
  loop.reset();
  CHECK(alive == 0);
}

TEST_CASE("stop() before run() is not lost") {
  auto loop = std::move(*Loop::create());
  loop->stop();
  loop->run();
  CHECK(loop->onLoopThread());
}

TEST_CASE("an idle loop sleeps") {
  auto loop = std::move(*Loop::create());
  Timer idle([](void*) {}, nullptr);
  loop->arm(idle, 3'600'000);
  std::thread thread([&] { loop->run(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  loop->post([&] { CHECK(loop->onLoopThread()); });
  CHECK(!loop->onLoopThread());
  CHECK(loop->turns() <= 6);
  loop->stop();
  thread.join();
  CHECK(loop->busyNs() < 100 * kNsPerMs);
}

TEST_CASE("deferred objects are freed at the end of the turn, in order, chains included") {
  auto loop = std::move(*Loop::create());
  struct Thing final : Deferred {
    void destroyDeferred() override {
      freed->push_back(id);
      if (next != nullptr) loop->deferDelete(next);
    }
    int id = 0;
    Loop* loop = nullptr;
    Thing* next = nullptr;
    std::vector<int>* freed = nullptr;
  };
  std::vector<int> freed;
  Thing things[3];
  for (int i = 0; i < 3; i++) {
    things[i].id = i;
    things[i].loop = loop.get();
    things[i].freed = &freed;
  }
  things[0].next = &things[2];
  loop->post([&] {
    loop->deferDelete(&things[0]);
    loop->deferDelete(&things[1]);
    CHECK(freed.empty());
  });
  loop->runOnce(-1);
  CHECK(freed == std::vector<int>{0, 1, 2});
}
