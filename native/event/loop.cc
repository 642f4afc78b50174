#include "event/loop.h"

#include <pthread.h>
#include <signal.h>

#include <climits>
#include <utility>

#include "event/poller.h"
#include "event/timer_wheel.h"

namespace millrace {

namespace {

// From so many events on, a batch may have taken long: the clock is read once more before timers
// are looked at.
constexpr int kLongBatch = 32;
// The longest sleep. Nothing depends on it; it keeps poll's int of milliseconds in range.
constexpr uint64_t kLongestWaitMs = 3'600'000;

// Stands at the end of the posted tasks while the loop sleeps: whoever posts onto it has to wake
// the loop.
class SleepMark final : public Task {
 public:
  void run() override {}
};

class FunctionTask final : public Task {
 public:
  explicit FunctionTask(std::function<void()> fn) : fn_(std::move(fn)) {}
  void run() override { fn_(); }

 private:
  std::function<void()> fn_;
};

struct Hook {
  void (*call)(void*) = nullptr;
  void* context = nullptr;
  void run() const {
    if (call != nullptr) call(context);
  }
};

}  // namespace

struct Loop::Impl {
  explicit Impl(std::unique_ptr<Poller> p)
      : poller(std::move(p)), wheel(monotonicNs() / kNsPerMs) {}

  std::unique_ptr<Poller> poller;
  TimerWheel wheel;
  Hook quiet;
  Hook flush;
  uint64_t awakeNs = 0;  // when poll last returned

  // Handles to be called again, in order. Those queued while a queue runs wait for the next turn.
  struct Queue {
    IoHandle* first = nullptr;
    IoHandle** last = &first;
  };
  Queue again, putOff;

  List<AfterPoll, AfterPoll> afterPoll;

  // Tasks taken from `posted`, in order.
  Task* firstTask = nullptr;
  Task** lastTask = &firstTask;

  Deferred* firstDeferred = nullptr;
  Deferred** lastDeferred = &firstDeferred;

  pthread_t thread{};
  std::atomic<bool> running{false};

