// Clusters whose hosts are added as requests name them: requests wait for the main thread, which
// is asked once, and never longer than they may.
#include <map>
#include <random>
#include <set>

#include "scripted_origin.h"

using namespace millrace;
using namespace millrace::test;

namespace {

spec::Cluster onDemand(uint64_t waitMs = 20'000, uint32_t maxWaiting = 1024) {
  spec::Cluster cluster;
  cluster.name = "web";
  cluster.onDemand = spec::OnDemand{.waitMs = waitMs, .maxWaiting = maxWaiting, .header = "x-dst"};
  return cluster;
}

std::string requestTo(const std::string& destination) {
  return "GET / HTTP/1.1\r\nHost: test\r\nx-dst: " + destination + "\r\n\r\n";
}

// Sends a request and does not wait for the answer. Ends with a reset: of a client that only ends
// its sending the answer is still due.
std::unique_ptr<Client> leaving(uint16_t port, const std::string& request) {
  auto client = std::make_unique<Client>(port);
  setResetOnClose(client->fd());
  REQUIRE(::send(client->fd(), request.data(), request.size(), MSG_NOSIGNAL) > 0);
  return client;
}

std::string local(uint16_t port) {
  return "127.0.0.1:" + std::to_string(port);
}

struct Fixture {
  explicit Fixture(uint32_t workers, spec::Cluster c = onDemand())
      : proxy(workers, {}), cluster(std::move(c)) {
    proxy.publishNow(cluster);
  }
  // What workers asked for since the last call.
  std::vector<std::string> asked() {
    proxy.pump();
    std::vector<std::string> keys;
    for (auto& wanted : proxy.group->takeWantedHosts()) {
      CHECK(wanted.slot == proxy.cluster);
      keys.push_back(wanted.key);
    }
    return keys;
  }
  std::vector<std::string> waitForAsked(size_t count = 1) {
    std::vector<std::string> all;
    CHECK(proxy.until([&] {
      for (auto& key : asked()) all.push_back(key);
      return all.size() >= count;
    }));
    return all;
  }
  void add(uint16_t port) {
    spec::HostDelta delta;
    delta.set.push_back({.id = port, .address = localPort(port)});
    REQUIRE(proxy.group->updateHosts(proxy.cluster, delta).ok());
  }
  void remove(uint16_t port) {
    spec::HostDelta delta;
    delta.remove = {port};
    REQUIRE(proxy.group->updateHosts(proxy.cluster, delta).ok());
  }
  // Sends, and pumps until there is an answer.
  int exchange(Client& client, const std::string& request, const std::function<void()>& meanwhile) {
    std::atomic<int> status{-1};
    std::thread thread([&] { status = client.exchange(request); });
    meanwhile();
    proxy.until([&] { return status != -1; });
    thread.join();
    return status;
  }
  uint32_t waiting() { return proxy.group->waiting(proxy.cluster).now; }
  Running proxy;
  spec::Cluster cluster;
};

}  // namespace

TEST_CASE("a request waits for its host, and everybody after it goes on at once") {
  Origin origin;
  Fixture f(1);
  Client client(f.proxy.port);
  CHECK(f.exchange(client, requestTo(local(origin.port())), [&] {
    CHECK(f.waitForAsked() == std::vector<std::string>{local(origin.port())});
    CHECK(f.waiting() == 1);
    f.add(origin.port());
  }) == 200);
  CHECK(f.waiting() == 0);
  // No main thread is needed any more.
  for (int i = 0; i < 5; i++) CHECK(client.exchange(requestTo(local(origin.port()))) == 200);
  CHECK(f.asked().empty());
  CHECK(origin.requests() == 6);
}

TEST_CASE("a body waits with its request") {
  ScriptedOrigin origin({answer(200)});
  Fixture f(1);
  Client client(f.proxy.port);
  std::string body(300'000, 'x');
  std::string request = "POST / HTTP/1.1\r\nHost: test\r\nx-dst: " + local(origin.port()) +
                        "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  CHECK(f.exchange(client, request, [&] {
    f.waitForAsked();
    f.add(origin.port());
  }) == 200);
  auto requests = origin.requests();
  REQUIRE(requests.size() == 1);
  CHECK(requests[0].ends_with("\r\n\r\n" + body));
}

TEST_CASE("a host that came and went before a worker saw it is asked for again") {
  Origin origin;
  Fixture f(1);
  Client client(f.proxy.port);
  CHECK(f.exchange(client, requestTo(local(origin.port())), [&] {
    f.waitForAsked();
    f.add(origin.port());
    f.remove(origin.port());  // both reach the worker as one
    f.waitForAsked();
    f.add(origin.port());
  }) == 200);
}

