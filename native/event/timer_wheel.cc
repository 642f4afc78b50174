#include "event/timer_wheel.h"

#include <bit>

namespace millrace {

void TimerWheel::arm(Timer& timer, uint64_t deadlineMs) {
  MR_DASSERT(deadlineMs > timeMs_);
  timer.deadlineMs_ = deadlineMs < kLatestMs ? deadlineMs : kLatestMs;
  if (timer.linked()) {
    if (timer.deadlineMs_ >= timer.slotMs_) return;  // it is looked at again when its slot comes up
    timer.unlink();
  }
  insert(timer);
}

void TimerWheel::insert(Timer& timer) {
  uint64_t at = timer.deadlineMs_;
  uint64_t differs = at ^ timeMs_;
  int level = differs == 0 ? 0 : (63 - std::countl_zero(differs)) / kBits;
  int shift = kBits * level;
  auto slot = size_t(at >> shift) % kSlots;
  timer.slotMs_ = at;
  slots_[level][slot].pushBack(&timer);
  occupied_[level] |= uint64_t{1} << slot;
  uint64_t start = at >> shift << shift;
  if (start < nextMs_) nextMs_ = start;
}

int TimerWheel::lowestLevel() const {
  for (int level = 0; level < kLevels; level++) {
    if (occupied_[level] != 0) return level;
  }
  return -1;
}

uint64_t TimerWheel::startOfNextSlot(int level) const {
  int shift = kBits * level;
  auto slot = uint64_t(std::countr_zero(occupied_[level]));
  return (timeMs_ >> (shift + kBits) << (shift + kBits)) | (slot << shift);
}

void TimerWheel::updateNext() {
  int level = lowestLevel();
  nextMs_ = level < 0 ? kNever : startOfNextSlot(level);
}

void TimerWheel::advance(uint64_t nowMs, void (*afterEach)(void*), void* context) {
  for (int level; (level = lowestLevel()) >= 0;) {
    uint64_t start = startOfNextSlot(level);
    if (start > nowMs) break;
    if (start > timeMs_) timeMs_ = start;
    auto slot = size_t(start >> (kBits * level)) % kSlots;
    occupied_[level] &= ~(uint64_t{1} << slot);
    List<Timer, Timer>& list = slots_[level][slot];
    // Nothing is added to this list meanwhile: what is armed for after timeMs_ differs from it in a
    // lower digit, or in a later slot.
    while (Timer* timer = list.popFront()) {
      if (timer->deadlineMs_ == 0) continue;
      if (timer->deadlineMs_ > nowMs) {
        insert(*timer);
        continue;
      }
      timer->deadlineMs_ = 0;
      timer->fire_(timer->context_);
      if (afterEach != nullptr) afterEach(context);
    }
  }
  if (nowMs > timeMs_) timeMs_ = nowMs;
  updateNext();
}

}  // namespace millrace
