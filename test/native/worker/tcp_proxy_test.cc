// The TCP proxy in a running group of workers.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "net/socket.h"
#include "support/patience.h"
#include "worker/worker_group.h"

using namespace millrace;

namespace {

spec::Address at(uint16_t port) {
  spec::Address address;
  address.ip = "127.0.0.1";
  address.port = port;
  return address;
}

// Sends everything back, on one thread; ends its stream when the client did.
class Echo {
 public:
  Echo() {
    ListenSockets sockets = std::move(*listenOn(*Address::ip("127.0.0.1", 0), {}, 1));
    listener_ = std::move(sockets.fds[0]);
    port = sockets.local.port();
    thread_ = std::thread([this] { run(); });
  }
  ~Echo() {
    stop_ = true;
    thread_.join();
  }
  uint16_t port = 0;
  std::atomic<int> accepted{0};

 private:
  void run() {
    std::vector<pollfd> fds{{listener_.get(), POLLIN, 0}};
    std::vector<char> buffer(1 << 16);
    while (!stop_) {
      poll(fds.data(), nfds_t(fds.size()), 10);
      if ((fds[0].revents & POLLIN) != 0) {
        int fd = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
        if (fd >= 0) {
          accepted++;
          fds.push_back({fd, POLLIN, 0});
        }
      }
      for (size_t i = 1; i < fds.size(); i++) {
        if (fds[i].revents == 0) continue;
        ssize_t n = recv(fds[i].fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) continue;
        if (n > 0) {
          for (ssize_t sent = 0, k; sent < n; sent += k) {
            k = send(fds[i].fd, buffer.data() + sent, size_t(n - sent), MSG_NOSIGNAL);
            if (k < 0) break;
          }
          continue;
        }
        close(fds[i].fd);
        fds.erase(fds.begin() + long(i--));
      }
    }
    for (size_t i = 1; i < fds.size(); i++) close(fds[i].fd);
  }
  Fd listener_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class Client {
 public:
  explicit Client(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    timeval limit{kPatienceMs / 1000, 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    Address to = *Address::ip("127.0.0.1", port);
    connected = connect(fd_.get(), to.sockaddrPtr(), to.size()) == 0;
  }
  void say(std::string_view text) { send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL); }
  void end() { shutdown(fd_.get(), SHUT_WR); }
  // Up to `size` bytes, or to the end of the stream; sets `error` when it ends otherwise.
  std::string hear(size_t size) {
    std::string all;
    std::vector<char> buffer(1 << 16);
    while (all.size() < size) {
      ssize_t n = recv(fd_.get(), buffer.data(), std::min(buffer.size(), size - all.size()), 0);
      error = n < 0 ? errno : 0;
      if (n <= 0) break;
      all.append(buffer.data(), size_t(n));
    }
    return all;
  }
  // Sends `text` while hearing it come back.
  std::string through(const std::string& text) {
    std::thread sender([&] {
      for (size_t sent = 0; sent < text.size();) {
        ssize_t n = send(fd_.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) return;
        sent += size_t(n);
      }
    });
    std::string heard = hear(text.size());
    sender.join();
    return heard;
  }
  void reset() {
    setResetOnClose(fd_.get());
    fd_.reset();
  }
  bool connected = false;
  int error = 0;

 private:
  Fd fd_;
};

// A running group with a TCP proxy. The calling thread is the main thread.
class Proxy {
 public:
  explicit Proxy(std::vector<uint16_t> ports, spec::TcpProxy tcp = {}, spec::Cluster base = {},
                 uint32_t workers = 2) {
    WorkerGroup::Options options;
    options.concurrency = workers;
    options.wakeMain = [this] { woken_ = true; };
    group = std::move(*WorkerGroup::create(std::move(options)));
    WorkerGroup::LogOptions log;
    logPath_ = "/tmp/millrace-tcp-" + std::to_string(getpid()) + ".log";
    unlink(logPath_.c_str());
    log.target.path = logPath_;
    log.name = logPath_;
    log.intervalMs = 20;
    uint32_t logId = *group->openLog(log);
    spec::AccessLog access;
    access.log = logId;
    access.format = format();
    cluster_ = *group->allocateSlot("cluster");
    base_ = base;
    base_.name = base_.statName = "db";
    publish(ports);
    tcp.statPrefix = "in";
    if (tcp.cluster.kind == spec::ClusterChoice::Kind::kCluster) {
      tcp.cluster.name = "db";
      tcp.cluster.slot = cluster_;
    } else {
      for (auto& weighted : tcp.cluster.clusters) weighted.slot = cluster_;
    }
    tcp.accessLogs.push_back(access);
    spec::Listener listener;
    listener.name = "tcp";
    listener.addresses = {at(0)};
    spec::FilterChain chain;
    chain.name = "chain";
    chain.filter = std::move(tcp);
    listener.filterChains.push_back(std::move(chain));
    auto addresses = group->addListener(listener);
    CHECK(addresses.ok());
    std::string text = (*addresses)[0];
    port = uint16_t(std::stoi(text.substr(text.rfind(':') + 1)));
    group->start();
  }
  ~Proxy() {
    if (group != nullptr) group->stop(1000);
    unlink(logPath_.c_str());
  }
  SlotId cluster() const { return cluster_; }
  void publish(const std::vector<uint16_t>& ports) {
    spec::Cluster cluster = base_;
    for (uint16_t p : ports) {
      spec::Host host;
      host.id = p;
      host.address = at(p);
      cluster.hosts.push_back(host);
    }
    CHECK(group->publishCluster(cluster_, cluster).ok());
    group->turn();
  }
  template <typename F>
  bool until(F done) {
    for (int i = 0; i < kPatienceMs; i++) {
      if (woken_.exchange(false)) group->turn();
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
  // The access log, once it has `lines` lines.
  std::string log(size_t lines) {
    std::string text;
    until([&] {
      std::ifstream file(logPath_);
      std::stringstream all;
      all << file.rdbuf();
      text = all.str();
      return size_t(std::count(text.begin(), text.end(), '\n')) >= lines;
    });
    return text;
  }

  std::unique_ptr<WorkerGroup> group;
  uint16_t port = 0;

 private:
  static spec::Format format() {
    auto op = [](const char* name) {
      spec::FormatOperator o;
      o.op = name;
      return o;
    };
    spec::Format f;
    f.ops = {op("BYTES_RECEIVED"), " ", op("BYTES_SENT"),       " ", op("RESPONSE_FLAGS"), " ",
             op("UPSTREAM_HOST"),  " ", op("UPSTREAM_CLUSTER"), "\n"};
    return f;
  }
  std::atomic<bool> woken_{false};
  SlotId cluster_ = kNoSlot;
  spec::Cluster base_;
  std::string logPath_;
};

std::string pattern(size_t size) {
  std::string text(size, '\0');
  uint32_t seed = 1;
  for (char& c : text) {
    seed = seed * 1664525 + 1013904223;
    c = char(seed >> 24);
  }
  return text;
}

uint16_t closedPort() {
  return listenOn(*Address::ip("127.0.0.1", 0), {}, 1)->local.port();
}

}  // namespace

TEST_CASE("bytes go to a host and back, ends are passed on, and the connection is logged") {
  Echo echo;
  Proxy proxy({echo.port});
  std::string text = pattern(3 << 20);
  {
    Client client(proxy.port);
    client.say("hello");
    CHECK(client.hear(5) == "hello");
    CHECK(client.through(text) == text);
    CHECK(proxy.counter("tcp.in.downstream_cx_rx_bytes_total") >= 5);
    client.end();
    CHECK(client.hear(1).empty());
    CHECK(client.error == 0);
  }
  std::string bytes = std::to_string(text.size() + 5);
  std::string host = "127.0.0.1:" + std::to_string(echo.port);
  CHECK(proxy.log(1) == bytes + " " + bytes + " - " + host + " db\n");
  CHECK(proxy.counter("tcp.in.downstream_cx_total") == 1);
  CHECK(proxy.counter("tcp.in.downstream_cx_rx_bytes_total") == text.size() + 5);
  CHECK(proxy.counter("tcp.in.downstream_cx_tx_bytes_total") == text.size() + 5);
  CHECK(proxy.counter("cluster.db.upstream_cx_total") == 1);
  CHECK(proxy.counter("cluster.db.upstream_cx_active") == 0);
  CHECK(proxy.counter("cluster.db.upstream_cx_rx_bytes_total") == text.size() + 5);
  CHECK(proxy.until([&] { return proxy.group->connectionCount() == 0; }));
}

TEST_CASE("many clients at once, some of which reset") {
  Echo echo;
  Proxy proxy({echo.port});
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      std::string text = pattern(100'000);
      for (int i = 0; i < 20; i++) {
        Client client(proxy.port);
        good += client.through(text) == text;
        if ((i + t) % 3 == 0) client.reset();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(good == 80);
  CHECK(proxy.until([&] { return proxy.group->connectionCount() == 0; }));
  CHECK(proxy.counter("cluster.db.upstream_cx_active") == 0);
}

TEST_CASE("a host that refuses: another one is tried, as often as configured") {
  Echo echo;
  {
    spec::TcpProxy tcp;
    tcp.maxConnectAttempts = 2;
    Proxy proxy({closedPort(), echo.port}, tcp);
    for (int i = 0; i < 6; i++) {
      Client client(proxy.port);
      client.say("x");
      CHECK(client.hear(1) == "x");
    }
    CHECK(proxy.counter("cluster.db.upstream_cx_connect_fail") >= 1);
    CHECK(proxy.counter("cluster.db.upstream_cx_connect_attempts_exceeded") == 0);
  }
  Proxy proxy({closedPort()});
  Client client(proxy.port);
  CHECK(client.hear(1).empty());
  CHECK(proxy.log(1).find("0 0 UF,URX 127.0.0.1:") == 0);
  CHECK(proxy.counter("cluster.db.upstream_cx_connect_attempts_exceeded") == 1);
  CHECK(proxy.counter("cluster.db.upstream_cx_active") == 0);
}

TEST_CASE("no host, and too many connections") {
  Echo echo;
  {
    Proxy proxy({});
    Client client(proxy.port);
    CHECK(client.hear(1).empty());
    CHECK(proxy.log(1) == "0 0 UH - db\n");
  }
  spec::Cluster cluster;
  cluster.breakers.normal.maxConnections = 1;
  Proxy proxy({echo.port}, {}, cluster);
  Client first(proxy.port);
  first.say("x");
  CHECK(first.hear(1) == "x");
  Client second(proxy.port);
  CHECK(second.hear(1).empty());
  CHECK(proxy.log(1).find("0 0 UO ") == 0);
  CHECK(proxy.counter("cluster.db.upstream_cx_overflow") == 1);
  first.say("y");
  CHECK(first.hear(1) == "y");
}

TEST_CASE("a host that fails ends its connections where the cluster says so, and only there") {
  Echo echo;
  for (bool close : {true, false}) {
    spec::Cluster base;
    base.connect.closeOnHealthFailure = close;
    Proxy proxy({echo.port}, {}, base);
    Client client(proxy.port);
    client.say("x");
    CHECK(client.hear(1) == "x");
    spec::Host failed;
    failed.id = echo.port;
    failed.address = at(echo.port);
    failed.health = spec::Host::Health::kUnhealthy;
    CHECK(proxy.group->updateHosts(proxy.cluster(), {.set = {failed}, .remove = {}}).ok());
    proxy.group->turn();
    if (close) {
      CHECK(client.hear(1).empty());
    } else {
      client.say("y");
      CHECK(client.hear(1) == "y");
    }
  }
}

TEST_CASE("weighted clusters are chosen by weight") {
  Echo echo;
  spec::TcpProxy tcp;
  tcp.cluster.kind = spec::ClusterChoice::Kind::kWeighted;
  for (const char* name : {"a", "b"}) {
    spec::WeightedCluster weighted;
    weighted.name = name;
    weighted.weight = 1;
    tcp.cluster.clusters.push_back(weighted);
  }
  Proxy proxy({echo.port}, tcp);
  for (int i = 0; i < 4; i++) {
    Client client(proxy.port);
    client.say("x");
    CHECK(client.hear(1) == "x");
  }
}

TEST_CASE("idle connections, and connections that are too old, are closed") {
  Echo echo;
  {
    spec::TcpProxy tcp;
    tcp.idleTimeout = 500;
    Proxy proxy({echo.port}, tcp);
    Client client(proxy.port);
    for (int i = 0; i < 4; i++) {
      client.say("x");
      CHECK(client.hear(1) == "x");
      usleep(200'000);
    }
    CHECK(client.hear(1).empty());
    CHECK(proxy.until([&] { return proxy.counter("tcp.in.idle_timeout") == 1; }));
  }
  spec::TcpProxy tcp;
  tcp.maxDownstreamDuration = 100;
  Proxy proxy({echo.port}, tcp);
  Client client(proxy.port);
  client.say("x");
  CHECK(client.hear(1) == "x");
  CHECK(client.hear(1).empty());
  CHECK(proxy.log(1).find("1 1 DT ") == 0);
  CHECK(proxy.counter("tcp.in.max_downstream_connection_duration") == 1);
}

TEST_CASE("a change of the cluster leaves open connections alone; stop closes them") {
  Echo first, second;
  Proxy proxy({first.port});
  Client old(proxy.port);
  old.say("x");
  CHECK(old.hear(1) == "x");
  proxy.publish({second.port});
  CHECK(proxy.until([&] {
    Client fresh(proxy.port);
    fresh.say("y");
    return fresh.hear(1) == "y" && second.accepted > 0;
  }));
  old.say("z");
  CHECK(old.hear(1) == "z");
  proxy.group->stop(1000);
  CHECK(old.hear(1).empty());
  proxy.group.reset();
}