TEST_CASE("however many wait for a host, each worker asks once") {
  Origin origin;
  Fixture f(2);
  std::atomic<int> good{0}, done{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 24; i++) {
    clients.emplace_back([&] {
      Client client(f.proxy.port);
      if (client.exchange(requestTo(local(origin.port()))) == 200) good++;
      done++;
    });
  }
  CHECK(f.proxy.until([&] { return f.waiting() == 24; }));
  size_t asked = f.asked().size();
  CHECK(asked >= 1);
  CHECK(asked <= 2);
  f.add(origin.port());
  f.proxy.until([&] { return done == 24; });
  for (auto& thread : clients) thread.join();
  CHECK(good == 24);
  CHECK(f.waiting() == 0);
}

TEST_CASE("a host that will not be added, and one that never comes, answer 503") {
  Origin origin;
  Fixture f(1, onDemand(300));
  Client client(f.proxy.port);
  auto refuse = [&](HostRefusal why) {
    return f.exchange(client, requestTo("10.0.0.1:80"), [&] {
      auto asked = f.waitForAsked();
      f.proxy.group->refuseHosts(f.proxy.cluster, asked, why);
    });
  };
  CHECK(refuse(HostRefusal::kUnresolved) == 503);
  CHECK(client.text().find("no healthy upstream") != std::string_view::npos);
  CHECK(refuse(HostRefusal::kFull) == 503);
  CHECK(client.text().find("x-envoy-overloaded: true") != std::string_view::npos);
  // Refused is not remembered: it is asked for anew.
  CHECK(f.exchange(client, requestTo("10.0.0.1:80"), [&] { f.waitForAsked(); }) == 503);
  CHECK(client.text().find("no healthy upstream") != std::string_view::npos);
  CHECK(f.waiting() == 0);
  CHECK(f.proxy.counter("cluster.web.upstream_cx_none_healthy") == 2);
}

