// A whole group of workers: requests through it, changes under load, balance, drain, stop.
#include <set>

#include "worker/support.h"

using namespace millrace;
using namespace millrace::test;

TEST_CASE("a request goes through, and the next one takes the same upstream connection") {
  Origin origin;
  Running proxy(1, {origin.port()});
  Client client(proxy.port);
  CHECK(client.get() == 200);
  CHECK(client.text().ends_with("hello"));
  CHECK(client.get("/again") == 200);
  CHECK(origin.accepted() == 1);
  CHECK(proxy.counter("http.in.downstream_rq_2xx") == 2);
  CHECK(proxy.counter("cluster.web.upstream_cx_total") == 1);
}

TEST_CASE("pipelined requests are answered in order") {
  Origin origin;
  Running proxy(1, {origin.port()});
  Client client(proxy.port);
  CHECK(client.exchange("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n") ==
        200);
  proxy.until([&] { return origin.requests() == 2; });
  CHECK(origin.requests() == 2);
}

TEST_CASE("a stale upstream connection costs no request") {
  Origin origin;
  Running proxy(1, {origin.port()});
  Client client(proxy.port);
  for (int i = 0; i < 50; i++) {
    REQUIRE(client.get() == 200);
    if (i % 5 == 0) origin.closeIdle();
  }
  CHECK(proxy.counter("http.in.downstream_rq_5xx") == 0);
}

TEST_CASE("no cluster, no host, no upstream: each has its answer") {
  Origin origin;
  Running proxy(1, {origin.port()});
  Client client(proxy.port);
  proxy.publish({});
  proxy.group->turn();
  REQUIRE(proxy.until([&] { return client.get() == 503; }));
  CHECK(client.text().find("no healthy upstream") != std::string_view::npos);
  REQUIRE(proxy.group->withdrawCluster(proxy.cluster).ok());
  proxy.group->turn();
  REQUIRE(
      proxy.until([&] { return proxy.counter("http.in.no_cluster") > 0 || client.get() == 0; }));
  CHECK(client.get() == 503);
  proxy.publish({1});  // nobody listens there
  proxy.group->turn();
  REQUIRE(proxy.until([&] {
    return client.get() == 503 &&
           client.text().find("connection failure") != std::string_view::npos;
  }));
  proxy.publish({origin.port()});
  proxy.group->turn();
  CHECK(proxy.until([&] { return client.get() == 200; }));
}

TEST_CASE("what was published while it was held back arrives all at once") {
  Origin origin;
  Running proxy(1, {origin.port()});
  Client client(proxy.port);
  REQUIRE(client.get() == 200);
  proxy.group->hold();
  REQUIRE(proxy.group->withdrawCluster(proxy.cluster).ok());
  bool taken = false;
  proxy.group->whenTaken([&] { taken = true; });
  for (int i = 0; i < 20; i++) {
    proxy.group->turn();
    REQUIRE(client.get() == 200);
  }
  CHECK(!taken);
  proxy.publish({});
  proxy.group->resume();
  REQUIRE(proxy.until([&] { return taken; }));
  CHECK(client.get() == 503);
  CHECK(client.text().find("no healthy upstream") != std::string_view::npos);
  CHECK(proxy.counter("http.in.no_cluster") == 0);
}

TEST_CASE("a group that is held back can be stopped") {
  Origin origin;
  Running proxy(1, {origin.port()});
  proxy.group->hold();
  REQUIRE(proxy.group->withdrawCluster(proxy.cluster).ok());
  proxy.group->stop(1000);
  proxy.group->resume();
}

