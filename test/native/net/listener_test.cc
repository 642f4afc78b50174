#include "net/listener.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "net/support.h"

using namespace millrace;
using namespace millrace::test;

namespace {

class Sink final : public AcceptSink {
 public:
  void onAccept(int fd, const Address& peer, const Address& local) override {
    fds.emplace_back(fd);
    lastPeer = peer;
    lastLocal = local;
    if (then) then();
  }
  std::vector<Fd> fds;
  Address lastPeer, lastLocal;
  std::function<void()> then;
};

Fd clientTo(const Address& at) {
  Fd fd(openSocket(at.family()));
  if (connect(fd.get(), at.sockaddrPtr(), at.size()) != 0) CHECK(errno == EINPROGRESS);
  return fd;
}

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  getsockopt(fd, level, name, &value, &size);
  return value;
}

}  // namespace

TEST_CASE("port 0 becomes one port for all sockets of a listener") {
  ListenSockets sockets = std::move(*listenOn(loopback(), {}, 3));
  CHECK(sockets.local.port() != 0);
  CHECK(sockets.fds.size() == (reusePortSpreads(loopback()) ? 3 : 1));
  for (const Fd& fd : sockets.fds) CHECK(localAddress(fd.get()) == sockets.local);
  ListenOptions single;
  single.reusePort = false;
  CHECK(listenOn(loopback(), single, 3)->fds.size() == 1);
}

TEST_CASE("an address in use is refused with errno") {
  ListenOptions single;
  single.reusePort = false;
  ListenSockets first = std::move(*listenOn(loopback(), single, 1));
  for (bool reuse : {false, true}) {
    ListenOptions options;
    options.reusePort = reuse;
    Result<ListenSockets> second = listenOn(first.local, options, 2);
    CHECK(!second.ok());
    CHECK(second.error().sysErrno == EADDRINUSE);
    CHECK(std::string(second.error().code) == "ERR_MILLRACE_BIND");
    CHECK(second.error().message.find(first.local.toString()) != std::string::npos);
  }
}

TEST_CASE("an IPv6 wildcard takes IPv4 clients only when told so") {
  for (bool compat : {false, true}) {
    ListenOptions options;
    options.ipv4Compat = compat;
    Result<ListenSockets> sockets = listenOn(*Address::ip("::", 0), options, 1);
    CHECK(sockets.ok());
    Address v4 = loopback(sockets->local.port());
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK((connect(fd, v4.sockaddrPtr(), v4.size()) == 0) == compat);
    close(fd);
  }
}

