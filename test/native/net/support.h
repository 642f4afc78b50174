// What the tests of this layer share: a loop with its context, an owner that records what it is
// told, and plain sockets for the other side.
#pragma once

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "event/loop.h"
#include "net/listener.h"
#include "net/net_context.h"
#include "net/socket.h"
#include "support/patience.h"
#include "support/socket_buffers.h"

namespace millrace::test {

struct Net {
  Net() { signal(SIGPIPE, SIG_IGN); }  // as Loop::run() does for its thread
  std::unique_ptr<Loop> loop = std::move(*Loop::create());
  std::unique_ptr<NetContext> ctx = std::make_unique<NetContext>(*loop);
  ~Net() { ctx.reset(); }

  void turns(int n = 6) {
    for (int i = 0; i < n; i++) loop->runOnce(0);
  }
  // Runs the loop until `done`. The limit is for tests that fail: a busy machine may take long.
  bool until(const std::function<bool()>& done, uint64_t ms = kPatienceMs) {
    uint64_t end = monotonicNs() + ms * kNsPerMs;
    while (!done()) {
      if (monotonicNs() > end) return false;
      loop->runOnce(5);
    }
    return true;
  }
};

class Owner : public ConnectionOwner {
 public:
  size_t onData(Connection& c, std::span<char> bytes) override {
    calls++;
    offered = std::string(bytes.data(), bytes.size());
    size_t used = onBytes ? onBytes(c, bytes) : bytes.size();
    data.append(bytes.data(), used);
    return used;
  }
  void onReadEnd(Connection& c) override {
    ends++;
    if (onEnd) onEnd(c);
  }
  void onConnected(Connection& c) override {
    connects++;
    if (onUp) onUp(c);
  }
  void onClosed(Connection& c, CloseReason why, int sysErrno) override {
    closes++;
    reason = why;
    error = sysErrno;
    if (onGone) onGone(c);
  }
  void onPeerLeft(Connection& c) override {
    if (onLeft) onLeft(c);
  }
  void onHighWatermark(Connection& c) override {
    highs++;
    if (onHigh) onHigh(c);
  }
  void onLowWatermark(Connection& c) override {
    lows++;
    if (onLow) onLow(c);
  }
  void onDrained(Connection& c) override {
    drains++;
    if (onEmpty) onEmpty(c);
  }
  void onRawReady(Connection& c, uint32_t bits) override {
    if (onRaw) onRaw(c, bits);
  }

  std::string data, offered;
  int calls = 0, ends = 0, connects = 0, closes = 0, highs = 0, lows = 0, drains = 0;
  CloseReason reason = CloseReason::kLocal;
  int error = 0;
  std::function<size_t(Connection&, std::span<char>)> onBytes;
  std::function<void(Connection&)> onEnd, onUp, onGone, onHigh, onLow, onEmpty, onLeft;
  std::function<void(Connection&, uint32_t)> onRaw;
};

// The other side: a plain socket.
class Plain {
 public:
  Plain() = default;
  explicit Plain(int fd) : fd_(fd) {}
  int get() const { return fd_.get(); }
  void close() { fd_.reset(); }
  void reset() {
    setResetOnClose(fd_.get());
    fd_.reset();
  }
  void end() { ::shutdown(fd_.get(), SHUT_WR); }
  // Sends all of it (non-blocking sockets: as much as goes); returns how much went.
  size_t say(std::string_view text) {
    size_t sent = 0;
    while (sent < text.size()) {
      ssize_t n =
          send(fd_.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n <= 0) break;
      sent += size_t(n);
    }
    return sent;
  }
  // What is there now; sets `ended` and `error`.
  std::string hear(size_t most = 1 << 20) {
    std::string text(most, '\0');
    ssize_t n = recv(fd_.get(), text.data(), most, MSG_DONTWAIT);
    ended = n == 0;
    error = n < 0 ? errno : 0;
    text.resize(n > 0 ? size_t(n) : 0);
    return text;
  }
  // Hears until `size` bytes have come, or nothing more will.
  std::string hear(Net& net, size_t size) {
    std::string all;
    net.until([&] {
      all += hear();
      return all.size() >= size || ended || (error != 0 && error != EAGAIN);
    });
    return all;
  }
  // Waits for the end of stream or an error; what comes before it is dropped.
  bool awaitEnd(Net& net) {
    return net.until([&] {
      hear();
      return ended || (error != 0 && error != EAGAIN);
    });
  }
  bool ended = false;
  int error = 0;

