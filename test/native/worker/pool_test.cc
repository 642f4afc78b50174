// Pools of connections to upstreams: what is opened ahead, for whom, and what ends it.
#include "net/proxy_header.h"
#include "support/patience.h"
#include "worker/scripted_origin.h"

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
    if (::poll(&listening, 1, kPatienceMs) <= 0) return {};
    Address peer;
    Fd& fd = kept_.emplace_back(acceptOn(sockets_.fds[0].get(), peer));
    std::string text;
    char c;
    pollfd readable{fd.get(), POLLIN, 0};
    while (text.size() < size && ::poll(&readable, 1, kPatienceMs) > 0 &&
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

TEST_CASE("a client's connections go with the client") {
  for (bool proxied : {false, true}) {
    Origin origin;  // an empty line ends what it takes for a request; a PROXY header has none
    CAPTURE(proxied);
    Running proxy(1, {origin.port()});
    auto c = clusterOf({origin.port()});
    c.connect.poolPerDownstream = !proxied;
    if (proxied) c.connect.proxyProtocol = spec::ProxyProtocol::kV1;
    proxy.publishNow(c);
    Client stays(proxy.port);
    CHECK(stays.get() == 200);
    for (int i = 0; i < 50; i++) CHECK(Client(proxy.port).get() == 200);
    CHECK(proxy.until([&] { return proxy.counter("cluster.web.upstream_cx_active") == 1; }));
    CHECK(proxy.counter("cluster.web.upstream_cx_total") == 51);
    CHECK(stays.get() == 200);
    CHECK(proxy.counter("cluster.web.upstream_cx_total") == 51);
  }
}

TEST_CASE("who has no client shares a pool, which goes with its host") {
  Origin origin, shadow, other;
  for (auto proto : {spec::ProxyProtocol::kNone, spec::ProxyProtocol::kV2}) {
    Running proxy(1, {origin.port()}, [](spec::Forward& forward) {
      forward.mirrors.emplace_back().cluster = "shadow";
    });
    SlotId slot = *proxy.group->allocateSlot("shadow");
    auto c = clusterOf({shadow.port()});
    c.name = c.statName = "shadow";
    c.connect.poolPerDownstream = true;
    c.connect.proxyProtocol = proto;
    auto publish = [&] {
      REQUIRE(proxy.group->publishCluster(slot, c).ok());
      proxy.group->publishDirectory({{"shadow", slot}});
      proxy.group->turn();
    };
    publish();
    Client client(proxy.port);
    auto mirrored = [&](uint64_t total) {
      CHECK(client.get() == 200);
      CHECK(
          proxy.until([&] { return proxy.counter("cluster.shadow.upstream_rq_total") == total; }));
    };
    mirrored(1);
    CHECK(proxy.until([&] { return proxy.counter("cluster.shadow.upstream_rq_active") == 0; }));
    c.hosts = clusterOf({other.port()}).hosts;
    publish();
    CHECK(proxy.until([&] { return proxy.counter("cluster.shadow.upstream_cx_active") == 0; }));
    mirrored(2);
    shadow.closeIdle();
    mirrored(3);
  }
}

TEST_CASE(
    "the last connection of a client's pool ends in the middle of a request that goes again") {
  ScriptedOrigin origin({answer(200), drop(), answer(200)});
  Running proxy(1, {origin.port()});
  auto c = clusterOf({origin.port()});
  c.connect.poolPerDownstream = true;
  proxy.publishNow(c);
  Client client(proxy.port);
  CHECK(client.get() == 200);
  c.breakers.normal.maxPendingRequests = 0;
  proxy.publishNow(c);
  CHECK(client.get() == 503);  // it was to be sent again, and may not wait
  CHECK(proxy.counter("cluster.web.upstream_rq_stale_retry") == 1);
  CHECK(proxy.counter("cluster.web.upstream_rq_pending_overflow") == 1);
  CHECK(proxy.counter("cluster.web.upstream_cx_active") == 0);
  c.breakers.normal.maxPendingRequests = 1;
  proxy.publishNow(c);
  CHECK(client.get() == 200);
}

TEST_CASE("the last connection of a pool ends, and its request gets another pool in its place") {
  ScriptedOrigin a({answer(200), hang()}), b({answer(200)});
  Running proxy(1, {a.port()});
  auto c = clusterOf({a.port()});
  c.breakers.normal.maxConnectionPools = 1;
  proxy.publishNow(c);
  Client client(proxy.port);
  CHECK(client.get() == 200);
  std::string_view request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  ::send(client.fd(), request.data(), request.size(), MSG_NOSIGNAL);
  CHECK(proxy.until([&] { return a.requests().size() == 2; }));
  c.hosts = clusterOf({b.port()}).hosts;
  proxy.publishNow(c);
  a.endHung(drop());
  CHECK(client.response() == 200);
  CHECK(b.requests().size() == 1);
  CHECK(proxy.counter("cluster.web.upstream_cx_pool_overflow") == 0);
}

TEST_CASE("when connections are made differently, those that there are serve no new request") {
  using Change = std::function<void(spec::Cluster&)>;
  struct Case {
    const char* name;
    Change change;
    bool differs;
  };
  const std::vector<Case> cases = {
      {"bind", [](auto& c) { c.connect.bind = {localPort(0)}; }, true},
      {"freebind", [](auto& c) { c.connect.freebind = true; }, true},
      {"socket option",
       [](auto& c) {
         c.connect.socketOptions = {
             {.level = SOL_SOCKET, .name = SO_KEEPALIVE, .value = {1, 0, 0, 0}}};
       },
       true},
      {"keepalive", [](auto& c) { c.keepalive.emplace(); }, true},
      {"first family", [](auto& c) { c.connect.firstFamily = spec::AddressFamily::kV4; }, true},
      {"per client", [](auto& c) { c.connect.poolPerDownstream = true; }, true},
      {"response limits", [](auto& c) { c.maxResponseHeaders = 50; }, true},
      {"buffer limit", [](auto& c) { c.bufferLimit = 65536; }, true},
      {"idle timeout", [](auto& c) { c.idleTimeout = 1'000'000; }, false},
      {"breakers", [](auto& c) { c.breakers.normal.maxConnections = 7; }, false},
      {"balancer", [](auto& c) { c.lb.policy = spec::LbPolicy::kRandom; }, false},
      {"preconnect", [](auto& c) { c.connect.perUpstreamPreconnect = 1.0; }, false},
  };
  for (const Case& one : cases) {
    CAPTURE(one.name);
    Origin origin;
    Running proxy(1, {origin.port()});
    auto c = clusterOf({origin.port()});
    proxy.publishNow(c);
    Client client(proxy.port);
    CHECK(client.get() == 200);
    CHECK(client.get() == 200);
    CHECK(origin.accepted() == 1);
    one.change(c);
    proxy.publishNow(c);
    if (one.differs) {
      // The idle connection is closed at once, not with the next request.
      CHECK(proxy.until([&] { return proxy.counter("cluster.web.upstream_cx_active") == 0; }));
    }
    CHECK(client.get() == 200);
    CHECK(client.get() == 200);
    CHECK(origin.accepted() == (one.differs ? 2 : 1));
  }
}

TEST_CASE("a request that is under way when connections are to be made differently is finished") {
  ScriptedOrigin origin({hang(), answer(200)});
  Running proxy(1, {origin.port()});
  auto c = clusterOf({origin.port()});
  proxy.publishNow(c);
  Client first(proxy.port), second(proxy.port);
  std::string_view request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  ::send(first.fd(), request.data(), request.size(), MSG_NOSIGNAL);
  CHECK(proxy.until([&] { return origin.requests().size() == 1; }));
  c.keepalive.emplace();
  proxy.publishNow(c);
  CHECK(second.get() == 200);
  CHECK(proxy.counter("cluster.web.upstream_cx_active") == 2);
  origin.endHung(answer(200));
  CHECK(first.response() == 200);
  CHECK(proxy.until([&] { return proxy.counter("cluster.web.upstream_cx_active") == 1; }));
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