TEST_CASE("a unix socket: stale files are replaced, live ones and other files are not") {
  std::string path = "/tmp/millrace-test-" + std::to_string(getpid()) + ".sock";
  Address at = *Address::unixPath(path);
  ListenOptions options;
  options.unixMode = 0600;
  {
    ListenSockets live = std::move(*listenOn(at, options, 4));
    CHECK(live.fds.size() == 1);
    struct stat info;
    CHECK(stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    Result<ListenSockets> second = listenOn(at, options, 1);
    CHECK(!second.ok());
    CHECK(second.error().sysErrno == EADDRINUSE);
  }
  CHECK(listenOn(at, options, 1).ok());  // the file is still there, nobody listens
  unlink(path.c_str());
  int file = open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  close(file);
  CHECK(!listenOn(at, options, 1).ok());
  unlink(path.c_str());
}

TEST_CASE("accepted sockets are non-blocking, close-on-exec, without delay; peers are known") {
  Net net;
  Sink sink;
  ListenSockets sockets = std::move(*listenOn(loopback(), {}, 1));
  Listener listener(*net.loop, std::move(sockets.fds[0]), sockets.local, sink);
  CHECK(listener.start().ok());
  Fd client = clientTo(sockets.local);
  CHECK(net.until([&] { return sink.fds.size() == 1; }));
  int fd = sink.fds[0].get();
  CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
  CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(option(fd, IPPROTO_TCP, TCP_NODELAY) != 0);
  CHECK(option(client.get(), IPPROTO_TCP, TCP_NODELAY) != 0);
  CHECK(sink.lastPeer == localAddress(client.get()));
  CHECK(sink.lastLocal == sockets.local);
  setKeepalive(fd, {true, 30, 5, 3});
  CHECK(option(fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
  CHECK(option(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 30);
  CHECK(option(fd, IPPROTO_TCP, TCP_KEEPINTVL) == 5);
  CHECK(option(fd, IPPROTO_TCP, TCP_KEEPCNT) == 3);
}

TEST_CASE("more clients than one batch are all accepted; stop() takes those that wait") {
  Net net;
  Sink sink;
  ListenSockets sockets = std::move(*listenOn(loopback(), {}, 1));
  Listener listener(*net.loop, std::move(sockets.fds[0]), sockets.local, sink);
  CHECK(listener.start().ok());
  std::vector<Fd> clients;
  for (int i = 0; i < 150; i++) clients.push_back(clientTo(sockets.local));
  net.loop->runOnce(1000);
  CHECK(sink.fds.size() <= Listener::kAcceptsPerEvent);
  CHECK(net.until([&] { return sink.fds.size() == 150; }));
  for (int i = 0; i < 70; i++) clients.push_back(clientTo(sockets.local));
  awaitWaiting(listener.fd(), 70);
  listener.stopNow();
  CHECK(sink.fds.size() == 220);
  CHECK(listener.accepted() == 220);
  int refused = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(connect(refused, sockets.local.sockaddrPtr(), sockets.local.size()) != 0);
  close(refused);
}

TEST_CASE("a listener stopped from inside its sink accepts no more") {
  Net net;
  Sink sink;
  ListenOptions single;
  ListenSockets sockets = std::move(*listenOn(loopback(), single, 1));
  Listener listener(*net.loop, std::move(sockets.fds[0]), sockets.local, sink);
  CHECK(listener.start().ok());
  sink.then = [&] { listener.stopNow(); };
  Fd client = clientTo(sockets.local);
  CHECK(net.until([&] { return sink.fds.size() == 1; }));
  net.turns();
  CHECK(!listener.registered());
}

#ifdef __linux__
TEST_CASE("stop() serves who has come and who is about to, and lets nobody else in") {
  Net net;
  Sink sink;
  ListenSockets sockets = std::move(*listenOn(loopback(), {}, 1));
  Listener listener(*net.loop, std::move(sockets.fds[0]), sockets.local, sink);
  CHECK(listener.start().ok());
  std::vector<Fd> clients;
  for (int i = 0; i < 20; i++) clients.push_back(clientTo(sockets.local));
  listener.stop();
  CHECK(!listener.stopped());
  Fd late(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  connect(late.get(), sockets.local.sockaddrPtr(), sockets.local.size());
  CHECK(net.until([&] { return listener.stopped(); }));
  CHECK(sink.fds.size() == 20);
  // The system tries again a second later, and is refused then: nothing was lost.
  pollfd answer{late.get(), POLLOUT, 0};
  CHECK(poll(&answer, 1, 20'000) == 1);
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(late.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  CHECK(error == ECONNREFUSED);
}
#endif

TEST_CASE("a unix socket that stops takes who waits, in several turns, and nobody else") {
  for (bool now : {false, true}) {
    CAPTURE(now);
    Net net;
    Sink sink;
    const std::string path = "/tmp/millrace-listener-" + std::to_string(getpid());
    const Address at = *Address::unixPath(path);
    ListenSockets sockets = std::move(*listenOn(at, {.reusePort = false}, 1));
    Listener listener(*net.loop, std::move(sockets.fds[0]), sockets.local, sink);
    std::vector<Fd> clients;
    constexpr size_t kWaiting = 100;
    for (size_t i = 0; i < kWaiting; i++) clients.push_back(clientTo(at));
    sink.then = [&] {  // for each that is taken, another one would come
      Fd late(openSocket(AF_UNIX));
      if (clients.size() < 300 && connect(late.get(), at.sockaddrPtr(), at.size()) == 0) {
        clients.push_back(std::move(late));
      }
    };
    if (now) {
      listener.stopNow();
    } else {
      listener.stop();
      CHECK(sink.fds.size() <= Listener::kAcceptsPerEvent);
    }
    CHECK(net.until([&] { return listener.stopped(); }));
#ifdef __linux__
    CHECK(sink.fds.size() == kWaiting);
#else
    CHECK(sink.fds.size() >= kWaiting);
#endif
    unlink(path.c_str());
  }
}

TEST_CASE("a port is shared only when the second one asks for it") {
  ListenSockets one = std::move(*listenOn(loopback(), {}, 3));
  for (size_t count : {1, 2}) {
    auto refused = listenOn(one.local, {}, count);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().sysErrno == EADDRINUSE);
    CHECK(refused.error().message.find(one.local.toString()) != std::string::npos);
    CHECK(refused.error().message.find("--reuse-port") != std::string::npos);
  }
  auto wildcard = listenOn(*Address::ip("0.0.0.0", one.local.port()), {}, 2);
  CHECK_FALSE(wildcard.ok());
  if (reusePortSpreads(one.local)) CHECK(listenOn(one.local, {.shared = true}, 2).ok());
}

TEST_CASE("before the descriptor limit accepting pauses, and leaves some to the process") {
  Net net;
  Sink sink;
  ListenSockets sockets = std::move(*listenOn(loopback(), {}, 1));
  Listener listener(*net.loop, std::move(sockets.fds[0]), sockets.local, sink);
  CHECK(listener.start().ok());
  rlimit old;
  getrlimit(RLIMIT_NOFILE, &old);
  rlimit low = old;
  low.rlim_cur = 160;
  std::vector<Fd> clients;
  for (int i = 0; i < 100; i++) clients.push_back(clientTo(sockets.local));
  setrlimit(RLIMIT_NOFILE, &low);
  CHECK(net.until([&] { return listener.pauses() > 0; }));
  net.turns();
  // An eighth of the limit is left, but for the one that told.
  std::vector<Fd> left;
  for (int fd; (fd = dup(clients[0].get())) >= 0;) left.emplace_back(fd);
  CHECK(left.size() >= 19);
  left.clear();
  setrlimit(RLIMIT_NOFILE, &old);
  CHECK(net.until([&] { return sink.fds.size() == 100; }));
}

TEST_CASE("at the descriptor limit accepting pauses, does not spin, and recovers") {
  Net net;
  Sink sink;
  ListenSockets sockets = std::move(*listenOn(loopback(), {}, 1));
  Listener listener(*net.loop, std::move(sockets.fds[0]), sockets.local, sink);
  CHECK(listener.start().ok());
  std::vector<Fd> clients;
  for (int i = 0; i < 3; i++) clients.push_back(clientTo(sockets.local));
  rlimit old;
  getrlimit(RLIMIT_NOFILE, &old);
  rlimit low = old;
  low.rlim_cur = rlim_t(clients.back().get()) + 1;  // nothing above is free, nothing below either
  std::vector<Fd> fill;
  setrlimit(RLIMIT_NOFILE, &low);
  for (int fd; (fd = dup(clients[0].get())) >= 0;) fill.emplace_back(fd);
  uint64_t turns = net.loop->turns(), start = monotonicNs();
  CHECK(net.until([&] { return listener.pauses() >= 3; }));
  uint64_t ms = (monotonicNs() - start) / kNsPerMs;
  CHECK(sink.fds.empty());
  CHECK(ms >= 2 * Listener::kPauseMs - 2);
  CHECK(net.loop->turns() - turns < ms / 5 + 30);  // until() waits for 5 ms at a time
  setrlimit(RLIMIT_NOFILE, &old);
  CHECK(net.until([&] { return sink.fds.size() == 3; }));
}
