// One event loop for one thread.
//
// A turn: poll → I/O events → those that were put off (within a time budget) → due timers → posted
// tasks (within a time budget) → quiet hook → deferred deletes. Nothing is destroyed while an event
// for it can still be in the batch.
//
// Thread rule: everything here belongs to the loop's thread, except post() and stop(), which any
// thread may call. Objects may also be set up from another thread before run() starts.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/list.h"
#include "base/result.h"

namespace millrace {

class Loop;
class Poller;

// Readiness bits, as reported and as remembered in a handle.
enum Ready : uint32_t {
  kReadable = 1,  // data, or end of stream, can be read
  kWritable = 2,
  // The peer shut down its writing half (EPOLLRDHUP, EV_EOF); data may still be pending.
  kReadClosed = 4,
  kError = 8,  // the next read or write tells which
  // Not readiness, and never remembered: the handle's share of the turn has come (Loop::putOff).
  kPutOff = 16,
};

// A descriptor registered once, edge-triggered, for its whole life. The owner closes the descriptor
// after Loop::remove(). A handle that is freed from inside its own onReady() goes through
// Loop::deferDelete().
class IoHandle {
 public:
  virtual ~IoHandle() = default;
  // New readiness; may come more than once a turn (kqueue reports reading and writing apart). The
  // bits are also or-ed into ready() before the call; whoever reads to a short read, or writes to a
  // short write, clears them. Called on the loop's thread.
  virtual void onReady(uint32_t events) = 0;
  int fd() const { return fd_; }
  uint32_t ready() const { return ready_; }
  void clearReady(uint32_t bits) { ready_ &= uint8_t(~bits); }
  // What the last poll found and onReady() has not been called with yet: others come first.
  uint32_t polled() const { return polled_; }
  bool registered() const { return registered_; }

 protected:
  int fd_ = -1;

 private:
  friend class Loop;
  uint8_t ready_ = 0;
  uint8_t againBits_ = 0;
  bool registered_ = false;
  uint8_t polled_ = 0;
  IoHandle* nextAgain_ = nullptr;   // queued by Loop::again() or putOff():
  IoHandle** linkAgain_ = nullptr;  // what points at this one
};

// A one-shot timer. Moving a deadline later is a store; the wheel entry moves when it fires early.
// Embedded in its owner; cancelled by its destructor. Deadlines are Loop::nowMs() milliseconds.
class Timer : private ListNode<Timer> {
 public:
  using Callback = void (*)(void* context);
  Timer(Callback fire, void* context) : fire_(fire), context_(context) {}
  ~Timer() { unlink(); }
  bool armed() const { return deadlineMs_ != 0; }

 private:
  friend class Loop;
  friend class TimerWheel;
  friend class List<Timer, Timer>;
  Callback fire_;
  void* context_;
  uint64_t deadlineMs_ = 0;  // 0: not armed (it may still sit in the wheel)
  uint64_t slotMs_ = 0;      // where in the wheel it sits
};

// What is called once, after the events of the next poll.
class AfterPoll : private ListNode<AfterPoll> {
 public:
  virtual void onPolled() = 0;

 protected:
  ~AfterPoll() = default;

 private:
  friend class Loop;
  friend class List<AfterPoll, AfterPoll>;
};

// Work for a loop, made on any thread, run and deleted on the loop's thread.
class Task {
 public:
  virtual ~Task() = default;
  virtual void run() = 0;

 private:
  friend class Loop;
  Task* next_ = nullptr;
};

// What is freed at the end of the turn. Intrusive: deferring costs no allocation.
class Deferred {
 public:
  // Called at the end of the turn: `delete this`-like for heap objects, give-back for pooled ones.
  virtual void destroyDeferred() = 0;

 protected:
  ~Deferred() = default;

 private:
  friend class Loop;
  Deferred* nextDeferred_ = nullptr;
  bool deferred_ = false;
};

class Loop {
 public:
  // Time that posted tasks may take in one turn before I/O gets its turn again.
  static constexpr uint64_t kPostBudgetNs = 500'000;
  // Time that handles which move much may take in one turn, all together; at least one gets its
  // share. What they do not get comes in later turns, so that whoever has little to do waits for
  // one such budget, and not for all of them.
  static constexpr uint64_t kPutOffBudgetNs = 500'000;
  // Events taken from the poller in one call.
  static constexpr int kEventsPerPoll = 512;
  static constexpr uint64_t kTickMs = 1;