 private:
  Fd fd_;
};

inline Address loopback(uint16_t port = 0) {
  return *Address::ip("127.0.0.1", port);
}

// The system holds hundreds of kilobytes for a reader that takes little at a time.
inline void holdMuch(int sender, int reader) {
  int small = 32 * 1024, large = 400 * 1024;
  setsockopt(reader, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  setsockopt(sender, SOL_SOCKET, SO_SNDBUF, &large, sizeof large);
}

// Sockets that listen on loopback; what they accept has buffers of kSocketBuffer.
inline ListenSockets listenHere() {
  ListenSockets sockets = std::move(*listenOn(loopback(), {}, 1));
  for (const Fd& fd : sockets.fds) fixSocketBuffers(fd.get());
  return sockets;
}

// A connected pair over TCP, with buffers of kSocketBuffer: the first end is non-blocking.
inline void tcpPair(int& ours, Plain& theirs) {
  ListenSockets sockets = listenHere();
  int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  fixSocketBuffers(client);
  int noDelay = 1;
  setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &noDelay, sizeof noDelay);
  CHECK(connect(client, sockets.local.sockaddrPtr(), sockets.local.size()) == 0);
  Address peer;
  pollfd ready{sockets.fds[0].get(), POLLIN, 0};
  poll(&ready, 1, 30'000);
  ours = acceptOn(sockets.fds[0].get(), peer);
  CHECK(ours >= 0);
  theirs = Plain(client);
}

// A connection on `net` and the plain socket at its other end.
struct Pair {
  explicit Pair(Net& net, ConnectionOwner* who = nullptr) {
    int fd = -1;
    tcpPair(fd, plain);
    connection = Connection::accepted(*net.ctx, fd, peerAddress(fd), who == nullptr ? &owner : who);
    CHECK(connection != nullptr);
    net.turns(2);
  }
  ~Pair() {
    if (owner.closes == 0 && connection->owner() == &owner) connection->close();
  }
  Owner owner;
  Plain plain;
  Connection* connection;
};

// Waits until `size` bytes lie in the socket, without reading them.
inline void awaitReadable(int fd, size_t size) {
  int there = 0;
  for (int i = 0; i < kPatienceMs && size_t(there) < size; i++) {
    if (i > 0) usleep(1000);
    ioctl(fd, FIONREAD, &there);
  }
  CHECK(size_t(there) >= size);
}

// Bytes that are different everywhere.
inline std::string pattern(size_t size, uint32_t seed = 1) {
  std::string text(size, '\0');
  for (char& c : text) {
    seed = seed * 1664525 + 1013904223;
    c = char(seed >> 24);
  }
  return text;
}

// How many connections wait at a listening TCP socket to be accepted. From /proc, because emulators
// of a processor give no TCP_INFO: the socket's row, found by its inode, has the length in
// rx_queue.
inline uint32_t waitingAt(int listener) {
  struct stat status{};
  REQUIRE(fstat(listener, &status) == 0);
  for (const char* path : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream table(path);
    std::string line;
    std::getline(table, line);
    while (std::getline(table, line)) {
      unsigned waiting = 0;
      unsigned long inode = 0;
      const int read =
          sscanf(line.c_str(), "%*s %*s %*s %*x %*x:%x %*x:%*x %*x %*u %*u %lu", &waiting, &inode);
      if (read == 2 && inode == status.st_ino) return waiting;
    }
  }
  return 0;
}

// Waits until `count` connections are ready to be accepted.
inline void awaitWaiting(int listener, uint32_t count) {
  for (int i = 0; i < kPatienceMs && waitingAt(listener) < count; i++) usleep(1000);
  CHECK(waitingAt(listener) >= count);
}

// An address of this machine where connects hang: a full backlog.
struct FullBacklog {
  FullBacklog() {
    ListenOptions options;
    options.backlog = 1;
    options.reusePort = false;
    sockets = std::move(*listenOn(loopback(), options, 1));
    for (int i = 0; i < 8; i++) {
      Fd fd(openSocket(AF_INET));
      connect(fd.get(), sockets.local.sockaddrPtr(), sockets.local.size());
      clients.push_back(std::move(fd));
    }
    awaitWaiting(sockets.fds[0].get(), 2);  // the backlog and one, as Linux counts
  }
  ListenSockets sockets;
  std::vector<Fd> clients;
};

}  // namespace millrace::test
