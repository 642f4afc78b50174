// Poller on Linux's epoll.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

#include "event/poller.h"

namespace millrace {

struct Poller::System {
  int epoll = -1;
  int wakeup = -1;  // eventfd, edge-triggered: each write wakes, so it is never read
  std::array<epoll_event, Loop::kEventsPerPoll> events;

  ~System() {
    if (wakeup >= 0) close(wakeup);
    if (epoll >= 0) close(epoll);
  }
  Status control(int op, int fd, uint32_t events, IoHandle* handle) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = handle;
    if (epoll_ctl(epoll, op, fd, &event) == 0) return {};
    return Error{"ERR_MILLRACE_POLL", "epoll_ctl", errno};
  }
};

namespace {

uint32_t readyBits(uint32_t events) {
  uint32_t bits = 0;
  if (events & EPOLLIN) bits |= kReadable;
  if (events & EPOLLOUT) bits |= kWritable;
  if (events & (EPOLLRDHUP | EPOLLHUP)) bits |= kReadable | kReadClosed;
  if (events & EPOLLERR) bits |= kReadable | kError;
  return bits;
}

}  // namespace

Poller::Poller(std::unique_ptr<System> system) : system_(std::move(system)) {}
Poller::~Poller() = default;

Result<std::unique_ptr<Poller>> Poller::create() {
  auto system = std::make_unique<System>();
  system->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (system->epoll < 0) return Error{"ERR_MILLRACE_POLL", "epoll_create1", errno};
  system->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (system->wakeup < 0) return Error{"ERR_MILLRACE_POLL", "eventfd", errno};
  Status added = system->control(EPOLL_CTL_ADD, system->wakeup, EPOLLIN | EPOLLET, nullptr);
  if (!added) return added.error();
  return std::unique_ptr<Poller>(new Poller(std::move(system)));
}

Status Poller::add(IoHandle* handle, int fd) {
  return system_->control(EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, handle);
}

Status Poller::addListener(IoHandle* handle, int fd) {
  return system_->control(EPOLL_CTL_ADD, fd, EPOLLIN, handle);
}

void Poller::setListening(IoHandle* handle, int fd, bool on) {
  Status changed = system_->control(EPOLL_CTL_MOD, fd, on ? uint32_t(EPOLLIN) : 0u, handle);
  MR_ASSERT(changed.ok());
}

void Poller::remove(IoHandle* handle, int fd) {
  // Not left to close(): a child between fork() and exec() would keep the registration alive.
  epoll_ctl(system_->epoll, EPOLL_CTL_DEL, fd, nullptr);
  forget(handle);
}

void Poller::wait(int timeoutMs) {
  count_ = taken_ = 0;
  int n = epoll_wait(system_->epoll, system_->events.data(), Loop::kEventsPerPoll, timeoutMs);
  MR_ASSERT(n >= 0 || errno == EINTR);
  full_ = n == Loop::kEventsPerPoll;
  for (int i = 0; i < n; i++) {
    const epoll_event& event = system_->events[size_t(i)];
    if (event.data.ptr == nullptr) continue;  // the wake-up
    collect(static_cast<IoHandle*>(event.data.ptr), readyBits(event.events));
  }
}

void Poller::wake() {
  uint64_t one = 1;
  // Cannot fail but by a full counter, after 2^64 - 2 wake-ups.
  [[maybe_unused]] ssize_t n = write(system_->wakeup, &one, sizeof one);
}

}  // namespace millrace