  static Result<std::unique_ptr<Loop>> create();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Registers `fd` with `handle`, edge-triggered for reading and writing, until remove(). Sets
  // handle->fd().
  Status add(IoHandle* handle, int fd);
  // As add(), level-triggered for reading only: for accepting sockets, so that what a batch leaves
  // is reported again.
  Status addListener(IoHandle* handle, int fd);
  // A listener stops / goes on being polled (at the descriptor limit). Costs a system call.
  void setListening(IoHandle* handle, bool on);
  // No event reaches the handle after this, not even one already in the batch. Does not close the
  // descriptor.
  void remove(IoHandle* handle);
  // Calls handle->onReady(bits) later in this turn (or in the next one, before polling blocks): how
  // a handle that was paused with readiness left, or that used up its byte cap, goes on. Idempotent
  // within a turn.
  void again(IoHandle* handle, uint32_t bits);
  // As again(), for a handle that has much to move or has had its share: it is called with kPutOff
  // among the bits, after everything else of a turn, when the budget of those that were put off
  // allows. In the order in which they were put off; each once a turn.
  void putOff(IoHandle* handle, uint32_t bits);

  // Calls `what` after the events of the next poll, which does not wait meanwhile: for whoever has
  // to know that a descriptor had nothing to say. Idempotent; given up when `what` is destroyed.
  void afterPoll(AfterPoll& what);

  // Arms `timer` for `delayMs` from now (at least one tick); re-arms when armed. A later deadline
  // is a store.
  void arm(Timer& timer, uint64_t delayMs);
  // A store; the timer does not fire.
  void cancel(Timer& timer);

  // Any thread. The task runs once on the loop; tasks of one thread keep their order. Tasks still
  // queued when the loop is destroyed are deleted unrun.
  void post(std::unique_ptr<Task> task);
  // Any thread. Convenience for code off the request path (allocates).
  void post(std::function<void()> fn);

  void deferDelete(Deferred* object);
  // Frees now what was deferred. The loop does so each turn; for taking things down after the loop
  // has stopped.
  void runDeferred();

  // `hook` runs once per turn, after posted tasks and before deferred deletes: the quiet period of
  // the slot table.
  void setQuietHook(void (*hook)(void*), void* context);
  // `hook` runs after each onReady() and each timer callback and task: where the writes collected
  // meanwhile are flushed.
  void setFlushHook(void (*hook)(void*), void* context);

  // Until stop(); on the loop's thread, which gets no SIGPIPE from then on.
  void run();
  // One turn that waits at most so long (-1: for ever); for tests and for embedding.
  void runOnce(int timeoutMs);
  void stop();  // any thread

  // Time as of this turn's poll (refreshed once more after the I/O events when they took long).
  uint64_t nowNs() const { return nowNs_; }
  uint64_t nowMs() const { return nowNs_ / kNsPerMs; }

  // The last poll told of all that was ready then; otherwise (a full batch) silence says nothing.
  bool toldAll() const;
  // How long ago that was: what has come since is not known yet. Reads the clock.
  uint64_t sincePollNs() const;

  // Totals for load figures, ns: time spent outside poll. Written by the loop only; any thread may
  // read (relaxed).
  uint64_t busyNs() const { return busyNs_.load(std::memory_order_relaxed); }
  uint64_t turns() const { return turns_.load(std::memory_order_relaxed); }
  bool onLoopThread() const;

 private:
  struct Impl;
  explicit Loop(std::unique_ptr<Impl> impl);
  void turn(int maxWaitMs);
  int waitMs(uint64_t nowNs, int maxWaitMs) const;
  void dispatch(IoHandle* handle, uint32_t bits);
  void queue(IoHandle* handle, uint32_t bits, bool putOff);
  void runAgain();
  void runPutOff();
  void runEvents();
  void unlinkAgain(IoHandle* handle);
  void runTimers();
  void runTasks();
  void push(Task* task);
  Task* takePosted();
  std::unique_ptr<Impl> impl_;
  uint64_t nowNs_ = 0;
  std::atomic<uint64_t> busyNs_{0};
  std::atomic<uint64_t> turns_{0};
};

}  // namespace millrace
