#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "event/loop.h"
#include "event/timer_wheel.h"
#include "support/repetitions.h"

using namespace millrace;

namespace {

// Drives a wheel on a clock of its own.
struct Clock {
  uint64_t now;
  TimerWheel wheel;
  std::vector<int> fired;
  int steps = 0;
  explicit Clock(uint64_t start) : now(start), wheel(start) {}

  // Goes to `until` the way a sleeping loop does: from wake-up to wake-up.
  void runUntil(uint64_t until) {
    while (wheel.nextMs() <= until) {
      now = std::max(now, wheel.nextMs());
      wheel.advance(now, nullptr, nullptr);
      steps++;
    }
    now = until;
  }
};

struct Alarm {
  Alarm(Clock& c, int number) : clock(c), id(number) {}
  Clock& clock;
  int id;
  uint64_t firedAt = 0;
  Timer timer{[](void* self) {
                auto* alarm = static_cast<Alarm*>(self);
                alarm->firedAt = alarm->clock.now;
                alarm->clock.fired.push_back(alarm->id);
              },
              this};
};

}  // namespace

TEST_CASE("timers fire at their deadline, whatever the distance") {
  for (uint64_t start : {uint64_t{0}, uint64_t{63}, uint64_t{4095}, uint64_t{123456789}}) {
    for (uint64_t delay : {1, 2, 63, 64, 65, 4095, 4096, 4097, 60'000, 3'600'000, 90'000'000}) {
      Clock clock(start);
      Alarm alarm{clock, 1};
      clock.wheel.arm(alarm.timer, start + delay);
      clock.runUntil(start + delay - 1);
      CHECK(alarm.firedAt == 0);
      clock.runUntil(start + delay);
      CHECK(alarm.firedAt == start + delay);
      CHECK(!alarm.timer.armed());
      CHECK(clock.steps <= 7);  // one wake-up a level at the most
      CHECK(clock.wheel.nextMs() == TimerWheel::kNever);
    }
  }
}

TEST_CASE("a deadline moved later or cancelled does not fire at the old one") {
  Clock clock(1000);
  Alarm moved{clock, 1}, cancelled{clock, 2}, earlier{clock, 3};
  clock.wheel.arm(moved.timer, 1100);
  clock.wheel.arm(cancelled.timer, 1100);
  clock.wheel.arm(earlier.timer, 9000);
  clock.wheel.arm(moved.timer, 5000);
  clock.wheel.arm(earlier.timer, 1050);
  TimerWheel::cancel(cancelled.timer);
  clock.runUntil(4999);
  CHECK(clock.fired == std::vector<int>{3});
  CHECK(earlier.firedAt == 1050);
  clock.runUntil(20'000);
  CHECK(clock.fired == std::vector<int>{3, 1});
  CHECK(moved.firedAt == 5000);
}

TEST_CASE("ten thousand idle timeouts of an hour cost a few wake-ups an hour, not one a tick") {
  Clock clock(77'777);
  std::vector<std::unique_ptr<Alarm>> alarms;
  for (int i = 0; i < 10'000; i++) {
    alarms.push_back(std::make_unique<Alarm>(clock, i));
    clock.wheel.arm(alarms.back()->timer, clock.now + 3'600'000);
  }
  // Each is used once a minute: a store.
  for (int minute = 1; minute <= 120; minute++) {
    clock.runUntil(77'777 + uint64_t(minute) * 60'000);
    for (auto& alarm : alarms) clock.wheel.arm(alarm->timer, clock.now + 3'600'000);
  }
  CHECK(clock.fired.empty());
  CHECK(clock.steps < 100);
}

TEST_CASE("callbacks may arm, cancel, and destroy timers, their own included") {
  Clock clock(0);
  struct Chain {
    Clock& clock;
    int left;
    std::unique_ptr<Alarm> victim;
    Timer timer{[](void* self) {
                  auto* chain = static_cast<Chain*>(self);
                  chain->victim.reset();
                  if (--chain->left > 0) chain->clock.wheel.arm(chain->timer, chain->clock.now + 5);
                },
                this};
  } chain{clock, 3, nullptr};
  chain.victim = std::make_unique<Alarm>(clock, 9);
  clock.wheel.arm(chain.timer, 10);
  clock.wheel.arm(chain.victim->timer, 10);
  clock.runUntil(100);
  CHECK(chain.left == 0);
  CHECK(clock.fired.empty());

  struct Owner {
    explicit Owner(std::unique_ptr<Owner>* at) : home(at) {}
    std::unique_ptr<Owner>* home;
    Timer timer{[](void* owner) { static_cast<Owner*>(owner)->home->reset(); }, this};
  };
  std::unique_ptr<Owner> home;
  home = std::make_unique<Owner>(&home);
  clock.wheel.arm(home->timer, 200);
  clock.runUntil(300);
  CHECK(home == nullptr);
}

TEST_CASE("random timers fire in their order, each at its time") {
  std::mt19937 random(4711);
  Clock clock(999);
  std::vector<std::unique_ptr<Alarm>> alarms;
  std::vector<uint64_t> deadline(300, 0);
  for (int i = 0; i < 300; i++) alarms.push_back(std::make_unique<Alarm>(clock, i));
  for (int round = 0; round < repetitions(20'000); round++) {
    auto i = size_t(random() % 300);
    switch (random() % 4) {
      case 0:
        TimerWheel::cancel(alarms[i]->timer);
        deadline[i] = 0;
        break;
      case 1:
      case 2:
        deadline[i] = clock.now + 1 + (random() % 3 == 0 ? random() % 1'000'000 : random() % 300);
        clock.wheel.arm(alarms[i]->timer, deadline[i]);
        break;
      default: {
        uint64_t until = clock.now + random() % 400;
        clock.fired.clear();
        clock.runUntil(until);
        uint64_t last = 0;
        for (int id : clock.fired) {
          CHECK(alarms[size_t(id)]->firedAt == deadline[size_t(id)]);
          CHECK(deadline[size_t(id)] >= last);
          last = deadline[size_t(id)];
          deadline[size_t(id)] = 0;
        }
        CHECK(std::all_of(deadline.begin(), deadline.end(),
                          [&](uint64_t d) { return d == 0 || d > clock.now; }));
      }
    }
  }
}

TEST_CASE("a loop wakes for its timers, and never before the delay has passed") {
  auto loop = std::move(*Loop::create());
  bool fired = false;
  Timer timer([](void* f) { *static_cast<bool*>(f) = true; }, &fired);
  for (uint64_t delay : {1, 5, 20, 80}) {
    fired = false;
    uint64_t start = monotonicNs();
    loop->arm(timer, delay);
    uint64_t turns = loop->turns();
    while (!fired) loop->runOnce(-1);
    CHECK(monotonicNs() - start >= delay * kNsPerMs);
    CHECK(loop->turns() - turns <= 5);
  }
  loop->arm(timer, 10);
  loop->cancel(timer);
  CHECK(!timer.armed());
  fired = false;
  loop->runOnce(30);
  loop->runOnce(0);
  CHECK(!fired);
}
