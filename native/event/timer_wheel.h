// A hierarchical timing wheel: seven levels of 64 slots, the lowest 1 ms wide, each next one 64
// times wider.
//
//   level      0      1      2        3        4         5         6
//   a slot   1 ms  64 ms  4.1 s  4.4 min    4.7 h   12.4 d   2.2 years
//
// A timer goes to the level of the highest 6-bit digit in which its deadline differs from the
// wheel's time. Thus all of a lower level comes before all of a higher one, and the next wake-up is
// the first occupied slot of the lowest occupied level: two bit scans. When the time of a higher
// slot comes, its timers are spread over the levels below.
//
// Moving a deadline later, and cancelling, only stores; the entry is moved, or dropped, when its
// slot comes up. Thread rule: the loop's.
#pragma once

#include <cstdint>

#include "event/loop.h"

namespace millrace {

class TimerWheel {
 public:
  static constexpr uint64_t kNever = ~uint64_t{0};
  static constexpr uint64_t kLatestMs =
      (uint64_t{1} << 42) - 1;  // 139 years of uptime; later is as never

  explicit TimerWheel(uint64_t nowMs) : timeMs_(nowMs) {}

  // `deadlineMs` must be later than the time of the last advance().
  void arm(Timer& timer, uint64_t deadlineMs);
  static void cancel(Timer& timer) { timer.deadlineMs_ = 0; }

  // When advance() next has something to do, kNever if nothing is armed: never later than the
  // earliest deadline, and sometimes earlier (a cancelled or moved timer, or a slot to be spread).
  uint64_t nextMs() const { return nextMs_; }

  // Fires everything due at `nowMs`; `afterEach` runs after each callback. Callbacks may arm,
  // cancel and destroy any timer, their own included.
  void advance(uint64_t nowMs, void (*afterEach)(void*), void* context);

 private:
  static constexpr int kBits = 6;
  static constexpr int kSlots = 1 << kBits;
  static constexpr int kLevels = 7;

  void insert(Timer& timer);
  int lowestLevel() const;
  uint64_t startOfNextSlot(int level) const;
  void updateNext();

  uint64_t timeMs_;
  uint64_t nextMs_ = kNever;
  uint64_t occupied_[kLevels] =
      {};  // a bit for each slot; may be set for one that was emptied since
  List<Timer, Timer> slots_[kLevels][kSlots];
};

}  // namespace millrace