TEST_CASE("a host that a delta removes is drained, the others keep their connections") {
  Origin a, b;
  Running proxy(1, {a.port(), b.port()});
  Client client(proxy.port);
  for (int i = 0; i < 4; i++) REQUIRE(client.get() == 200);
  CHECK(a.accepted() == 1);
  CHECK(b.accepted() == 1);
  REQUIRE(proxy.group->updateHosts(proxy.cluster, {{}, {a.port()}}).ok());
  proxy.group->turn();
  REQUIRE(proxy.until([&] { return proxy.counter("cluster.web.upstream_cx_destroy_local") == 1; }));
  for (int i = 0; i < 4; i++) CHECK(client.get() == 200);
  CHECK(a.requests() == 2);
  CHECK(b.requests() == 6);
  CHECK(b.accepted() == 1);
  REQUIRE(proxy.group->updateHosts(proxy.cluster, {{}, {b.port()}}).ok());
  REQUIRE(proxy.group->updateHosts(proxy.cluster, {{{.id = 9, .address = localPort(a.port())}}, {}})
              .ok());
  proxy.group->turn();
  REQUIRE(proxy.until([&] { return proxy.counter("cluster.web.upstream_cx_destroy_local") == 2; }));
  CHECK(client.get() == 200);
  CHECK(a.accepted() == 2);
}

TEST_CASE("a change of a cluster with a long table arrives, and stopping waits for none") {
  Origin a, b;
  Running proxy(2, {a.port()});
  spec::Cluster cluster;
  cluster.name = "web";
  cluster.lb.policy = spec::LbPolicy::kMaglev;
  cluster.hosts = {{.id = a.port(), .address = localPort(a.port())}};
  REQUIRE(proxy.group->publishCluster(proxy.cluster, cluster).ok());
  REQUIRE(proxy.group
              ->updateHosts(proxy.cluster,
                            {{{.id = b.port(), .address = localPort(b.port())}}, {a.port()}})
              .ok());
  Client client(proxy.port);
  CHECK(proxy.until([&] { return client.get() == 200 && b.requests() > 0; }));
  REQUIRE(proxy.group->updateHosts(proxy.cluster, {{}, {b.port()}}).ok());
}

TEST_CASE("thousands of cluster snapshots under load fail no request") {
  Origin a, b;
  Running proxy(3, {a.port(), b.port()});
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0}, served{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; i++) {
    clients.emplace_back([&] {
      Client client(proxy.port);
      while (!stop) {
        if (client.get() == 200) {
          served++;
        } else {
          failed++;
          return;
        }
      }
    });
  }
  constexpr int kPublishes = 2000;
  for (int i = 0; i < kPublishes; i++) {
    switch (i % 3) {
      case 0:
        proxy.publish({a.port()});
        break;
      case 1:
        proxy.publish({b.port()});
        break;
      default:
        proxy.publish({a.port(), b.port()});
    }
    if (i % 4 == 0) proxy.group->turn();
    if (i % 64 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  int before = served;
  CHECK(proxy.until([&] { return served > before + 20; }));
  stop = true;
  for (auto& client : clients) client.join();
  CHECK(failed == 0);
  // All but the newest are reclaimed.
  CHECK(proxy.until([&] {
    proxy.group->turn();
    return proxy.group->slotStats().retired == 0;
  }));
}

TEST_CASE("few long connections are spread over the workers") {
  Origin origin;
  Running proxy(4, {origin.port()});
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 8; i++) {
    clients.push_back(std::make_unique<Client>(proxy.port));
    REQUIRE(clients.back()->get() == 200);
  }
  for (const auto& worker : proxy.group->workerStats()) {
    CHECK(worker.connections >= 1);
    CHECK(worker.connections <= 3);
  }
  CHECK(proxy.group->connectionCount() == 8);
  for (auto& client : clients) CHECK(client->get() == 200);
}

TEST_CASE("a drained listener finishes what it has and closes") {
  Origin origin;
  Running proxy(2, {origin.port()});
  Client idle(proxy.port), other(proxy.port);
  CHECK(idle.get() == 200);
  CHECK(other.get() == 200);
  REQUIRE(proxy.group->drainListener("in").ok());
  proxy.group->turn();
  CHECK(idle.closed());
  CHECK(other.closed());
  CHECK(connectTo(proxy.port) == -1);
  CHECK(proxy.until([&] { return proxy.group->connectionCount() == 0; }));
}

