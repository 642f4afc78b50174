// The seam between the loop and the operating system's way to wait. epoll.cc and kqueue.cc each
// implement exactly the functions declared here; everything else of the loop is shared, and one
// test suite runs on both.
//
// Thread rule: the loop's thread, except wake().
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"
#include "event/loop.h"

namespace millrace {

struct PollEvent {
  IoHandle* handle;
  uint32_t bits;  // Ready
};

class Poller {
 public:
  static Result<std::unique_ptr<Poller>> create();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // Edge-triggered, both directions, hang-up of the peer's writing half included.
  Status add(IoHandle* handle, int fd);
  // Level-triggered, reading only.
  Status addListener(IoHandle* handle, int fd);
  void setListening(IoHandle* handle, int fd, bool on);
  // Also drops what the current batch still holds for `handle`, so that a stale event reaches
  // nobody.
  void remove(IoHandle* handle, int fd);
  // Waits for at most `timeoutMs` (-1: for ever, 0: not at all) and collects a batch for next().
  void wait(int timeoutMs);
  // Any thread: a wait() in progress, or the next one, returns.
  void wake();

  // The next event of the batch, or null. Valid until the next call of wait().
  const PollEvent* next() {
    while (taken_ < count_) {
      const PollEvent* event = &events_[size_t(taken_++)];
      if (event->handle != nullptr) return event;
    }
    return nullptr;
  }
  int batchSize() const { return count_; }
  // The last wait() took as much as it takes at once: more may have been ready.
  bool full() const { return full_; }
  // All of the batch. Before the first next(), when no handle of it can be gone.
  std::span<const PollEvent> batch() const { return {events_.data(), size_t(count_)}; }

 private:
  struct System;  // descriptors and buffers of the backend
  explicit Poller(std::unique_ptr<System> system);
  void collect(IoHandle* handle, uint32_t bits) { events_[size_t(count_++)] = {handle, bits}; }
  void forget(const IoHandle* handle) {
    for (int i = taken_; i < count_; i++) {
      if (events_[size_t(i)].handle == handle) events_[size_t(i)].handle = nullptr;
    }
  }

  std::unique_ptr<System> system_;
  int count_ = 0;
  int taken_ = 0;
  bool full_ = false;
  std::array<PollEvent, Loop::kEventsPerPoll> events_;
};

}  // namespace millrace
