// Pools of connections to upstreams: what is opened ahead, for whom, and what ends it.
#include "net/proxy_header.h"
#include "support.h"

using namespace millrace;
using namespace millrace::test;

namespace {

spec::Cluster clusterOf(std::vector<uint16_t> ports) {
  spec::Cluster c;
  c.name = "web";
  for (uint16_t port : ports) c.hosts.push_back({.id = port, .address = localPort(port)});
  return c;
}

// Accepts and keeps connections, and never says a word.
class Silent {
 public:
  Silent()
      : sockets_(std::move(*listenOn(*Address::ip("127.0.0.1", 0), {.reusePort = false}, 1))) {}
  uint16_t port() const { return sockets_.local.port(); }
  // What the next connection says first, up to `size` bytes; empty when none comes.
  std::string hear(size_t size) {
    pollfd listening{sockets_.fds[0].get(), POLLIN, 0};
    if (::poll(&listening, 1, 3000) <= 0) return {};
    Address peer;
    Fd& fd = kept_.emplace_back(acceptOn(sockets_.fds[0].get(), peer));
    std::string text;
    char c;
    pollfd readable{fd.get(), POLLIN, 0};
    while (text.size() < size && ::poll(&readable, 1, 3000) > 0 &&
           ::recv(fd.get(), &c, 1, 0) == 1) {
      text += c;
    }
    return text;
  }

 private:
  ListenSockets sockets_;
  std::vector<Fd> kept_;
};

std::string v1HeaderOf(const Client& client, uint16_t to) {
  Address from = localAddress(client.fd()), local = *Address::ip("127.0.0.1", to);
  return std::string(ProxyHeader(ProxyVersion::kV1, &from, &local).bytes());
}

}  // namespace

TEST_CASE("per_upstream_preconnect_ratio keeps connections ready beside those in use") {
  Origin origin;
  Running proxy(1, {origin.port()});
  auto c = clusterOf({origin.port()});
  c.connect.perUpstreamPreconnect = 3;
  proxy.publishNow(c);
  Client client(proxy.port);
  CHECK(client.get() == 200);
  // 1 request × 3 wants 3 connections.
  CHECK(proxy.until([&] { return origin.accepted() == 3; }));
  CHECK(proxy.counter("cluster.web.upstream_cx_for_request") == 1);
  CHECK(proxy.counter("cluster.web.upstream_cx_for_preconnect") == 2);
  for (int i = 0; i < 5; i++) CHECK(client.get() == 200);
  CHECK(origin.accepted() == 3);
  auto stats = proxy.group->workerStats()[0];
  CHECK(stats.poolHits == 5);
  CHECK(stats.poolMisses == 1);
}

TEST_CASE("an unhealthy host gets no connection ahead of requests") {
  Origin origin;
  Running proxy(1, {origin.port()});
  auto c = clusterOf({origin.port()});
  c.connect.perUpstreamPreconnect = 3;
  c.hosts[0].health = spec::Host::Health::kUnhealthy;  // alone: panic, so it is picked all the same
  proxy.publishNow(c);
  Client client(proxy.port);
  for (int i = 0; i < 5; i++) CHECK(client.get() == 200);
  CHECK(origin.accepted() == 1);
}

TEST_CASE("predictive_preconnect_ratio connects to the hosts that come next") {
  Origin a, b, c3;
  Running proxy(1, {a.port()});
  auto c = clusterOf({a.port(), b.port(), c3.port()});
  c.connect.predictivePreconnect = 2;
  proxy.publishNow(c);
  Client client(proxy.port);
  CHECK(client.get() == 200);
  // As preconnect_policy has it: one connection for the stream, one to the next host.
  CHECK(proxy.until([&] { return a.accepted() + b.accepted() + c3.accepted() == 2; }));
  CHECK(proxy.counter("cluster.web.upstream_cx_for_prediction") == 1);
  CHECK(client.get() == 200);  // goes to the host that was predicted
  CHECK(proxy.group->workerStats()[0].poolHits == 1);
}

TEST_CASE("each client has its connections, where the cluster says so") {
  Origin origin;
  Running proxy(1, {origin.port()});
  auto c = clusterOf({origin.port()});
  c.connect.poolPerDownstream = true;
  proxy.publishNow(c);
  Client a(proxy.port), b(proxy.port);
  for (int i = 0; i < 3; i++) {
    CHECK(a.get() == 200);
    CHECK(b.get() == 200);
  }
  CHECK(origin.accepted() == 2);
  // The pools are gone with their last connections, and the next requests make new ones.
  origin.closeIdle();
  CHECK(proxy.until([&] { return proxy.counter("cluster.web.upstream_cx_active") == 0; }));
  CHECK(a.get() == 200);
  CHECK(origin.accepted() == 3);
  // A host that goes takes them with it.
  Origin other;
  auto moved = clusterOf({other.port()});
  moved.connect.poolPerDownstream = true;
  proxy.publishNow(moved);
  CHECK(proxy.until([&] { return proxy.counter("cluster.web.upstream_cx_active") == 0; }));
  CHECK(a.get() == 200);
  CHECK(other.accepted() == 1);
}

