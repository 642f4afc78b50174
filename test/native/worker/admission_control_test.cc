// Admission control through real sockets: what counts as success, and who is turned away.
#include "worker/scripted_origin.h"

using namespace millrace;
using namespace millrace::test;

namespace {

struct Admission {
  Admission(std::vector<Step> script, const spec::AdmissionControl& filter)
      : origin(std::move(script)), proxy(1, {origin.port()}) {
    spec::Cluster cluster;
    cluster.name = "web";
    cluster.enableTrailers = true;
    cluster.hosts = {{.id = origin.port(), .address = localPort(origin.port())}};
    proxy.publishNow(cluster);
    spec::Listener listener = proxy.listener();
    listener.name = "admission";
    auto& http = std::get<spec::HttpManager>(listener.filterChains[0].filter);
    http.statPrefix = "in";
    http.filters.push_back({0, "admission", false, filter});
    auto addresses = proxy.group->addListener(std::move(listener));
    REQUIRE(addresses.ok());
    proxy.group->turn();
    port = uint16_t(std::stoi((*addresses)[0].substr((*addresses)[0].rfind(':') + 1)));
  }
  uint64_t counter(std::string_view name) {
    return proxy.counter("http.in.admission_control." + std::string(name));
  }
  // How many of `n` requests were answered so; each is counted when its response is there.
  int answered(int n, int status) {
    Client client(port);
    int count = 0;
    for (int i = 0; i < n; i++) count += client.get() == status;
    return count;
  }
  ScriptedOrigin origin;
  Running proxy;
  uint16_t port;
};

std::string grpcTrailers(std::string_view status) {
  return "HTTP/1.1 200 OK\r\nContent-Type: application/grpc+proto\r\nTransfer-Encoding: chunked"
         "\r\n\r\n1\r\nx\r\n0\r\ngrpc-status: " +
         std::string(status) + "\r\n\r\n";
}

}  // namespace

TEST_CASE("nobody is turned away while requests succeed") {
  Admission a({answer(200), answer(404), answer(302)}, {});
  CHECK(a.answered(50, 503) == 0);
  CHECK(a.counter("rq_success") == 50);
  CHECK(a.counter("rq_failure") == 0);
  CHECK(a.counter("rq_rejected") == 0);
}

TEST_CASE("when all fail, most are turned away, and some are let through to see") {
  Admission a({answer(500)}, {});
  const int turnedAway = a.answered(200, 503);
  CHECK(turnedAway > 50);
  CHECK(turnedAway < 200);
  CHECK(a.counter("rq_rejected") == uint64_t(turnedAway));
  // What is turned away says nothing of the upstream.
  CHECK(a.counter("rq_failure") == uint64_t(200 - turnedAway));
  CHECK(a.origin.requests().size() == size_t(200 - turnedAway));
}

TEST_CASE("nobody is turned away below the threshold of requests per second") {
  Admission a({answer(500)}, {.rpsThreshold = {1e9}});
  CHECK(a.answered(50, 500) == 50);
  CHECK(a.counter("rq_failure") == 50);
}

TEST_CASE("an upper bound of 0 turns nobody away") {
  Admission a({answer(500)}, {.mostRejected = {0}});
  CHECK(a.answered(50, 500) == 50);
}

TEST_CASE("a filter that is not enabled counts nothing") {
  Admission a({answer(500)}, {.enabled = {0}});
  CHECK(a.answered(50, 500) == 50);
  CHECK(a.counter("rq_failure") == 0);
}

TEST_CASE("success is what the configuration says") {
  Admission a({answer(500), answer(404), answer(200)},
              {.httpSuccess = {{500, 501}, {200, 300}}, .mostRejected = {0}});
  a.answered(3, 0);
  CHECK(a.counter("rq_success") == 2);
  CHECK(a.counter("rq_failure") == 1);
}

TEST_CASE("of gRPC the status counts, wherever it is") {
  Admission a({{grpcTrailers("0")},
               {grpcTrailers("14")},
               {grpcTrailers("nonsense")},
               answer(200, "", "Content-Type: application/grpc\r\ngrpc-status: 5\r\n"),
               answer(200, "", "Content-Type: application/grpc\r\ngrpc-status: 13\r\n"),
               answer(500, "no", "Content-Type: application/grpc\r\n"),
               answer(200, "fine", "Content-Type: application/grpc-web\r\n")},
              {.mostRejected = {0}});
  Client client(a.port);
  for (int i = 0; i < 3; i++) {
    CHECK(client.get() == 200);
    // Chunked: until its end.
    while (!client.text().ends_with("0\r\n\r\n")) REQUIRE(client.more());
  }
  for (int i = 0; i < 4; i++) CHECK(client.get() != 0);
  CHECK(a.proxy.until([&] { return a.counter("rq_success") + a.counter("rq_failure") == 7; }));
  CHECK(a.counter("rq_success") == 3);
  CHECK(a.counter("rq_failure") == 4);
}
