// The floor: the least that a relay in user space can do for one exchange over kept connections.
//   relay LISTEN_PORT ORIGIN_PORT [THREADS]
// Each client gets an upstream connection of its own when it is accepted. From then on: read here,
// write there; nothing is looked at. Registered once, edge-triggered; a short read means drained,
// so that an exchange is two reads and two writes.
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "socket.h"

namespace {

constexpr size_t kReadSize = 64 * 1024;
constexpr int kEvents = 256;

struct Side {
  int fd = -1;
  std::string waiting;  // what this socket could not take yet
};

struct Pair;

/** What an event points at: one side of a pair. */
struct Handle {
  Pair* pair;
  int side;
};

struct Pair {
  Side sides[2];  // client, upstream
  Handle handles[2];
  bool dead = false;
};

class Relay {
 public:
  Relay(int listenPort, int originPort)
      : originPort_(originPort),
        listener_(bench::listenOn(listenPort, true)),
        poll_(bench::must(epoll_create1(0), "epoll_create1")),
        buffer_(std::make_unique<char[]>(kReadSize)) {
    epoll_event event{};
    event.events = EPOLLIN;
    bench::must(epoll_ctl(poll_, EPOLL_CTL_ADD, listener_, &event), "epoll_ctl");
  }

  [[noreturn]] void run() {
    epoll_event events[kEvents];
    for (;;) {
      const int count = epoll_wait(poll_, events, kEvents, -1);
      for (int i = 0; i < count; i++) {
        const auto* handle = static_cast<const Handle*>(events[i].data.ptr);
        if (handle == nullptr) {
          accept();
        } else if (!handle->pair->dead) {
          onEvent(*handle->pair, handle->side, events[i].events);
        }
      }
      buried_.clear();  // later events of the batch may have named them
    }
  }

 private:
  void accept() {
    for (;;) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK);
      if (fd < 0) return;
      auto pair = std::make_unique<Pair>();
      pair->sides[0].fd = fd;
      pair->sides[1].fd = connectToOrigin();
      for (int side = 0; side < 2; side++) {
        pair->handles[side] = {pair.get(), side};
        bench::setFlag(pair->sides[side].fd, IPPROTO_TCP, TCP_NODELAY);
        epoll_event event{};
        event.events = EPOLLIN | EPOLLOUT | EPOLLET;
        event.data.ptr = &pair->handles[side];
        bench::must(epoll_ctl(poll_, EPOLL_CTL_ADD, pair->sides[side].fd, &event), "epoll_ctl");
      }
      pair.release();  // lives until bury()
    }
  }

  int connectToOrigin() const {
    const int fd = bench::must(socket(AF_INET, SOCK_STREAM, 0), "socket");
    const sockaddr_in address = bench::loopback(originPort_);
    bench::must(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address),
                "connect");
    bench::must(fcntl(fd, F_SETFL, O_NONBLOCK), "fcntl");
    return fd;
  }

  void onEvent(Pair& pair, int side, uint32_t events) {
    Side& self = pair.sides[side];
    if ((events & EPOLLOUT) != 0 && !self.waiting.empty()) {
      const ssize_t n = send(self.fd, self.waiting.data(), self.waiting.size(), MSG_NOSIGNAL);
      if (n < 0 && errno != EAGAIN) return bury(pair);
      if (n > 0) self.waiting.erase(0, static_cast<size_t>(n));
      if (self.waiting.empty()) pump(pair, 1 - side);
    }
    if (!pair.dead && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) pump(pair, side);
  }

  void pump(Pair& pair, int from) {
    const int source = pair.sides[from].fd;
    Side& target = pair.sides[1 - from];
    while (target.waiting.empty()) {
      const ssize_t n = recv(source, buffer_.get(), kReadSize, 0);
      if (n < 0 && errno == EAGAIN) return;
      if (n <= 0) return bury(pair);
      ssize_t sent = send(target.fd, buffer_.get(), static_cast<size_t>(n), MSG_NOSIGNAL);
      if (sent < 0) {
        if (errno != EAGAIN) return bury(pair);
        sent = 0;
      }
      if (sent < n) target.waiting.assign(buffer_.get() + sent, static_cast<size_t>(n - sent));
      if (static_cast<size_t>(n) < kReadSize) return;
    }
  }

  void bury(Pair& pair) {
    pair.dead = true;
    for (const Side& side : pair.sides) close(side.fd);
    buried_.emplace_back(&pair);
  }

  const int originPort_;
  const int listener_;
  const int poll_;
  const std::unique_ptr<char[]> buffer_;
  std::vector<std::unique_ptr<Pair>> buried_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: relay LISTEN_PORT ORIGIN_PORT [THREADS]\n");
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  const int listenPort = std::atoi(argv[1]);
  const int originPort = std::atoi(argv[2]);
  const int threads = argc > 3 ? std::atoi(argv[3]) : 1;
  for (int i = 1; i < threads; i++) {
    std::thread([listenPort, originPort] { Relay(listenPort, originPort).run(); }).detach();
  }
  Relay(listenPort, originPort).run();
}