  // Shared with other threads: newest first, on a cache line of its own.
  alignas(64) std::atomic<Task*> posted{nullptr};
  std::atomic<bool> stopping{false};
  SleepMark sleeping;
};

Loop::Loop(std::unique_ptr<Impl> impl) : impl_(std::move(impl)), nowNs_(monotonicNs()) {}

Result<std::unique_ptr<Loop>> Loop::create() {
  Result<std::unique_ptr<Poller>> poller = Poller::create();
  if (!poller) return poller.error();
  return std::unique_ptr<Loop>(new Loop(std::make_unique<Impl>(std::move(*poller))));
}

Loop::~Loop() {
  while (true) {
    impl_->lastTask = &impl_->firstTask;
    Task* task = std::exchange(impl_->firstTask, nullptr);
    if (task == nullptr) task = takePosted();
    if (task == nullptr) break;
    while (task != nullptr) std::unique_ptr<Task>(std::exchange(task, task->next_));
  }
  runDeferred();
}

bool Loop::onLoopThread() const {
  return !impl_->running.load(std::memory_order_acquire) ||
         pthread_equal(impl_->thread, pthread_self());
}

// ---- descriptors

Status Loop::add(IoHandle* handle, int fd) {
  MR_DASSERT(onLoopThread() && !handle->registered_);
  Status added = impl_->poller->add(handle, fd);
  if (!added) return added;
  handle->fd_ = fd;
  handle->ready_ = handle->polled_ = 0;
  handle->registered_ = true;
  return {};
}

Status Loop::addListener(IoHandle* handle, int fd) {
  MR_DASSERT(onLoopThread() && !handle->registered_);
  Status added = impl_->poller->addListener(handle, fd);
  if (!added) return added;
  handle->fd_ = fd;
  handle->ready_ = 0;
  handle->registered_ = true;
  return {};
}

void Loop::setListening(IoHandle* handle, bool on) {
  MR_DASSERT(onLoopThread() && handle->registered_);
  impl_->poller->setListening(handle, handle->fd_, on);
}

void Loop::remove(IoHandle* handle) {
  MR_DASSERT(onLoopThread());
  if (handle->registered_) {
    impl_->poller->remove(handle, handle->fd_);
    handle->registered_ = false;
  }
  unlinkAgain(handle);
}

void Loop::again(IoHandle* handle, uint32_t bits) {
  queue(handle, bits, false);
}

void Loop::putOff(IoHandle* handle, uint32_t bits) {
  queue(handle, bits | kPutOff, true);
}

// A handle that is queued already stays where it is, unless it is put off now.
void Loop::queue(IoHandle* handle, uint32_t bits, bool putOff) {
  MR_DASSERT(onLoopThread());
  bits |= handle->againBits_;
  if (handle->linkAgain_ != nullptr) {
    if (putOff && (handle->againBits_ & kPutOff) == 0) {
      unlinkAgain(handle);
    } else {
      handle->againBits_ = uint8_t(bits);
      return;
    }
  }
  handle->againBits_ = uint8_t(bits);
  Impl::Queue& queue = putOff ? impl_->putOff : impl_->again;
  handle->nextAgain_ = nullptr;
  handle->linkAgain_ = queue.last;
  *queue.last = handle;
  queue.last = &handle->nextAgain_;
}

void Loop::unlinkAgain(IoHandle* handle) {
  if (handle->linkAgain_ == nullptr) return;
  *handle->linkAgain_ = handle->nextAgain_;
  if (handle->nextAgain_ != nullptr) {
    handle->nextAgain_->linkAgain_ = handle->linkAgain_;
  } else {
    Impl::Queue& queue = impl_->again.last == &handle->nextAgain_ ? impl_->again : impl_->putOff;
    queue.last = handle->linkAgain_;
  }
  handle->nextAgain_ = nullptr;
  handle->linkAgain_ = nullptr;
  handle->againBits_ = 0;
}

bool Loop::toldAll() const {
  return !impl_->poller->full();
}

uint64_t Loop::sincePollNs() const {
  return monotonicNs() - impl_->awakeNs;
}

void Loop::afterPoll(AfterPoll& what) {
  MR_DASSERT(onLoopThread());
  if (!what.linked()) impl_->afterPoll.pushBack(&what);
}

// The events of one poll, and then what waited for them; what is queued meanwhile waits for the
// next poll.
void Loop::runEvents() {
  List<AfterPoll, AfterPoll> due;
  while (AfterPoll* what = impl_->afterPoll.popFront()) due.pushBack(what);
  for (const PollEvent& event : impl_->poller->batch()) {
    event.handle->polled_ |= uint8_t(event.bits);
  }
  while (const PollEvent* event = impl_->poller->next()) {
    event->handle->polled_ &= uint8_t(~event->bits);
    dispatch(event->handle, event->bits);
  }
  while (AfterPoll* what = due.popFront()) {
    what->onPolled();
    impl_->flush.run();
  }
}

void Loop::dispatch(IoHandle* handle, uint32_t bits) {
  handle->ready_ |= uint8_t(bits & ~uint32_t(kPutOff));
  handle->onReady(bits);
  impl_->flush.run();
}

namespace {

// Stands behind what is queued now: what handles queue from here on waits for the next turn.
class Mark final : public IoHandle {
 public:
  void onReady(uint32_t) override {}
};

}  // namespace

void Loop::runAgain() {
  if (impl_->again.first == nullptr) return;
  Mark mark;
  again(&mark, 0);
  while (IoHandle* handle = impl_->again.first) {
    uint32_t bits = handle->againBits_;
    unlinkAgain(handle);
    if (handle == &mark) break;
    dispatch(handle, bits);
  }
}

void Loop::runPutOff() {
  if (impl_->putOff.first == nullptr) return;
  Mark mark;
  putOff(&mark, 0);
  const uint64_t deadline = monotonicNs() + kPutOffBudgetNs;
  do {
    IoHandle* handle = impl_->putOff.first;
    uint32_t bits = handle->againBits_;
    if (handle == &mark) break;
    unlinkAgain(handle);
    dispatch(handle, bits);
  } while (monotonicNs() < deadline);
  unlinkAgain(&mark);
}

// ---- timers

void Loop::arm(Timer& timer, uint64_t delayMs) {
  MR_DASSERT(onLoopThread());
  if (!impl_->running.load(std::memory_order_relaxed)) nowNs_ = monotonicNs();  // no turn keeps it
  // Rounded up, so that a timer never fires before its delay has passed.
  uint64_t nowMs = (nowNs_ + kNsPerMs - 1) / kNsPerMs;
  uint64_t delay = delayMs < TimerWheel::kLatestMs ? delayMs : TimerWheel::kLatestMs;
  impl_->wheel.arm(timer, nowMs + (delay > 0 ? delay : kTickMs));
}

void Loop::cancel(Timer& timer) {
  MR_DASSERT(onLoopThread());
  TimerWheel::cancel(timer);
}

void Loop::runTimers() {
  uint64_t now = nowMs();
  if (now < impl_->wheel.nextMs()) return;
  impl_->wheel.advance(now, impl_->flush.call, impl_->flush.context);
}

// ---- tasks

void Loop::push(Task* task) {
  Task* head = impl_->posted.load(std::memory_order_relaxed);
  do {
    task->next_ = head;
  } while (!impl_->posted.compare_exchange_weak(head, task, std::memory_order_release,
                                                std::memory_order_relaxed));
  if (head == &impl_->sleeping) impl_->poller->wake();
}

void Loop::post(std::unique_ptr<Task> task) {
  push(task.release());
}

void Loop::post(std::function<void()> fn) {
  post(std::make_unique<FunctionTask>(std::move(fn)));
}

// All posted tasks, oldest first.
Task* Loop::takePosted() {
  Task* task = impl_->posted.exchange(nullptr, std::memory_order_acquire);
  Task* ordered = nullptr;
  while (task != nullptr && task != &impl_->sleeping) {
    Task* next = task->next_;
    task->next_ = ordered;
    ordered = task;
    task = next;
  }
  return ordered;
}

void Loop::runTasks() {
  if (impl_->posted.load(std::memory_order_relaxed) != nullptr) {
    *impl_->lastTask = takePosted();
    while (*impl_->lastTask != nullptr) impl_->lastTask = &(*impl_->lastTask)->next_;
  }
  if (impl_->firstTask == nullptr) return;
  uint64_t deadline = monotonicNs() + kPostBudgetNs;
  do {
    std::unique_ptr<Task> task(impl_->firstTask);
    impl_->firstTask = task->next_;
    if (impl_->firstTask == nullptr) impl_->lastTask = &impl_->firstTask;
    task->run();
    task.reset();
    impl_->flush.run();
  } while (impl_->firstTask != nullptr && monotonicNs() < deadline);
}

// ---- deferred deletes and hooks

void Loop::deferDelete(Deferred* object) {
  MR_DASSERT(onLoopThread());
  MR_ASSERT(!object->deferred_);
  object->deferred_ = true;
  object->nextDeferred_ = nullptr;
  *impl_->lastDeferred = object;
  impl_->lastDeferred = &object->nextDeferred_;
}

void Loop::runDeferred() {
  while (Deferred* object = impl_->firstDeferred) {
    impl_->firstDeferred = object->nextDeferred_;
    if (impl_->firstDeferred == nullptr) impl_->lastDeferred = &impl_->firstDeferred;
    object->deferred_ = false;
    object->destroyDeferred();
  }
}

void Loop::setQuietHook(void (*hook)(void*), void* context) {
  impl_->quiet = {hook, context};
}
void Loop::setFlushHook(void (*hook)(void*), void* context) {
  impl_->flush = {hook, context};
}

// ---- turns

// How long poll may block: until the next timer, not at all while work is queued.
int Loop::waitMs(uint64_t nowNs, int maxWaitMs) const {
  if (maxWaitMs == 0 || impl_->firstTask != nullptr || !impl_->afterPoll.empty()) return 0;
  if (impl_->again.first != nullptr || impl_->putOff.first != nullptr) return 0;
  if (impl_->stopping.load(std::memory_order_relaxed)) return 0;
  uint64_t next = impl_->wheel.nextMs();
  if (next == TimerWheel::kNever && maxWaitMs < 0) return -1;
  uint64_t wait = kLongestWaitMs;
  if (next < nowNs / kNsPerMs + wait) {
    wait = next * kNsPerMs <= nowNs ? 0 : (next * kNsPerMs - nowNs + kNsPerMs - 1) / kNsPerMs;
  }
  if (maxWaitMs >= 0 && uint64_t(maxWaitMs) < wait) wait = uint64_t(maxWaitMs);
  return int(wait);
}

void Loop::turn(int maxWaitMs) {
  uint64_t before = monotonicNs();
  busyNs_.store(busyNs() + (before - impl_->awakeNs), std::memory_order_relaxed);
  int wait = waitMs(before, maxWaitMs);
  if (wait != 0) {
    // From here on a post wakes us; if one came first, there is no sleep.
    Task* none = nullptr;
    if (!impl_->posted.compare_exchange_strong(none, &impl_->sleeping, std::memory_order_acq_rel,
                                               std::memory_order_relaxed)) {
      wait = 0;
    }
  }
  impl_->poller->wait(wait);
  if (wait != 0) {
    Task* mark = &impl_->sleeping;
    impl_->posted.compare_exchange_strong(mark, nullptr, std::memory_order_relaxed,
                                          std::memory_order_relaxed);
  }
  nowNs_ = impl_->awakeNs = monotonicNs();
  turns_.store(turns() + 1, std::memory_order_relaxed);

  runEvents();
  if (impl_->poller->batchSize() >= kLongBatch) nowNs_ = monotonicNs();
  runAgain();
  runPutOff();
  runTimers();
  runTasks();
  impl_->quiet.run();
  runDeferred();
}

void Loop::run() {
  // Not every write can be told to leave SIGPIPE out: splice(2) cannot.
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  impl_->thread = pthread_self();
  impl_->running.store(true, std::memory_order_release);
  impl_->awakeNs = monotonicNs();
  while (!impl_->stopping.load(std::memory_order_acquire)) turn(-1);
  impl_->running.store(false, std::memory_order_release);
  impl_->stopping.store(false, std::memory_order_relaxed);
}

void Loop::runOnce(int timeoutMs) {
  impl_->awakeNs = monotonicNs();
  turn(timeoutMs);
}

void Loop::stop() {
  impl_->stopping.store(true, std::memory_order_release);
  impl_->poller->wake();
}

}  // namespace millrace
