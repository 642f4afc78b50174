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

TEST_CASE("a burst of connects is spread, whoever accepts it") {
  Origin origin;
  Running proxy(4, {origin.port()});
  for (int round = 0; round < 10; round++) {
    constexpr int kClients = 32;
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < kClients; i++) clients.push_back(std::make_unique<Client>(proxy.port));
    REQUIRE(proxy.until([&] { return proxy.group->connectionCount() == kClients; }));
    for (auto& client : clients) REQUIRE(client->get() == 200);
    uint32_t sum = 0;
    for (const auto& worker : proxy.group->workerStats()) {
      // Two workers that look at once may both choose a third.
      CHECK(worker.connections <= kClients / 4 + 4);
      sum += worker.connections;
    }
    CHECK(sum == kClients);
    clients.clear();
    REQUIRE(proxy.until([&] { return proxy.group->connectionCount() == 0; }));
  }
}

TEST_CASE("clients that connect while a listener is added are all served") {
  Origin origin;
  for (bool reusePort : {true, false}) {
    Running proxy(4, {origin.port()});
    for (int round = 0; round < 40; round++) {
      spec::Listener added = proxy.listener();
      added.name = "added " + std::to_string(round);
      added.reusePort = reusePort;
      auto addresses = proxy.group->addListener(added);
      REQUIRE(addresses.ok());
      auto port = uint16_t(std::stoi((*addresses)[0].substr((*addresses)[0].rfind(':') + 1)));
      // They wait in the backlog when the first worker learns of it.
      std::vector<std::unique_ptr<Client>> clients;
      for (int i = 0; i < 16; i++) clients.push_back(std::make_unique<Client>(port));
      proxy.group->turn();
      for (auto& client : clients) {
        REQUIRE(client->get() == 200);
      }
      clients.clear();
      CHECK(proxy.until([&] { return proxy.group->listenerConnections(added.name) == 0; }));
      REQUIRE(proxy.group->removeListener(added.name, 0, 0).ok());
    }
  }
}

TEST_CASE("a drained listener serves who waits, tells them to go, and closes its sockets") {
  Origin origin;
  Running proxy(2, {origin.port()});
  Client used(proxy.port);
  CHECK(used.get() == 200);
  // Some of them are not accepted yet.
  std::vector<std::unique_ptr<Client>> waiting;
  for (int i = 0; i < 20; i++) waiting.push_back(std::make_unique<Client>(proxy.port));
  REQUIRE(proxy.group->drainListener("in").ok());
  proxy.group->turn();
  REQUIRE(proxy.until([&] { return proxy.group->socketCount() == 0; }));
  CHECK(connectTo(proxy.port) == -1);
  CHECK(proxy.group->connectionCount() == 21);
  CHECK(used.get() == 200);
  CHECK(used.text().find("connection: close") != std::string_view::npos);
  CHECK(used.closed());
  for (auto& client : waiting) {
    CHECK(client->get() == 200);
    CHECK(client->text().find("connection: close") != std::string_view::npos);
  }
  CHECK(proxy.until([&] { return proxy.group->connectionCount() == 0; }));
}

TEST_CASE("a drain closes what stays idle, and not before it was idle for a while") {
  Origin origin;
  Running proxy(2, {origin.port()});
  Client idle(proxy.port), busy(proxy.port);
  CHECK(idle.get() == 200);
  CHECK(busy.get() == 200);
  auto began = std::chrono::steady_clock::now();
  proxy.group->drainAll(Worker::kQuietMs + 500);
  CHECK(idle.closed());
  CHECK(std::chrono::steady_clock::now() - began >= std::chrono::milliseconds(Worker::kQuietMs));
  CHECK(busy.closed());
  // It goes on accepting; each client is told to go.
  Client late(proxy.port);
  CHECK(late.get() == 200);
  CHECK(late.text().find("connection: close") != std::string_view::npos);
}

TEST_CASE("a listener's name in the statistics and its drain type change in place") {
  Origin origin;
  Running proxy(2, {origin.port()});
  Client client(proxy.port);
  CHECK(client.get() == 200);
  spec::Listener changed = proxy.listener();
  changed.statPrefix = "other";
  changed.drainType = spec::Listener::DrainType::kModifyOnly;
  REQUIRE(proxy.group->updateListener(changed).ok());
  bool taken = false;
  proxy.group->whenTaken([&] { taken = true; });
  REQUIRE(proxy.until([&] { return taken; }));
  CHECK(proxy.counter("listener.other.downstream_cx_active") == 1);
  proxy.group->setHealthFailed(true);
  proxy.group->turn();
  CHECK(client.get() == 200);
  CHECK(client.text().find("connection: close") == std::string_view::npos);
  Client second(proxy.port);
  CHECK(second.get() == 200);
  CHECK(proxy.counter("listener.other.downstream_cx_total") == 1);
  CHECK(proxy.counter("listener.other.downstream_cx_active") == 2);
}