TEST_CASE("a removed listener is gone, and its name and port are free again") {
  Origin origin;
  Running proxy(3, {origin.port()});
  Client client(proxy.port);
  CHECK(client.get() == 200);
  REQUIRE(proxy.group->removeListener("in", 100).ok());
  proxy.group->turn();
  CHECK(proxy.until([&] { return proxy.group->connectionCount() == 0; }));
  CHECK(client.closed());
  CHECK_FALSE(proxy.group->removeListener("in", 0).ok());
  spec::Listener again = proxy.listener();
  again.addresses[0].port = proxy.port;
  REQUIRE(proxy.until([&] { return proxy.group->addListener(again).ok(); }));
  // A worker that has not taken the removal yet may still accept, and close, a connection.
  CHECK(proxy.until([&] {
    Client second(proxy.port);
    return second.get() == 200;
  }));
}

TEST_CASE("an open connection goes over to its listener's change with the next request") {
  Origin origin;
  Running proxy(2, {origin.port()});
  Client client(proxy.port), begun(proxy.port);
  CHECK(client.get() == 200);
  CHECK(::send(begun.fd(), "GET / HT", 8, MSG_NOSIGNAL) == 8);
  REQUIRE(proxy.until([&] { return proxy.counter("http.in.downstream_rq_active") == 1; }));
  spec::Listener changed = proxy.listener();
  auto& http = std::get<spec::HttpManager>(changed.filterChains[0].filter);
  http.serverName = "changed";
  http.statPrefix = "changed";
  REQUIRE(proxy.group->updateListener(changed).ok());
  bool taken = false;
  proxy.group->whenTaken([&] { taken = true; });
  REQUIRE(proxy.until([&] { return taken; }));
  CHECK(client.get() == 200);
  CHECK(client.text().find("server: changed") != std::string_view::npos);
  CHECK(begun.exchange("TP/1.1\r\nHost: a\r\n\r\n") == 200);
  CHECK(begun.text().find("server: changed") != std::string_view::npos);
  // The gauges of the one are those of the other now.
  CHECK(proxy.counter("http.changed.downstream_cx_active") == 2);
  CHECK(proxy.counter("http.changed.downstream_rq_active") == 0);
}

TEST_CASE("a connection that a change has nothing for is served once more") {
  Origin origin;
  Running proxy(1, {origin.port()});
  Client client(proxy.port);
  CHECK(client.get() == 200);
  spec::Listener changed = proxy.listener();
  changed.filterChains[0].destinationPort = 1;
  REQUIRE(proxy.group->updateListener(changed).ok());
  bool taken = false;
  proxy.group->whenTaken([&] { taken = true; });
  REQUIRE(proxy.until([&] { return taken; }));
  CHECK(client.get() == 200);
  CHECK(client.text().find("connection: close") != std::string_view::npos);
  CHECK(client.closed());
}

TEST_CASE("two listeners cannot have one port") {
  Origin origin;
  Running proxy(1, {origin.port()});
  spec::Listener second = proxy.listener();
  second.name = "second";
  second.reusePort = false;
  second.addresses[0].port = origin.port();
  auto refused = proxy.group->addListener(second);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().sysErrno == EADDRINUSE);
}

TEST_CASE("stopping cuts what is open and says how many") {
  Origin origin;
  Running proxy(2, {origin.port()});
  Client one(proxy.port), two(proxy.port);
  CHECK(one.get() == 200);
  CHECK(two.get() == 200);
  CHECK(proxy.group->stop(1000).connectionsCut == 2);
  CHECK(one.get() == 0);
}

TEST_CASE("clients that come and go while requests are in flight leave nothing behind") {
  Origin origin;
  Running proxy(2, {origin.port()});
  for (int i = 0; i < 300; i++) {
    Fd fd(connectTo(proxy.port));
    REQUIRE(fd.get() >= 0);
    const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    send(fd.get(), request, sizeof request - 1 - size_t(i % 20), MSG_NOSIGNAL);
    if (i % 3 == 0) setResetOnClose(fd.get());
  }
  CHECK(proxy.until([&] { return proxy.group->connectionCount() == 0; }));
  CHECK(proxy.until([&] { return proxy.counter("cluster.web.upstream_rq_active") == 0; }));
  Client client(proxy.port);
  CHECK(client.get() == 200);
}
