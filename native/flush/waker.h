// Wakes the flush thread from any thread: one descriptor it can poll beside its file. An eventfd on
// Linux, a pipe elsewhere.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#ifdef __linux__
#include <sys/eventfd.h>
#endif

#include "base/result.h"

namespace millrace {

class FlushWaker {
 public:
  static Result<std::unique_ptr<FlushWaker>> create() {
    auto waker = std::make_unique<FlushWaker>();
#ifdef __linux__
    waker->readFd_ = waker->writeFd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (waker->readFd_ < 0) return Error{"ERR_MILLRACE_FLUSH_WAKER", "eventfd failed", errno};
#else
    int fds[2];
    if (pipe(fds) != 0) return Error{"ERR_MILLRACE_FLUSH_WAKER", "pipe failed", errno};
    for (int fd : fds) {
      fcntl(fd, F_SETFL, O_NONBLOCK);
      fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    waker->readFd_ = fds[0];
    waker->writeFd_ = fds[1];
#endif
    return waker;
  }
  FlushWaker() = default;
  FlushWaker(const FlushWaker&) = delete;
  FlushWaker& operator=(const FlushWaker&) = delete;
  ~FlushWaker() {
    if (readFd_ >= 0) close(readFd_);
    if (writeFd_ >= 0 && writeFd_ != readFd_) close(writeFd_);
  }

  // Any thread. One system call; never blocks. A full pipe or counter means that a wake-up is
  // pending anyway.
  void wake() {
    const uint64_t one = 1;
    ssize_t n;
    do {
      n = write(writeFd_, &one, sizeof one);
    } while (n < 0 && errno == EINTR);
  }
  // Flush thread: forgets the wake-ups so far.
  void drain() {
    uint64_t sink[64];
    while (read(readFd_, sink, sizeof sink) == ssize_t(sizeof sink)) {
    }
  }
  int fd() const { return readFd_; }

 private:
  int readFd_ = -1;
  int writeFd_ = -1;
};

}  // namespace millrace