TEST_CASE("a listener keeps the sockets that can stay, and opens and closes the others") {
  Origin origin;
  Running proxy(2, {origin.port()});
  Client client(proxy.port);
  CHECK(client.get() == 200);
  spec::Listener changed = proxy.listener();
  changed.backlog = 7;
  changed.addresses.push_back(localPort(0));
  auto addresses = proxy.group->bindSockets(changed);
  REQUIRE(addresses.ok());
  REQUIRE(addresses->size() == 2);
  CHECK((*addresses)[0].ends_with(":" + std::to_string(proxy.port)));
  auto port = uint16_t(std::stoi((*addresses)[1].substr((*addresses)[1].rfind(':') + 1)));
  Client waiting(proxy.port);
  REQUIRE(proxy.group->updateListener(changed).ok());
  proxy.group->useSockets("in");
  proxy.group->turn();
  CHECK(waiting.get() == 200);
  Client second(port);
  CHECK(second.get() == 200);
  CHECK(proxy.group->socketCount() == 4);
  changed.addresses.erase(changed.addresses.begin());
  // What another one opened and nobody wanted is closed again.
  REQUIRE(proxy.group->bindSockets(changed).ok());
  proxy.group->dropSockets("in");
  REQUIRE(proxy.group->bindSockets(changed).ok());
  REQUIRE(proxy.group->updateListener(changed).ok());
  proxy.group->useSockets("in");
  proxy.group->turn();
  REQUIRE(proxy.until([&] { return proxy.group->socketCount() == 2; }));
  // Its connections live on.
  CHECK(client.get() == 200);
  CHECK(second.get() == 200);
  changed.reusePort = false;
  auto refused = proxy.group->bindSockets(changed);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().message.find("enable_reuse_port") != std::string::npos);
}

TEST_CASE("a request to a listener that is gone is answered") {
  Origin origin;
  Running proxy(1, {origin.port()});
  Client client(proxy.port);
  CHECK(client.get() == 200);
  REQUIRE(proxy.group->removeListener("in", 60'000, 60'000).ok());
  proxy.group->turn();
  bool taken = false;
  proxy.group->whenTaken([&] { taken = true; });
  REQUIRE(proxy.until([&] { return taken; }));
  CHECK(client.get() == 503);
  CHECK(client.text().find("connection: close") != std::string_view::npos);
  CHECK(proxy.counter("http.in.downstream_rq_5xx") == 1);
}

TEST_CASE("a slot that is not there, or is for something else, is an error") {
  Origin origin;
  Running proxy(1, {origin.port()});
  spec::Cluster cluster;
  cluster.name = "x";
  for (SlotId slot : {SlotId(0), SlotId(1), kNoSlot, SlotId(12345)}) {
    CHECK_FALSE(proxy.group->publishRoutes(slot, {}).ok());
    CHECK_FALSE(proxy.group->publishCluster(slot, cluster).ok());
    CHECK_FALSE(proxy.group->releaseSlot(slot).ok());
    CHECK(proxy.group->clusterHosts(slot).empty());
    CHECK(proxy.group->outlierWindow(slot).empty());
    CHECK(proxy.group->takeUsedHosts(slot, true).empty());
    CHECK(proxy.group->waiting(slot).now == 0);
    proxy.group->resetOutliers(slot, {1});
    proxy.group->refuseHosts(slot, {"a"}, HostRefusal::kFull);
  }
  CHECK_FALSE(proxy.group->publishCluster(proxy.routes, cluster).ok());
  CHECK_FALSE(proxy.group->publishRoutes(proxy.cluster, {}).ok());
  CHECK(proxy.group->clusterHosts(proxy.routes).empty());
  Client client(proxy.port);
  CHECK(client.get() == 200);
}

TEST_CASE("a removed listener is gone, and its name and port are free again") {
  Origin origin;
  Running proxy(3, {origin.port()});
  Client client(proxy.port);
  CHECK(client.get() == 200);
  REQUIRE(proxy.group->removeListener("in", 10, 100).ok());
  proxy.group->turn();
  CHECK(proxy.until([&] { return proxy.group->connectionCount() == 0; }));
  CHECK(client.closed());
  CHECK_FALSE(proxy.group->removeListener("in", 0, 0).ok());
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
