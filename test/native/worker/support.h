// What the tests of this layer share: an origin, a client, and a running group of workers, all with
// real sockets.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "net/socket.h"
#include "support/patience.h"
#include "worker/worker_group.h"

namespace millrace::test {

inline spec::Address localPort(uint16_t port) {
  spec::Address address;
  address.ip = "127.0.0.1";
  address.port = port;
  return address;
}

inline int connectTo(uint16_t port) {
  int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
    ::close(fd);
    return -1;
  }
  return fd;
}

// Answers every request with 200 and a short body, on one thread, without taking anything from the
// heap once it runs.
class Origin {
 public:
  Origin() {
    auto sockets = listenOn(*Address::ip("127.0.0.1", 0), {.reusePort = false}, 1);
    listener_ = std::move(sockets->fds[0]);
    port_ = sockets->local.port();
    thread_ = std::thread([this] { run(); });
  }
  ~Origin() {
    stop_ = true;
    thread_.join();
  }
  uint16_t port() const { return port_; }
  int accepted() const { return accepted_; }
  uint64_t requests() const { return requests_; }
  // Closes every connection as soon as it has nothing to answer.
  void closeIdle() {
    closeIdle_ = true;
    while (closeIdle_) std::this_thread::yield();
  }

 private:
  static constexpr int kMost = 512;
  static constexpr char kResponse[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
  void run() {
    fds_[0] = {listener_.get(), POLLIN, 0};
    int count = 1;
    while (!stop_) {
      if (closeIdle_) {
        for (int i = 1; i < count; i++) ::close(fds_[i].fd);
        count = 1;
        closeIdle_ = false;
      }
      ::poll(fds_, nfds_t(count), 10);
      if ((fds_[0].revents & POLLIN) != 0 && count < kMost) {
        int fd = ::accept(listener_.get(), nullptr, nullptr);
        if (fd >= 0) {
          fds_[count++] = {fd, POLLIN, 0};
          accepted_++;
        }
      }
      for (int i = 1; i < count; i++) {
        if (fds_[i].revents == 0) continue;
        char buffer[8192];
        ssize_t n = ::recv(fds_[i].fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (n > 0) {
          // The requests of these tests are small and have no body: each ends with an empty line.
          for (ssize_t k = 3; k < n; k++) {
            if (std::memcmp(buffer + k - 3, "\r\n\r\n", 4) != 0) continue;
            requests_++;
            ::send(fds_[i].fd, kResponse, sizeof kResponse - 1, MSG_NOSIGNAL);
          }
        } else if (n == 0 || errno != EAGAIN) {
          ::close(fds_[i].fd);
          fds_[i--] = fds_[--count];
        }
      }
    }
    for (int i = 1; i < count; i++) ::close(fds_[i].fd);
  }
  Fd listener_;
  uint16_t port_ = 0;
  pollfd fds_[kMost];
  std::atomic<bool> stop_{false}, closeIdle_{false};
  std::atomic<int> accepted_{0};
  std::atomic<uint64_t> requests_{0};
  std::thread thread_;
};

// A keep-alive connection. Takes nothing from the heap for a request.
class Client {
 public:
  explicit Client(uint16_t port) : fd_(connectTo(port)) {
    timeval limit{kPatienceMs / 1000, 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  // The status of the response, 0 when there was none. Its text is in text().
  int get(const char* path = "/") {
    char request[256];
    int size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", path);
    return exchange({request, size_t(size)});
  }
  int exchange(std::string_view request) {
    if (::send(fd_.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return 0;
    return response();
  }
  int response() {
    size_ = 0;
    for (;;) {
      ssize_t n = ::recv(fd_.get(), buffer_ + size_, sizeof buffer_ - size_ - 1, 0);
      if (n <= 0) return 0;
      size_ += size_t(n);
      buffer_[size_] = 0;
      const char* end = std::strstr(buffer_, "\r\n\r\n");
      if (end == nullptr) continue;
      const char* length = ::strcasestr(buffer_, "content-length:");
      size_t body = length == nullptr ? 0 : size_t(atoi(length + 15));
      if (size_t(end + 4 - buffer_) + body <= size_) return atoi(buffer_ + 9);
    }
  }
  std::string_view text() const { return {buffer_, size_}; }
  // Reads on; false when nothing comes any more.
  bool more() {
    ssize_t n = ::recv(fd_.get(), buffer_ + size_, sizeof buffer_ - size_ - 1, 0);
    if (n <= 0) return false;
    size_ += size_t(n);
    buffer_[size_] = 0;
    return true;
  }
  // True when the other side closed (waits for it).
  bool closed() {
    char c;
    return ::recv(fd_.get(), &c, 1, 0) == 0;
  }
  int fd() const { return fd_.get(); }

 private:
  Fd fd_;
  char buffer_[16384];
  size_t size_ = 0;
};

// A running group whose listener sends everything to `ports`. The calling thread is the main
// thread.
class Running {
 public:
  // `change`: what the route does beyond forwarding. `limits`: of the cluster.
  explicit Running(uint32_t workers, std::vector<uint16_t> ports,
                   const std::function<void(spec::Forward&)>& change = {},
                   spec::Breaker limits = {})
      : limits_(limits) {
    auto made = WorkerGroup::create(
        {.concurrency = workers, .wakeMain = [this] { woken_ = true; }, .onEvent = nullptr});
    group = std::move(*made);
    cluster = *group->allocateSlot("cluster");
    routes = *group->allocateSlot("routes");
    publish(std::move(ports));
    spec::RouteTable table;
    table.name = "all";
    spec::Forward forward;
    forward.cluster.slot = cluster;
    forward.cluster.name = "web";
    if (change) change(forward);
    auto& host = table.virtualHosts.emplace_back();
    host.name = "all";
    host.domains = {"*"};
    auto& route = host.routes.emplace_back();
    route.match.value = "/";
    route.action = std::move(forward);
    REQUIRE(group->publishRoutes(routes, std::move(table)).ok());
    auto addresses = group->addListener(listener());
    REQUIRE(addresses.ok());
    port = uint16_t(std::stoi((*addresses)[0].substr((*addresses)[0].rfind(':') + 1)));
    group->start();
  }
  ~Running() { group->stop(1000); }

  spec::Listener listener() const {
    spec::Listener l;
    l.name = "in";
    l.addresses = {localPort(0)};
    spec::HttpManager http;
    http.statPrefix = "in";
    http.routes = routes;
    auto& chain = l.filterChains.emplace_back();
    chain.filter = std::move(http);
    return l;
  }
  void publish(std::vector<uint16_t> ports) {
    spec::Cluster c;
    c.name = "web";
    c.breakers.normal = limits_;
    for (uint16_t p : ports) c.hosts.push_back({.id = p, .address = localPort(p)});
    REQUIRE(group->publishCluster(cluster, c).ok());
  }
  // Returns when every worker has it.
  void publishNow(const spec::Cluster& c) {
    REQUIRE(group->publishCluster(cluster, c).ok());
    group->turn();
    REQUIRE(until([&] {
      for (const auto& worker : group->workerStats()) {
        if (worker.lag != 0) return false;
      }
      return true;
    }));
  }
  void pump() {
    if (woken_.exchange(false)) group->turn();
  }
  // Waits until `done`.
  template <typename F>
  bool until(F done) {
    for (int i = 0; i < kPatienceMs; i++) {
      pump();
      if (done()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  uint64_t counter(std::string_view name) {
    struct Visitor : StatVisitor {
      std::string_view wanted;
      uint64_t found = 0;
      void counter(const StatName& n, uint64_t value) override { add(n, value); }
      void gauge(const StatName& n, int64_t value) override { add(n, uint64_t(value)); }
      void histogram(const StatName&, HistogramUnit, const HistogramData&) override {}
      void add(const StatName& n, uint64_t value) {
        if (std::string(n.prefix) + std::string(n.name) == wanted) found = value;
      }
    } visitor;
    visitor.wanted = name;
    group->visitStats(visitor);
    return visitor.found;
  }

  std::atomic<bool> woken_{false};
  std::unique_ptr<WorkerGroup> group;
  SlotId cluster, routes;
  uint16_t port;

 private:
  const spec::Breaker limits_;
};

}  // namespace millrace::test
