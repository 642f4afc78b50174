// In the steady state a proxied request takes nothing from the heap: not on the worker, nor on the
// main thread. The client and the origin of these tests take nothing either, so all threads are
// counted.
#include "support/allocations.h"
#include "worker/support.h"

using namespace millrace;
using namespace millrace::test;

namespace {

constexpr char kBrowser[] =
    "GET /products/list?page=2&sort=price HTTP/1.1\r\nHost: www.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\n"
    "Cookie: session=9f2c1d3e4b5a69788796a5b4c3d2e1f0; theme=dark\r\nDnt: 1\r\n"
    "Referer: https://www.example.com/products\r\nUpgrade-Insecure-Requests: 1\r\n\r\n";

// Whether a batch of exchanges comes that allocates nothing. The first ones fill pools, and the
// first latency of each order of magnitude makes a row of a histogram; an allocation for each
// request would never end.
template <typename Batch>
bool becomesSteady(Batch batch) {
  for (int i = 0; i < 20; i++) {
    uint64_t before = allHeapAllocations();
    batch();
    if (allHeapAllocations() == before) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("a steady stream of requests allocates nothing" * doctest::skip(!MR_RECYCLE)) {
  Origin origin;
  Running proxy(1, {origin.port()});
  Client client(proxy.port);
  int failed = 0;
  for (std::string_view request : {std::string_view("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
                                   std::string_view(kBrowser, sizeof kBrowser - 1)}) {
    CHECK(becomesSteady([&] {
      for (int i = 0; i < 500; i++) failed += client.exchange(request) != 200;
    }));
  }
  CHECK(failed == 0);
}

TEST_CASE("a host that a request names is found without allocating" * doctest::skip(!MR_RECYCLE)) {
  Origin origin;
  Running proxy(1, {});
  std::string address = "127.0.0.1:" + std::to_string(origin.port());
  spec::Cluster cluster;
  cluster.name = "web";
  cluster.onDemand = spec::OnDemand{.header = "x-dst"};
  cluster.hosts.push_back({.id = 1, .address = localPort(origin.port())});
  proxy.publishNow(cluster);
  Client client(proxy.port);
  int failed = 0;
  auto steady = [&](const std::string& request) {
    CHECK(becomesSteady([&] {
      for (int i = 0; i < 500; i++) failed += client.exchange(request) != 200;
    }));
  };
  steady("GET / HTTP/1.1\r\nHost: a\r\nx-dst: " + address + "\r\n\r\n");
  cluster.onDemand->port = origin.port();
  proxy.publishNow(cluster);
  steady("GET / HTTP/1.1\r\nHost: a\r\nx-dst: 127.0.0.1:1\r\n\r\n");
  cluster.onDemand = spec::OnDemand{.kind = spec::OnDemand::Kind::kForwardProxy};
  cluster.hosts[0].hostname = "some-quite-long-name.example.com:80";
  proxy.publishNow(cluster);
  steady("GET / HTTP/1.1\r\nHost: Some-Quite-Long-Name.example.com\r\n\r\n");
  CHECK(failed == 0);
}

TEST_CASE("a retry policy that is not needed allocates nothing" * doctest::skip(!MR_RECYCLE)) {
  Origin origin;
  Running proxy(1, {origin.port()}, [](spec::Forward& forward) {
    forward.retry = spec::RetryPolicy{.on = "5xx,reset", .retries = 3, .perTryTimeout = 5000};
    forward.attemptCountInRequest = true;
  });
  Client client(proxy.port);
  int failed = 0;
  CHECK(becomesSteady([&] {
    for (int i = 0; i < 500; i++) failed += client.get() != 200;
  }));
  CHECK(failed == 0);
}

TEST_CASE("filters and what routes tell them allocate nothing" * doctest::skip(!MR_RECYCLE)) {
  Origin origin;
  Running proxy(1, {origin.port()});
  spec::RouteTable table;
  table.filterConfigs = {spec::StatefulSessionRoute{
      .session = {.state = spec::StatefulSession::State::kCookie, .name = "s", .ttl = 60}}};
  auto& host = table.virtualHosts.emplace_back();
  host.domains = {"*"};
  auto& route = host.routes.emplace_back();
  route.match.value = "/";
  spec::Forward forward;
  forward.cluster.name = "web";
  forward.cluster.slot = proxy.cluster;
  route.action = std::move(forward);
  route.filters = {{.filter = 0, .config = 0}, {.filter = 1, .disabled = true}};
  REQUIRE(proxy.group->publishRoutes(proxy.routes, std::move(table)).ok());
  spec::Listener listener = proxy.listener();
  listener.name = "filtered";
  auto& http = std::get<spec::HttpManager>(listener.filterChains[0].filter);
  spec::StatefulSession header{.state = spec::StatefulSession::State::kHeader, .name = "x-s"};
  http.filters = {{0, "a", false, header},
                  {1, "b", false, header},
                  {2, "c", false, spec::AdmissionControl{}},
                  {3, "d", false, spec::AdaptiveConcurrency{}}};
  auto addresses = proxy.group->addListener(std::move(listener));
  REQUIRE(addresses.ok());
  proxy.group->turn();
  Client client(uint16_t(std::stoi((*addresses)[0].substr((*addresses)[0].rfind(':') + 1))));
  int failed = 0;
  CHECK(becomesSteady([&] {
    for (int i = 0; i < 500; i++) failed += client.get() != 200;
  }));
  CHECK(failed == 0);
}

TEST_CASE("new client connections reuse what old ones left" * doctest::skip(!MR_RECYCLE)) {
  Origin origin;
  Running proxy(1, {origin.port()});
  int failed = 0;
  CHECK(becomesSteady([&] {
    for (int i = 0; i < 100; i++) {
      Client client(proxy.port);
      failed += client.get() != 200;
    }
  }));
  CHECK(failed == 0);
}