TEST_CASE("a forward proxy says why there is no host") {
  Origin origin;
  spec::Cluster cluster = onDemand(20'000, 1);
  cluster.onDemand->kind = spec::OnDemand::Kind::kForwardProxy;
  Fixture f(1, cluster);
  Client client(f.proxy.port);
  auto get = [](const char* host) {
    return "GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n";
  };
  auto refuse = [&](HostRefusal why) {
    CHECK(f.exchange(client, get("No.Such"), [&] {
      auto asked = f.waitForAsked();
      CHECK(asked[0] == "no.such:80");
      f.proxy.group->refuseHosts(f.proxy.cluster, asked, why);
    }) == 503);
    return std::string(client.text());
  };
  CHECK(refuse(HostRefusal::kUnresolved).find("DNS resolution failure") != std::string::npos);
  CHECK(refuse(HostRefusal::kFull).find("DNS cache overflow") != std::string::npos);
  // No host at all: nobody is asked.
  CHECK(client.exchange(get("a:0")) == 503);
  CHECK(f.asked().empty());
  // A second one may not wait.
  CHECK(f.exchange(client, get("one"), [&] {
    auto asked = f.waitForAsked();
    Client second(f.proxy.port);
    CHECK(second.exchange(get("two")) == 503);
    CHECK(second.text().find("pending request overflow") != std::string_view::npos);
    CHECK(f.proxy.group->waiting(f.proxy.cluster).overflows == 1);
    spec::HostDelta delta;
    delta.set.push_back({.id = 1, .address = localPort(origin.port()), .hostname = "one:80"});
    REQUIRE(f.proxy.group->updateHosts(f.proxy.cluster, delta).ok());
  }) == 200);
}

TEST_CASE("clients that leave while they wait give up their places") {
  Fixture f(1, onDemand(20'000, 8));
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 8; i++) {
    clients.push_back(leaving(f.proxy.port, requestTo("10.0.0." + std::to_string(i % 2) + ":80")));
  }
  CHECK(f.proxy.until([&] { return f.waiting() == 8; }));
  Client refused(f.proxy.port);
  CHECK(refused.exchange(requestTo("10.0.0.0:80")) == 503);
  CHECK(f.proxy.counter("cluster.web.upstream_rq_pending_overflow") == 1);
  clients.clear();
  CHECK(f.proxy.until([&] { return f.waiting() == 0; }));
  CHECK(f.waitForAsked(2).size() == 2);
  // Answers for nobody.
  f.proxy.group->refuseHosts(f.proxy.cluster, {"10.0.0.0:80"}, HostRefusal::kUnresolved);
  f.add(1);
  f.proxy.pump();
}

TEST_CASE("keys that nobody waits for any more are bounded like those that somebody does") {
  Fixture f(1, onDemand(20'000, 4));
  int refused = 0;
  for (int i = 0; i < 12; i++) {
    uint64_t before = f.proxy.group->waiting(f.proxy.cluster).overflows;
    auto client = leaving(f.proxy.port, requestTo("10.0.1." + std::to_string(i) + ":80"));
    CHECK(f.proxy.until([&] {
      return f.waiting() == 1 || f.proxy.group->waiting(f.proxy.cluster).overflows > before;
    }));
    if (f.waiting() == 0) refused++;
    client = nullptr;
    CHECK(f.proxy.until([&] { return f.waiting() == 0; }));
  }
  CHECK(refused == 8);
  CHECK(f.waitForAsked(4).size() == 4);
}

TEST_CASE("a cluster that is withdrawn answers those that wait") {
  Fixture f(1);
  Client client(f.proxy.port);
  CHECK(f.exchange(client, requestTo("10.0.0.1:80"), [&] {
    f.waitForAsked();
    REQUIRE(f.proxy.group->withdrawCluster(f.proxy.cluster).ok());
    f.proxy.group->turn();
  }) == 503);
  // It comes back, and works.
  Origin origin;
  f.proxy.publishNow(f.cluster);
  CHECK(f.exchange(client, requestTo(local(origin.port())), [&] {
    f.waitForAsked();
    f.add(origin.port());
  }) == 200);
}

TEST_CASE("a cluster that has ordinary hosts instead serves those that wait") {
  Origin origin;
  Fixture f(1);
  Client client(f.proxy.port);
  CHECK(f.exchange(client, requestTo("10.0.0.1:80"), [&] {
    f.waitForAsked();
    f.proxy.publish({origin.port()});
    f.proxy.group->turn();
  }) == 200);
}

TEST_CASE("workers that stop do so with requests that wait") {
  Fixture f(2);
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 6; i++) {
    clients.push_back(leaving(f.proxy.port, requestTo("10.0.0.1:80")));
  }
  CHECK(f.proxy.until([&] { return f.waiting() == 6; }));
  f.proxy.group->stop(1000);
  for (auto& client : clients) CHECK(client->closed());
}

TEST_CASE("hosts that are used are known, once") {
  Origin origin;
  Fixture f(1);
  f.add(origin.port());
  f.add(1);
  f.proxy.pump();
  auto used = [&](bool orConnected) {
    auto ids = f.proxy.group->takeUsedHosts(f.proxy.cluster, orConnected);
    return std::set<uint64_t>(ids.begin(), ids.end());
  };
  CHECK(used(false) == std::set<uint64_t>{origin.port(), 1});  // both are new
  CHECK(used(false).empty());
  Client client(f.proxy.port);
  CHECK(f.exchange(client, requestTo(local(origin.port())), [] {}) == 200);
  CHECK(used(false) == std::set<uint64_t>{origin.port()});
  CHECK(used(false).empty());
  CHECK(used(true) == std::set<uint64_t>{origin.port()});  // a pooled connection
}

TEST_CASE("hosts that come and go under load, with clients that come and go") {
  Origin origins[4];
  Fixture f(2, onDemand(20'000, 64));
  std::atomic<bool> stop{false};
  std::atomic<int> served{0}, live{0};
  std::atomic<int> wrong{0};  // a status that should not be; -1: none came
  std::vector<std::thread> clients;
  for (int c = 0; c < 6; c++) {
    live++;
    clients.emplace_back([&, c] {
      std::mt19937 random{unsigned(c)};
      while (!stop) {
        Client client(f.proxy.port);
        for (int i = 0; i < 20 && !stop; i++) {
          std::string request = requestTo(local(origins[random() % 4].port()));
          if (random() % 16 == 0) {
            leaving(f.proxy.port, request);
            break;
          }
          int status = client.exchange(request);
          if (status == 200) served++;
          if (status != 200 && status != 503) wrong = status == 0 ? -1 : status;
        }
      }
      live--;
    });
  }
  std::mt19937 random{99};
  std::map<std::string, uint16_t> ports;
  for (Origin& origin : origins) ports[local(origin.port())] = origin.port();
  auto answer = [&](bool refuses) {
    for (const std::string& key : f.asked()) {
      if (refuses && random() % 8 == 0) {
        f.proxy.group->refuseHosts(f.proxy.cluster, {key}, HostRefusal::kUnresolved);
      } else {
        f.add(ports.at(key));
      }
    }
  };
  CHECK(f.proxy.until([&] {
    answer(true);
    if (random() % 3 == 0) f.remove(origins[random() % 4].port());
    return served > 2000;
  }));
  stop = true;
  f.proxy.until([&] {
    answer(false);
    return live == 0;
  });
  for (auto& thread : clients) thread.join();
  CHECK(wrong.load() == 0);
  CHECK(f.proxy.until([&] { return f.waiting() == 0; }));
}