TEST_CASE("a PROXY header says for whom a connection is, and it is used for nobody else") {
  Silent service;
  Running proxy(1, {service.port()});
  auto c = clusterOf({service.port()});
  c.connect.proxyProtocol = spec::ProxyProtocol::kV1;
  proxy.publishNow(c);
  Client a(proxy.port), b(proxy.port);
  std::string_view request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  for (const Client* client : {&a, &b}) {
    std::string expected = v1HeaderOf(*client, proxy.port) + "GET / HTTP/1.1\r\n";
    ::send(client->fd(), request.data(), request.size(), MSG_NOSIGNAL);
    CHECK(service.hear(expected.size()) == expected);
  }
}

TEST_CASE("a host that fails gets new connections when it is back") {
  Origin a, b;
  Running proxy(1, {a.port()});
  auto c = clusterOf({a.port(), b.port()});
  proxy.publishNow(c);
  Client client(proxy.port);
  for (int i = 0; i < 4; i++) CHECK(client.get() == 200);
  CHECK(a.accepted() == 1);
  c.hosts[0].health = spec::Host::Health::kUnhealthy;
  proxy.publishNow(c);
  CHECK(proxy.until([&] { return proxy.counter("cluster.web.upstream_cx_active") == 1; }));
  c.hosts[0].health = spec::Host::Health::kHealthy;
  proxy.publishNow(c);
  for (int i = 0; i < 4; i++) CHECK(client.get() == 200);
  CHECK(a.accepted() == 2);
  CHECK(b.accepted() == 1);
}

TEST_CASE("max_connection_duration and the idle timeout end idle connections, each by its name") {
  Origin origin;
  for (bool byAge : {true, false}) {
    Running proxy(1, {origin.port()});
    auto c = clusterOf({origin.port()});
    (byAge ? c.maxConnectionDuration : c.idleTimeout) = 50;
    proxy.publishNow(c);
    Client client(proxy.port);
    CHECK(client.get() == 200);
    CHECK(proxy.until([&] { return proxy.counter("cluster.web.upstream_cx_active") == 0; }));
    CHECK(proxy.counter("cluster.web.upstream_cx_max_duration_reached") == (byAge ? 1 : 0));
    CHECK(proxy.counter("cluster.web.upstream_cx_idle_timeout") == (byAge ? 0 : 1));
    CHECK(proxy.counter("cluster.web.upstream_cx_destroy_local") == 1);
    CHECK(client.get() == 200);
  }
}

