// kqueue(2) on top of epoll, for tests. What it keeps of the real one:
// - a descriptor has two entries, EVFILT_READ and EVFILT_WRITE, added, disabled and reported apart,
// each with its udata;
// - EVFILT_READ reports EV_EOF as soon as the peer has shut down, even with data pending (`data`
// says how much), and in
//   fflags that the socket has an error (always EIO); EVFILT_WRITE reports EV_EOF when nothing can
//   be written any more;
// - a change that fails becomes an EV_ERROR entry while there is room for events, else the call
// fails;
// - EVFILT_USER: added once, triggered from any thread, EV_CLEAR resets it;
// - EV_CLEAR is edge-triggered, its absence level-triggered.
// Not kept: an entry goes away when its descriptor is closed (epoll does that too, unless the
// descriptor was duplicated).
#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace {

struct Entry {
  bool added = false;
  bool enabled = false;
  bool clear = false;
  void* udata = nullptr;
};

struct Registration {
  Entry read;
  Entry write;
};

struct Queue {
  int epoll;
  int user = -1;  // eventfd
  struct kevent userEvent{};
  std::map<int, Registration> descriptors;
  std::vector<struct kevent> ready;  // what did not fit into the caller's array

  explicit Queue(int fd) : epoll(fd) {}
  ~Queue() {
    if (user >= 0) close(user);
  }
};

// The kqueue's descriptor is an epoll's; the caller closes it as any other, so a number that comes
// again replaces its old queue.
std::mutex mutex;
std::map<int, std::shared_ptr<Queue>> queues;

std::shared_ptr<Queue> find(int kq) {
  std::lock_guard lock(mutex);
  auto at = queues.find(kq);
  return at == queues.end() ? nullptr : at->second;
}

int control(Queue& queue, int fd, const Registration& now, bool known) {
  bool level = (now.read.added && !now.read.clear) || (now.write.added && !now.write.clear);
  epoll_event event{};
  if (now.read.added && now.read.enabled) event.events |= EPOLLIN | EPOLLRDHUP;
  if (now.write.added && now.write.enabled) event.events |= EPOLLOUT;
  if (!level) event.events |= EPOLLET;
  event.data.fd = fd;
  int op = known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (!now.read.added && !now.write.added) op = EPOLL_CTL_DEL;
  if (epoll_ctl(queue.epoll, op, fd, &event) == 0) return 0;
  // The descriptor was closed and its number used again, as far as we know it.
  if (op == EPOLL_CTL_MOD && errno == ENOENT) {
    return epoll_ctl(queue.epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
  }
  return errno;
}

int changeUser(Queue& queue, const struct kevent& change) {
  if (change.flags & EV_ADD) {
    if (queue.user < 0) {
      queue.user = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.fd = queue.user;
      if (epoll_ctl(queue.epoll, EPOLL_CTL_ADD, queue.user, &event) != 0) return errno;
    }
    queue.userEvent = change;
  }
  if (queue.user < 0) return ENOENT;
  if (change.fflags & NOTE_TRIGGER) {
    uint64_t one = 1;
    if (write(queue.user, &one, sizeof one) < 0) return errno;
  }
  return 0;
}

int apply(Queue& queue, const struct kevent& change) {
  if (change.filter == EVFILT_USER) return changeUser(queue, change);
  if (change.filter != EVFILT_READ && change.filter != EVFILT_WRITE) return EINVAL;
  int fd = int(change.ident);
  auto at = queue.descriptors.find(fd);
  bool known = at != queue.descriptors.end();
  Registration now = known ? at->second : Registration{};
  Entry& entry = change.filter == EVFILT_READ ? now.read : now.write;
  if (change.flags & EV_ADD) {
    entry = {true, true, (change.flags & EV_CLEAR) != 0, change.udata};
  } else if (!entry.added) {
    return ENOENT;
  }
  if (change.flags & EV_DELETE) {
    entry = {};
    std::erase_if(queue.ready, [&change](const struct kevent& event) {
      return event.ident == change.ident && event.filter == change.filter;
    });
  }
  if (change.flags & EV_ENABLE) entry.enabled = true;
  if (change.flags & EV_DISABLE) entry.enabled = false;
  int failed = control(queue, fd, now, known);
  if (!now.read.added && !now.write.added) {
    queue.descriptors.erase(fd);
  } else if (failed == 0) {
    queue.descriptors[fd] = now;
  }
  return failed;
}

void report(Queue& queue, const epoll_event& event) {
  int fd = event.data.fd;
  if (fd == queue.user) {
    uint64_t count;
    if (read(queue.user, &count, sizeof count) > 0) {
      struct kevent out = queue.userEvent;
      out.fflags = NOTE_TRIGGER;
      queue.ready.push_back(out);
    }
    return;
  }
  auto at = queue.descriptors.find(fd);
  if (at == queue.descriptors.end()) return;
  const Registration& r = at->second;
  // Which error it is could only be learned by taking it off the socket, and then nobody would see
  // it again.
  int error = (event.events & EPOLLERR) != 0 ? EIO : 0;
  int pending = 0;
  struct kevent out;
  if (r.read.added && r.read.enabled && (event.events & ~uint32_t(EPOLLOUT)) != 0) {
    ioctl(fd, FIONREAD, &pending);
    bool eof = (event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    EV_SET(&out, uintptr_t(fd), EVFILT_READ, eof ? EV_EOF : 0, unsigned(error), pending,
           r.read.udata);
    queue.ready.push_back(out);
  }
  if (r.write.added && r.write.enabled && (event.events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
    bool eof = (event.events & (EPOLLHUP | EPOLLERR)) != 0;
    EV_SET(&out, uintptr_t(fd), EVFILT_WRITE, eof ? EV_EOF : 0, unsigned(error), 0, r.write.udata);
    queue.ready.push_back(out);
  }
}

int take(Queue& queue, struct kevent* events, int room) {
  int n = 0;
  while (n < room && size_t(n) < queue.ready.size()) {
    events[n] = queue.ready[size_t(n)];
    n++;
  }
  queue.ready.erase(queue.ready.begin(), queue.ready.begin() + n);
  return n;
}

}  // namespace

extern "C" int kqueue() {
  int fd = epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) return -1;
  std::lock_guard lock(mutex);
  queues[fd] = std::make_shared<Queue>(fd);
  return fd;
}

extern "C" int kevent(int kq, const struct kevent* changes, int nchanges, struct kevent* events,
                      int nevents, const struct timespec* timeout) {
  std::shared_ptr<Queue> queue = find(kq);
  if (queue == nullptr) {
    errno = EBADF;
    return -1;
  }
  int n = 0;
  for (int i = 0; i < nchanges; i++) {
    int failed = apply(*queue, changes[i]);
    if (failed == 0) continue;
    if (n >= nevents) {
      errno = failed;
      return -1;
    }
    events[n] = changes[i];
    events[n].flags = EV_ERROR;
    events[n].data = failed;
    n++;
  }
  if (nevents == 0 || n > 0) return n;
  if (queue->ready.empty()) {
    int waitMs = timeout == nullptr ? -1 : int(timeout->tv_sec * 1000 + timeout->tv_nsec / 1000000);
    epoll_event found[64];
    int count = epoll_wait(queue->epoll, found, 64, waitMs);
    if (count < 0) return -1;
    for (int i = 0; i < count; i++) report(*queue, found[i]);
  }
  return take(*queue, events, nevents);
}
