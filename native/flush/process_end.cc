// Signals and exit(); see process_end.h.
#include "flush/process_end.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>

#include "base/clock.h"
#include "base/pin_module.h"
#include "flush/flush_thread.h"

namespace millrace {

namespace {

constexpr int kPausesMs = 1;  // between two rounds over files that have no room
constexpr int kSignals = 65;  // numbers below are signals of Linux; elsewhere there are fewer

// Signals whose default action does not end the process (signal(7), sigaction(2) of the BSDs), and
// the one that nobody can handle.
constexpr int kHarmless[] = {
    SIGKILL, SIGSTOP, SIGCHLD, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH,
#ifdef SIGINFO
    SIGINFO, SIGIO,  // where there is the first, the second is thrown away by default
#endif
};

struct State {
  std::mutex mutex;  // enrolling, removing, exit()
  std::array<std::atomic<FlushThread*>, ProcessEnd::kMaxFiles> files{};
  std::atomic<bool> ending{false};   // a handler runs: nothing it may look at is destroyed any more
  std::atomic<pthread_t> handler{};  // the thread that it runs on
  std::atomic<bool> inHandler{false};
  pid_t process = 0;  // a child that was forked and has not executed anything yet is not ours
  struct sigaction previous[kSignals];
};

// Never destroyed: flush threads and handlers outlive static destructors.
State& state() {
  static State* const kState = std::make_unique<State>().release();
  return *kState;
}

// Rounds over all files, so that one that has no room does not cost the others their time.
// Async-signal-safe.
void lastFlush() {
  State& s = state();
  s.ending = true;
  const uint64_t startNs = monotonicNs();
  for (bool again = true; again;) {
    again = false;
    for (auto& entry : s.files) {
      FlushThread* file = entry;
      if (file == nullptr || file->lastStep() != FlushThread::LastStep::kAgain) continue;
      const uint64_t deadlineNs = uint64_t{file->shared().options.endDeadlineMs} * kNsPerMs;
      if (monotonicNs() - startNs < deadlineNs) again = true;
    }
    if (again) poll(nullptr, 0, kPausesMs);
  }
  for (auto& entry : s.files) {
    if (FlushThread* file = entry) ProcessEnd::sayLoss(file->shared(), file->lastLoss());
  }
}

// What follows when this handler returns, as the signal is held back until then.
void passOn(int signo) {
  sigaction(signo, &state().previous[signo], nullptr);
  raise(signo);
}

void onTerminating(int signo, siginfo_t*, void*) {
  State& s = state();
  const int error = errno;
  if (getpid() != s.process) {
    passOn(signo);
  } else if (!s.inHandler.exchange(true)) {
    s.handler = pthread_self();
    lastFlush();
    passOn(signo);
  }
  errno = error;
}

void onFatal(int signo, siginfo_t* info, void* context) {
  State& s = state();
  const struct sigaction& previous = s.previous[signo];
  if ((signo == SIGSEGV || signo == SIGBUS) && (previous.sa_flags & SA_SIGINFO) != 0) {
    previous.sa_sigaction(signo, info, context);
    // Who could not mend the fault has restored the default action and raised the signal again.
    struct sigaction now;
    sigaction(signo, nullptr, &now);
    if ((now.sa_flags & SA_SIGINFO) != 0 || now.sa_handler != SIG_DFL) return;
  }
  if (getpid() == s.process) {
    if (!s.inHandler.exchange(true)) {
      s.handler = pthread_self();
      lastFlush();
    } else if (!pthread_equal(s.handler, pthread_self())) {
      for (;;) pause();  // another thread is at it
    }
  }
  // Not what was there before, where that was asked already.
  struct sigaction now;
  sigaction(signo, nullptr, &now);
  if ((now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == onFatal) {
    passOn(signo);
  }
}

// exit(): the flush threads still run, so each flushes its own.
void onExit() {
  State& s = state();
  if (getpid() != s.process) return;
  std::lock_guard lock(s.mutex);
  const auto start = std::chrono::steady_clock::now();
  for (auto& entry : s.files) {
    FlushThread* file = entry;
    if (file == nullptr || file->shared().abandoned) continue;
    FlushLock fileLock(file->shared());
    file->shared().flushAsked++;
    file->shared().waker->wake();
  }
  for (auto& entry : s.files) {
    FlushThread* file = entry;
    if (file == nullptr || file->shared().abandoned) continue;
    FlushShared& f = file->shared();
    {
      FlushLock fileLock(f);
      const auto until = start + std::chrono::milliseconds(f.options.endDeadlineMs);
      f.changed.wait_until(fileLock.lock(), until,
                           [&f] { return f.flushDone == f.flushAsked || f.exited || f.hopeless; });
    }
    const FlushStats t = f.stats();
    ProcessEnd::sayLoss(f, {t.bufferedLines, t.bufferedBytes, t.droppedLines, t.droppedBytes});
  }
}

void install(int signo, void (*handler)(int, siginfo_t*, void*), int flags) {
  struct sigaction ours = {};
  ours.sa_sigaction = handler;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK | flags;
  sigemptyset(&ours.sa_mask);
  sigaction(signo, nullptr, &state().previous[signo]);
  sigaction(signo, &ours, nullptr);
}

// Once in the life of the process.
void prepare() {
  State& s = state();
  if (s.process != 0) return;
  s.process = getpid();
  pinModule();  // handlers and threads run code of this library
  std::atexit(onExit);
  for (int signo : ProcessEnd::kFatal) install(signo, onFatal, 0);
}

// Text that is put together without the heap; what does not fit is cut.
class Line {
 public:
  void add(const char* text) {
    while (*text != '\0' && size_ < sizeof text_) text_[size_++] = *text++;
  }
  void add(uint64_t number) {
    char digits[21];
    char* at = std::end(digits);
    *--at = '\0';
    do {
      *--at = char('0' + number % 10);
      number /= 10;
    } while (number != 0);
    add(at);
  }
  void writeTo(int fd) const {
    pollfd p{fd, POLLOUT, 0};
    if (poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0) {
      [[maybe_unused]] const ssize_t n = write(fd, text_, size_);
    }
  }

 private:
  char text_[1024];
  size_t size_ = 0;
};

}  // namespace

const sigset_t& ProcessEnd::terminating() {
  static const sigset_t kSet = [] {
    sigset_t set;
    sigemptyset(&set);
    for (int signo = 1; signo < kSignals; signo++) {
      struct sigaction now;  // fails for numbers that the system, or its C library, keeps
      if (sigaction(signo, nullptr, &now) == 0) sigaddset(&set, signo);
    }
    for (int signo : kHarmless) sigdelset(&set, signo);
    for (int signo : kFatal) sigdelset(&set, signo);
    return set;
  }();
  return kSet;
}

Status ProcessEnd::enroll(FlushThread* thread) {
  State& s = state();
  std::lock_guard lock(s.mutex);
  const auto free = std::find(s.files.begin(), s.files.end(), nullptr);
  if (free == s.files.end()) {
    return Error{"ERR_MILLRACE_FLUSH_TOO_MANY",
                 std::to_string(kMaxFiles) + " flush files are open already"};
  }
  *free = thread;
  prepare();
  watch();
  return {};
}

void ProcessEnd::remove(FlushThread* thread) {
  State& s = state();
  std::lock_guard lock(s.mutex);
  const auto entry = std::find(s.files.begin(), s.files.end(), thread);
  if (entry != s.files.end()) *entry = nullptr;
  // A handler may have read the entry before; it reads `ending` after setting it, as we do here
  // after clearing ours.
  if (s.ending) {
    for (;;) pause();
  }
}

void ProcessEnd::watch() {
  for (int signo = 1; signo < kSignals; signo++) {
    struct sigaction now;
    if (sigismember(&terminating(), signo) != 1 || sigaction(signo, nullptr, &now) != 0) continue;
    const bool function = (now.sa_flags & SA_SIGINFO) != 0;
    if (function && now.sa_sigaction == onTerminating) continue;
    const bool once = (now.sa_flags & SA_RESETHAND) != 0 && (function || now.sa_handler != SIG_IGN);
    if (once || (!function && now.sa_handler == SIG_DFL)) {
      // For one signal only, as it ends the process: another copy of this library sees by it that
      // it may put its own before ours.
      install(signo, onTerminating, SA_RESETHAND);
    }
  }
}

void ProcessEnd::sayLoss(FlushShared& file, const FlushLoss& loss) {
  if (loss.lines + loss.bytes + loss.droppedLines == 0 || file.lossSaid.exchange(true)) return;
  Line line;
  line.add("millrace: ");
  const uint64_t lines = loss.lines + loss.droppedLines;
  line.add(lines);
  line.add(lines == 1 ? " line (" : " lines (");
  line.add(loss.bytes + loss.droppedBytes);
  line.add(" bytes) not written to ");
  line.add(file.options.name.c_str());
  if (loss.droppedLines != 0) {
    line.add("; of them ");
    line.add(loss.droppedLines);
    line.add(" (");
    line.add(loss.droppedBytes);
    line.add(" bytes) dropped by a full buffer");
  }
  line.add("\n");
  line.writeTo(STDERR_FILENO);
}

}  // namespace millrace
