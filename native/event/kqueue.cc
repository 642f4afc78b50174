// Poller on kqueue (macOS, the BSDs). A descriptor has two entries, one for each direction, which
// are reported apart.
#include <sys/event.h>
#include <sys/time.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "event/poller.h"

namespace millrace {

struct Poller::System {
  static constexpr uintptr_t kWakeIdent = 0;
  int kq = -1;
  std::array<struct kevent, Loop::kEventsPerPoll> events;

  ~System() {
    if (kq >= 0) close(kq);
  }
  Status change(struct kevent* changes, int count) {
    if (kevent(kq, changes, count, nullptr, 0, nullptr) == 0) return {};
    return Error{"ERR_MILLRACE_POLL", "kevent", errno};
  }
};

namespace {

uint32_t readyBits(const struct kevent& event) {
  if (event.flags & EV_ERROR) return kReadable | kError;
  bool eof = (event.flags & EV_EOF) != 0;
  uint32_t bits = 0;
  if (event.filter == EVFILT_READ) {
    // EV_EOF may come with unread data: it is a half-close, and reading tells when the data ends.
    bits = eof ? kReadable | kReadClosed : kReadable;
  } else {
    // On the writing side EV_EOF means that nothing can be written any more.
    bits = eof ? kReadable | kWritable | kReadClosed : kWritable;
  }
  if (eof && event.fflags != 0) bits |= kReadable | kError;  // fflags: the socket's error
  return bits;
}

}  // namespace

Poller::Poller(std::unique_ptr<System> system) : system_(std::move(system)) {}
Poller::~Poller() = default;

Result<std::unique_ptr<Poller>> Poller::create() {
  auto system = std::make_unique<System>();
  system->kq = kqueue();
  if (system->kq < 0) return Error{"ERR_MILLRACE_POLL", "kqueue", errno};
  // Added once with EV_CLEAR; only triggered afterwards.
  struct kevent change;
  EV_SET(&change, System::kWakeIdent, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, nullptr);
  Status added = system->change(&change, 1);
  if (!added) return added.error();
  return std::unique_ptr<Poller>(new Poller(std::move(system)));
}

Status Poller::add(IoHandle* handle, int fd) {
  struct kevent changes[2];
  EV_SET(&changes[0], uintptr_t(fd), EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, handle);
  EV_SET(&changes[1], uintptr_t(fd), EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, handle);
  return system_->change(changes, 2);
}

Status Poller::addListener(IoHandle* handle, int fd) {
  struct kevent change;
  EV_SET(&change, uintptr_t(fd), EVFILT_READ, EV_ADD, 0, 0, handle);
  return system_->change(&change, 1);
}

void Poller::setListening(IoHandle* handle, int fd, bool on) {
  struct kevent change;
  EV_SET(&change, uintptr_t(fd), EVFILT_READ, on ? EV_ENABLE : EV_DISABLE, 0, 0, handle);
  Status changed = system_->change(&change, 1);
  MR_ASSERT(changed.ok());
}

void Poller::remove(IoHandle* handle, int fd) {
  struct kevent change;
  EV_SET(&change, uintptr_t(fd), EVFILT_READ, EV_DELETE, 0, 0, nullptr);
  kevent(system_->kq, &change, 1, nullptr, 0, nullptr);
  // A listener has no entry for writing; ENOENT is fine.
  EV_SET(&change, uintptr_t(fd), EVFILT_WRITE, EV_DELETE, 0, 0, nullptr);
  kevent(system_->kq, &change, 1, nullptr, 0, nullptr);
  forget(handle);
}

void Poller::wait(int timeoutMs) {
  count_ = taken_ = 0;
  timespec timeout{timeoutMs / 1000, (timeoutMs % 1000) * long(kNsPerMs)};
  int n = kevent(system_->kq, nullptr, 0, system_->events.data(), Loop::kEventsPerPoll,
                 timeoutMs < 0 ? nullptr : &timeout);
  MR_ASSERT(n >= 0 || errno == EINTR);
  full_ = n == Loop::kEventsPerPoll;
  for (int i = 0; i < n; i++) {
    const struct kevent& event = system_->events[size_t(i)];
    if (event.filter == EVFILT_USER) continue;  // the wake-up
    collect(static_cast<IoHandle*>(event.udata), readyBits(event));
  }
}

void Poller::wake() {
  struct kevent change;
  EV_SET(&change, System::kWakeIdent, EVFILT_USER, 0, NOTE_TRIGGER, 0, nullptr);
  kevent(system_->kq, &change, 1, nullptr, 0, nullptr);
}

}  // namespace millrace