TEST_CASE("an open breaker for connection pools makes room by closing an idle pool, or overflows") {
  Origin a, b;
  Silent busy;
  Running proxy(1, {a.port()});
  auto c = clusterOf({a.port(), b.port()});
  c.breakers.normal.maxConnectionPools = 1;
  proxy.publishNow(c);
  Client client(proxy.port);
  for (int i = 0; i < 4; i++) CHECK(client.get() == 200);
  // Each request goes to the other host, whose pool takes the place of the idle one.
  CHECK(a.accepted() == 2);
  CHECK(b.accepted() == 2);
  CHECK(proxy.counter("cluster.web.upstream_cx_pool_overflow") == 0);

  auto hanging = clusterOf({busy.port()});
  hanging.breakers = c.breakers;
  proxy.publishNow(hanging);
  Client waits(proxy.port);
  std::string_view request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  ::send(waits.fd(), request.data(), request.size(), MSG_NOSIGNAL);
  CHECK(busy.hear(3) == "GET");
  hanging.hosts.push_back({.id = a.port(), .address = localPort(a.port())});
  proxy.publishNow(hanging);
  // One of two requests is for the new host, and its pool may not be made.
  Client other(proxy.port);
  timeval limit{0, 300'000};
  setsockopt(other.fd(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  int status = other.get();
  if (status == 0) status = Client(proxy.port).get();  // the first one hangs
  CHECK(status == 503);
  CHECK(proxy.counter("cluster.web.upstream_cx_pool_overflow") == 1);
}

TEST_CASE("a limit of connections for each host holds for one host, not for the cluster") {
  Silent a;
  Running proxy(1, {a.port()});
  auto c = clusterOf({a.port()});
  c.breakers.normal.maxConnectionsPerHost = 1;
  c.breakers.normal.maxPendingRequests = 1;
  proxy.publishNow(c);
  std::string_view request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  Client first(proxy.port), second(proxy.port), third(proxy.port);
  ::send(first.fd(), request.data(), request.size(), MSG_NOSIGNAL);
  CHECK(a.hear(3) == "GET");
  ::send(second.fd(), request.data(), request.size(), MSG_NOSIGNAL);
  CHECK(proxy.until([&] { return proxy.counter("cluster.web.upstream_rq_pending_active") == 1; }));
  CHECK(third.get() == 503);
  CHECK(proxy.counter("cluster.web.upstream_cx_overflow") == 1);
  CHECK(proxy.counter("cluster.web.upstream_cx_total") == 1);
}

TEST_CASE("a connect timeout is a failed connection too, and is ours") {
  ListenOptions tiny;
  tiny.backlog = 1;
  tiny.reusePort = false;
  auto full = std::move(*listenOn(*Address::ip("127.0.0.1", 0), tiny, 1));
  std::vector<Fd> fill;
  for (int i = 0; i < 8; i++) {
    fill.emplace_back(openSocket(AF_INET));
    ::connect(fill.back().get(), full.local.sockaddrPtr(), full.local.size());
  }
  Running proxy(1, {full.local.port()});
  auto c = clusterOf({full.local.port()});
  c.connectTimeout = 60;
  proxy.publishNow(c);
  Client client(proxy.port);
  CHECK(client.get() == 503);
  for (const char* name :
       {"upstream_cx_connect_timeout", "upstream_cx_connect_fail", "upstream_cx_destroy",
        "upstream_cx_destroy_local", "upstream_cx_total", "upstream_rq_pending_failure_eject"}) {
    CHECK_MESSAGE(proxy.counter(std::string("cluster.web.") + name) == 1, name);
  }
  CHECK(proxy.counter("cluster.web.upstream_cx_active") == 0);
}

TEST_CASE("responses are counted by code, by class, and by where the request came from") {
  Origin origin;
  Running proxy(1, {origin.port()});
  auto c = clusterOf({origin.port()});
  c.hosts[0].canary = true;
  proxy.publishNow(c);
  Client client(proxy.port);
  for (int i = 0; i < 3; i++) CHECK(client.get() == 200);
  for (const char* name :
       {"upstream_rq_200", "upstream_rq_2xx", "upstream_rq_completed", "external.upstream_rq_200",
        "external.upstream_rq_2xx", "external.upstream_rq_completed", "canary.upstream_rq_200"}) {
    CHECK_MESSAGE(proxy.counter(std::string("cluster.web.") + name) == 3, name);
  }
  CHECK(proxy.counter("cluster.web.internal.upstream_rq_200") == 0);
}

TEST_CASE("thousands of changes of endpoints under load fail no request") {
  Origin stays, moves;
  Running proxy(2, {stays.port()});
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0}, served{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; i++) {
    clients.emplace_back([&] {
      Client client(proxy.port);
      while (!stop) {
        if (client.get() != 200) {
          failed++;
          return;
        }
        served++;
      }
    });
  }
  // A second host comes, changes, fails, and goes; each time it is another one.
  constexpr uint64_t kChanges = 8000;
  for (uint64_t i = 0; i < kChanges; i++) {
    spec::HostDelta delta;
    spec::Host host{.id = 100'000 + i / 4, .address = localPort(moves.port())};
    host.weight = uint32_t(1 + i % 3);
    if (i % 4 == 2) host.health = spec::Host::Health::kUnhealthy;
    if (i % 4 == 3) {
      delta.remove = {host.id};
    } else {
      delta.set = {host};
    }
    CHECK(proxy.group->updateHosts(proxy.cluster, delta).ok());
    if (i % 8 == 0) proxy.group->turn();
    if (i % 64 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  int before = served;
  CHECK(proxy.until([&] { return served > before + 20; }));
  stop = true;
  for (auto& client : clients) client.join();
  CHECK(failed == 0);
  CHECK(moves.requests() > 0);
  // Nothing is left of the hosts that went.
  CHECK(proxy.until([&] {
    proxy.group->turn();
    return proxy.counter("cluster.web.upstream_cx_active") <= 8 &&
           proxy.group->slotStats().retired == 0;
  }));
  CHECK(proxy.group->clusterHosts(proxy.cluster).size() == 1);
}
