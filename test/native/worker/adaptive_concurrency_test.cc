// Adaptive concurrency through real sockets: who is turned away, what is counted, and that nothing
// stays counted when requests or the listener have gone.
#include "worker/scripted_origin.h"

using namespace millrace;
using namespace millrace::test;

namespace {

spec::AdaptiveConcurrency adaptive(double least, double requests) {
  spec::AdaptiveConcurrency filter;
  filter.gradient.leastConcurrency.value = least;
  filter.gradient.requests.value = requests;
  filter.gradient.measureEvery.value = 1e9;
  filter.gradient.updateEvery.value = 1;
  return filter;
}

struct Adaptive {
  Adaptive(std::vector<Step> script, spec::AdaptiveConcurrency filter, uint32_t workers = 1)
      : origin(std::move(script)), proxy(workers, {origin.port()}), filter_(std::move(filter)) {
    auto addresses = proxy.group->addListener(listener());
    REQUIRE(addresses.ok());
    proxy.group->turn();
    port = uint16_t(std::stoi((*addresses)[0].substr((*addresses)[0].rfind(':') + 1)));
  }
  spec::Listener listener() const {
    spec::Listener l = proxy.listener();
    l.name = "adaptive";
    auto& http = std::get<spec::HttpManager>(l.filterChains[0].filter);
    http.statPrefix = "in";
    http.filters.push_back({0, "adaptive", false, filter_});
    return l;
  }
  uint64_t stat(std::string_view name) {
    return proxy.counter("http.in.adaptive_concurrency.gradient_controller." + std::string(name));
  }
  ScriptedOrigin origin;
  Running proxy;
  uint16_t port;

 private:
  const spec::AdaptiveConcurrency filter_;
};

void send(const Client& client, std::string_view request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n") {
  REQUIRE(::send(client.fd(), request.data(), request.size(), MSG_NOSIGNAL) > 0);
}

}  // namespace

TEST_CASE("more than the limit are turned away, until one has gone") {
  auto filter = adaptive(1, 50);
  filter.exceededStatus = 429;
  Adaptive a({hang(), answer(200)}, filter);
  {
    Client first(a.port);
    send(first);
    REQUIRE(a.proxy.until([&] { return a.origin.requests().size() == 1; }));
    Client second(a.port);
    CHECK(second.get() == 429);
    CHECK(second.text().ends_with("reached concurrency limit"));
    CHECK(a.stat("rq_blocked") == 1);
    CHECK(a.stat("concurrency_limit") == 1);
    CHECK(a.stat("min_rtt_calculation_active") == 1);
    // It leaves without its answer, and with a reset: an end alone would leave it waiting.
    linger now{1, 0};
    setsockopt(first.fd(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  Client third(a.port);
  CHECK(a.proxy.until([&] { return third.get() == 200; }));
}

TEST_CASE("the limit grows when requests take no longer than without load") {
  Adaptive a({answer(200)}, adaptive(1, 5), 2);
  Client client(a.port);
  CHECK(a.proxy.until([&] {
    CHECK(client.get() == 200);
    return a.stat("concurrency_limit") > 3;
  }));
  CHECK(a.stat("min_rtt_calculation_active") == 0);
  CHECK(a.stat("burst_queue_size") > 0);
  CHECK(a.stat("rq_blocked") == 0);
}

TEST_CASE("gauges are of the controller in force") {
  Adaptive a({answer(200)}, adaptive(7, 50));
  CHECK(a.stat("concurrency_limit") == 7);
  Client client(a.port);
  CHECK(client.get() == 200);
  CHECK(a.stat("concurrency_limit") == 7);
  CHECK(a.stat("min_rtt_calculation_active") == 1);
  // A new one takes its place: what the old one showed goes with it.
  for (int i = 0; i < 3; i++) {
    REQUIRE(a.proxy.group->updateListener(a.listener()).ok());
    a.proxy.group->turn();
    CHECK(a.proxy.until([&] {
      CHECK(client.get() == 200);  // until one is of the new listener
      return a.stat("concurrency_limit") == 7 && a.stat("min_rtt_calculation_active") == 1;
    }));
  }
}

TEST_CASE("a filter that is not enabled turns nobody away") {
  auto filter = adaptive(1, 50);
  filter.enabled.value = 0;
  Adaptive a({hang(), answer(200)}, filter);
  Client first(a.port), second(a.port);
  send(first);
  REQUIRE(a.proxy.until([&] { return a.origin.requests().size() == 1; }));
  CHECK(second.get() == 200);
  CHECK(a.stat("min_rtt_calculation_active") == 0);
}
