// The main thread's side of a FlushFile: life cycle, tickets, figures. The writing is in
// flush_thread.cc.
#include "flush/flush_file.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/clock.h"
#include "base/pin_module.h"
#include "flush/flush_thread.h"
#include "flush/process_end.h"

namespace millrace {

namespace {

// Beyond the deadline of stop(): for the thread to notice the deadline itself and to count what it
// leaves behind.
constexpr uint64_t kStopGraceNs = 50 * kNsPerMs;

std::chrono::steady_clock::time_point inMs(uint32_t ms) {
  return std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
}

Error notRotated(const std::string& path) {
  const std::string what = path.empty() ? "a descriptor" : path;
  return Error{"ERR_MILLRACE_FLUSH_ROTATION",
               what + " cannot be rotated: only a regular file with a path can"};
}

Status checkRotation(const FlushRotation& rotation) {
  if (!rotation.gzip || GzipFile::available()) return {};
  return Error{"ERR_MILLRACE_FLUSH_GZIP",
               "gzip needs zlib, which neither this program exports nor the system has: install "
               "zlib (zlib1g, libz.so.1), or rotate without gzip"};
}

void* flushThreadMain(void* arg) {
  std::unique_ptr<FlushThread> thread(static_cast<FlushThread*>(arg));
#ifdef __linux__
  pthread_setname_np(pthread_self(), "millrace-flush");
#endif
  thread->run();
  if (thread->shared().options.endDeadlineMs != 0) ProcessEnd::remove(thread.get());
  return nullptr;
}

}  // namespace

FlushLock::FlushLock(FlushShared& shared) : lock_(shared.mutex, std::defer_lock) {
  pthread_sigmask(SIG_BLOCK, &ProcessEnd::terminating(), &before_);
  lock_.lock();
}

FlushLock::~FlushLock() {
  lock_.unlock();
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

struct FlushFile::Impl {
  std::shared_ptr<FlushShared> shared;
  pthread_t thread{};
  bool stopped = false;
  StopReport report{true, 0, 0};
};

FlushFile::FlushFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FlushFile::~FlushFile() {
  stop(kDestructorStopMs);
}

Result<std::unique_ptr<FlushFile>> FlushFile::create(FlushOptions options) {
  options.intervalMs = std::max(options.intervalMs, 1u);
  if (Status s = checkRotation(options.rotation); !s.ok()) return s.error();
  // Before it is opened, which may empty it.
  std::unique_ptr<RotationClaim> claim;
  if (!options.target.path.empty()) {
    auto taken = RotationClaim::take(options.target.path, options.rotation);
    if (!taken) return taken.error();
    claim = std::move(*taken);
  }
  auto sink = std::make_unique<FlushSink>(options.target);
  if (Status s = sink->open(); !s.ok()) return s.error();
  if (!sink->regular()) {
    claim.reset();
    if (options.rotation.on()) return notRotated(options.target.path);
  }
  auto waker = FlushWaker::create();
  if (!waker) return waker.error();
  auto impl = std::make_unique<Impl>();
  impl->shared = std::make_shared<FlushShared>(std::move(options));
  impl->shared->waker = std::move(*waker);
  impl->shared->rotation = impl->shared->options.rotation;
  impl->shared->rotationChanged = impl->shared->rotation.on();
  impl->shared->claim = std::move(claim);
  auto thread = std::make_unique<FlushThread>(impl->shared, std::move(sink));
  if (impl->shared->options.endDeadlineMs != 0) {
    if (Status s = ProcessEnd::enroll(thread.get()); !s.ok()) return s.error();
  }
  // No signal is for this thread; SIGPIPE and SIGXFSZ come back as EPIPE and EFBIG.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int failed = pthread_create(&impl->thread, nullptr, flushThreadMain, thread.get());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (failed != 0) {
    if (impl->shared->options.endDeadlineMs != 0) ProcessEnd::remove(thread.get());
    return Error{"ERR_MILLRACE_FLUSH_THREAD",
                 std::string("cannot start a flush thread: ") + std::strerror(failed), failed};
  }
  thread.release();  // flushThreadMain owns it
  return std::unique_ptr<FlushFile>(new FlushFile(std::move(impl)));
}

std::shared_ptr<FlushRing> FlushFile::attach() {
  const auto& shared = impl_->shared;
  const FlushOptions& o = shared->options;
  auto ring = std::make_shared<FlushRing>(
      FlushRing::Limits{o.ringBytes, o.maxBytes, o.fillMark, o.deferWake}, shared->waker.get());
  {
    FlushLock lock(*shared);
    shared->ringsBusy = true;
    // When the process is about to end, a signal handler reads the list.
    if (!shared->pen.claimed()) {
      shared->rings.push_back(ring);
      shared->ringsChanged = true;
    }
    shared->ringsBusy = false;
  }
  shared->waker->wake();
  // The writer's end: closes the ring when it goes, and keeps the waker alive until then.
  FlushRing* raw = ring.get();
  return std::shared_ptr<FlushRing>(raw, [shared, ring](FlushRing* r) { r->close(); });
}

uint64_t FlushFile::askReopen() {
  FlushShared& s = *impl_->shared;
  FlushLock lock(s);
  s.waker->wake();
  return ++s.reopenAsked;
}

uint64_t FlushFile::askFlush() {
  FlushShared& s = *impl_->shared;
  FlushLock lock(s);
  s.waker->wake();
  return ++s.flushAsked;
}

void FlushFile::askStop(uint32_t deadlineMs) {
  FlushShared& s = *impl_->shared;
  FlushLock lock(s);
  s.stopDeadlineNs = monotonicNs() + uint64_t{deadlineMs} * kNsPerMs;
  s.waker->wake();
}

void FlushFile::retire(uint32_t deadlineMs) {
  if (impl_->stopped) return;
  impl_->stopped = true;
  {
    FlushLock lock(*impl_->shared);
    impl_->shared->retired = true;
  }
  askStop(deadlineMs);
  pthread_detach(impl_->thread);
}

Status FlushFile::reopen(uint32_t timeoutMs) {
  FlushShared& s = *impl_->shared;
  FlushLock lock(s);
  if (s.exited || s.abandoned) return Error{"ERR_MILLRACE_FLUSH_STOPPED", "the file was stopped"};
  const uint64_t ticket = ++s.reopenAsked;
  s.waker->wake();
  if (timeoutMs == 0) return {};
  const bool served = s.changed.wait_until(lock.lock(), inMs(timeoutMs),
                                           [&] { return s.reopenDone >= ticket || s.exited; });
  if (!served || s.reopenDone < ticket) {
    return Error{"ERR_MILLRACE_FLUSH_TIMEOUT", "reopening waits for a write that has not returned"};
  }
  return s.reopenStatus;
}

Status FlushFile::rotate(const FlushRotation& rotation) {
  if (Status s = checkRotation(rotation); !s.ok()) return s;
  FlushShared& s = *impl_->shared;
  FlushLock lock(s);
  if (s.rotation == rotation) return {};
  if (s.claim == nullptr) return notRotated(s.options.target.path);
  if (Status changed = s.claim->change(rotation); !changed.ok()) return changed;
  s.rotation = rotation;
  s.rotationChanged = true;
  s.waker->wake();
  return {};
}

bool FlushFile::flush(uint32_t timeoutMs) {
  FlushShared& s = *impl_->shared;
  FlushLock lock(s);
  const uint64_t ticket = ++s.flushAsked;
  s.waker->wake();
  s.changed.wait_until(lock.lock(), inMs(timeoutMs),
                       [&] { return s.flushDone >= ticket || s.exited; });
  return s.flushDone >= ticket;
}

FlushFile::StopReport FlushFile::stop(uint32_t deadlineMs) {
  if (impl_->stopped) return impl_->report;
  impl_->stopped = true;
  FlushShared& s = *impl_->shared;
  bool exited;
  {
    FlushLock lock(s);
    // askStop() may have set one already; an earlier one counts.
    const uint64_t nowNs = monotonicNs();
    const uint64_t untilNs =
        std::min(s.stopDeadlineNs.load(), nowNs + uint64_t{deadlineMs} * kNsPerMs);
    s.stopDeadlineNs = untilNs;
    s.waker->wake();
    const uint64_t endNs = untilNs + kStopGraceNs;
    const uint64_t leftMs = endNs > nowNs ? (endNs - nowNs) / kNsPerMs : 0;
    exited = s.changed.wait_until(lock.lock(), inMs(uint32_t(leftMs)), [&] { return s.exited; });
    s.abandoned = !exited;
  }
  if (exited) {
    pthread_join(impl_->thread, nullptr);
  } else {
    pinModule();  // the thread runs on in it
    pthread_detach(impl_->thread);
  }
  const FlushStats now = stats();
  FlushLock lock(s);
  s.totals.lostLines = now.bufferedLines;
  s.totals.lostBytes = now.bufferedBytes;
  impl_->report = {now.bufferedBytes == 0, now.bufferedLines, now.bufferedBytes};
  return impl_->report;
}

FlushStats FlushFile::stats() const {
  return impl_->shared->stats();
}

FlushStats FlushShared::stats() {
  FlushLock lock(*this);
  FlushStats t = totals;
  for (const auto& ring : rings) {
    const FlushRing::Counts c = ring->counts();
    t.acceptedLines += c.lines;
    t.acceptedBytes += c.bytes;
    t.droppedLines += c.droppedLines;
    t.droppedBytes += c.droppedBytes;
    t.ringsGrown += c.grown;
  }
  t.bufferedLines = t.acceptedLines - t.writtenLines - t.lostLines;
  t.bufferedBytes = t.acceptedBytes - t.writtenBytes - t.lostBytes;
  return t;
}

}  // namespace millrace
