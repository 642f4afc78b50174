// Mirrors, internal redirects and durations of streams, through a running worker.
#include "worker/scripted_origin.h"

using namespace millrace;
using namespace millrace::test;

namespace {

bool contains(std::string_view text, std::string_view what) {
  return text.find(what) != std::string_view::npos;
}

// A running proxy with a second cluster, "shadow".
struct Mirrored {
  Mirrored(uint16_t port, uint16_t shadowPort, std::function<void(spec::Mirror&)> change = {})
      : proxy(1, {port}, [&](spec::Forward& forward) {
          spec::Mirror& mirror = forward.mirrors.emplace_back();
          mirror.header = "x-mirror-to";
          if (change) change(mirror);
        }) {
    slot = *proxy.group->allocateSlot("shadow");
    spec::Cluster cluster;
    cluster.name = cluster.statName = "shadow";
    cluster.hosts.emplace_back().address = localPort(shadowPort);
    REQUIRE(proxy.group->publishCluster(slot, cluster).ok());
    proxy.group->publishDirectory({{"shadow", slot}});
    proxy.group->turn();
  }
  Running proxy;
  SlotId slot;
};

std::string request(std::string_view fields, std::string_view body = "") {
  return "POST /p?q HTTP/1.1\r\nHost: www:80\r\nX-Mirror-To: shadow\r\n" + std::string(fields) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

spec::InternalRedirect once() {
  return {.most = 1};
}

std::string moved(std::string_view location) {
  return "Location: " + std::string(location) + "\r\n";
}

}  // namespace

TEST_CASE("a mirror gets the same request, and nobody waits for it") {
  ScriptedOrigin origin({answer(200, "real")}), shadow({answer(500, "shadow"), hang()});
  Mirrored m(origin.port(), shadow.port());
  Client client(m.proxy.port);
  std::string body(20'000, 'b');
  REQUIRE(client.exchange(request("X-A: 1\r\n", body)) == 200);
  CHECK(client.text().ends_with("real"));
  REQUIRE(m.proxy.until([&] { return shadow.requests().size() == 1; }));
  std::string copy = shadow.requests()[0];
  CHECK(copy.starts_with("POST /p?q HTTP/1.1\r\nhost: www-shadow:80\r\n"));
  CHECK(contains(copy, "X-A: 1\r\n"));
  CHECK(copy.ends_with(body));
  CHECK(m.proxy.until([&] { return m.proxy.counter("cluster.shadow.upstream_rq_5xx") == 1; }));
  // One that never answers is still there when the worker stops.
  REQUIRE(client.exchange(request("", "x")) == 200);
  CHECK(m.proxy.until([&] { return shadow.requests().size() == 2; }));
  CHECK(m.proxy.counter("cluster.shadow.upstream_rq_active") == 1);
}

TEST_CASE("a mirror's host can stay as it was, and its cluster can be unknown") {
  ScriptedOrigin origin({answer(200)}), shadow({answer(200)});
  Mirrored m(origin.port(), shadow.port(), [](spec::Mirror& mirror) { mirror.keepHost = true; });
  Client client(m.proxy.port);
  CHECK(client.get() == 200);  // no header names a cluster
  CHECK(client.exchange("GET / HTTP/1.1\r\nHost: a\r\nX-Mirror-To: nobody\r\n\r\n") == 200);
  REQUIRE(client.exchange("GET /last HTTP/1.1\r\nHost: a\r\nX-Mirror-To: shadow\r\n\r\n") == 200);
  REQUIRE(m.proxy.until([&] { return shadow.requests().size() == 1; }));
  CHECK(shadow.requests()[0].starts_with("GET /last HTTP/1.1\r\nhost: a\r\n"));
}

TEST_CASE("a fraction of requests is mirrored") {
  ScriptedOrigin origin({answer(200)}), shadow({answer(200)});
  Mirrored m(origin.port(), shadow.port(), [](spec::Mirror& mirror) {
    mirror.fraction = spec::Fraction{.numerator = 25, .denominator = 100};
  });
  Client client(m.proxy.port);
  constexpr int kRequests = 400;
  for (int i = 0; i < kRequests; i++) REQUIRE(client.exchange(request("")) == 200);
  m.proxy.until([&] { return m.proxy.counter("cluster.shadow.upstream_rq_active") == 0; });
  // Five standard deviations of a binomial distribution around 100.
  size_t copies = shadow.requests().size();
  CHECK(copies > 56);
  CHECK(copies < 144);
}

TEST_CASE("a body that is too large is not mirrored, and goes its way") {
  ScriptedOrigin origin({answer(200)}), shadow({answer(200)});
  Running proxy(1, {origin.port()}, [](spec::Forward& forward) {
    forward.mirrors.emplace_back().header = "x-mirror-to";
    forward.bufferLimit = 10;
  });
  Client client(proxy.port);
  CHECK(client.exchange(request("", "more than ten bytes")) == 200);
  CHECK(proxy.counter("cluster.web.retry_or_shadow_abandoned") == 1);
  CHECK(origin.requests()[0].ends_with("more than ten bytes"));
}

TEST_CASE("a mirror that cannot be reached, or that is slow, changes nothing") {
  ScriptedOrigin origin({answer(200)});
  Mirrored m(origin.port(), 1);
  Client client(m.proxy.port);
  for (int i = 0; i < 20; i++) CHECK(client.exchange(request("")) == 200);
  CHECK(m.proxy.until(
      [&] { return m.proxy.counter("cluster.shadow.upstream_cx_connect_fail") >= 1; }));
  ScriptedOrigin slow({hang()});
  Running proxy(1, {origin.port()}, [](spec::Forward& forward) { forward.timeout = 30; });
  CHECK(proxy.counter("cluster.web.upstream_rq_timeout") == 0);
}

TEST_CASE("a redirect of the upstream is followed here") {
  ScriptedOrigin origin(
      {answer(302, "moved", moved("http://other:81/new?x=1#part")), answer(200, "there")});
  Running proxy(1, {origin.port()},
                [](spec::Forward& forward) { forward.internalRedirect = once(); });
  Client client(proxy.port);
  CHECK(client.exchange(request("", "the body")) == 200);
  CHECK(client.text().ends_with("there"));
  auto requests = origin.requests();
  REQUIRE(requests.size() == 2);
  CHECK(requests[1].starts_with("POST /new?x=1 HTTP/1.1\r\nhost: other:81\r\n"));
  CHECK(contains(requests[1], "x-envoy-original-url: http://www:80/p?q\r\n"));
  CHECK(requests[1].ends_with("the body"));
  CHECK(proxy.counter("cluster.web.upstream_internal_redirect_succeeded_total") == 1);
  CHECK(proxy.until([&] { return proxy.counter("cluster.web.upstream_rq_active") == 0; }));
}

TEST_CASE("303 asks for the answer with GET and without the body") {
  ScriptedOrigin origin({answer(303, "", moved("http://other/seen")), answer(200)});
  Running proxy(1, {origin.port()}, [](spec::Forward& forward) {
    forward.internalRedirect = once();
    forward.internalRedirect->statuses = {303};
    forward.internalRedirect->copiedHeaders = {"x-token", "x-a"};
  });
  Client client(proxy.port);
  CHECK(client.exchange(request("X-A: 1\r\n", "the body")) == 200);
  auto requests = origin.requests();
  REQUIRE(requests.size() == 2);
  CHECK(requests[1].starts_with("GET /seen HTTP/1.1\r\nhost: other\r\n"));
  CHECK(requests[1].ends_with("\r\n\r\n"));
  CHECK_FALSE(contains(requests[1], "X-A"));  // to be copied, and not in the response
}

TEST_CASE("a redirect that is not to be followed is the client's") {
  struct Case {
    const char* location;
    const char* counter;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"https://other/", "passthrough_internal_redirect_unsafe_scheme"},
           {"/relative", "passthrough_internal_redirect_bad_location"},
           {"ftp://other/", "passthrough_internal_redirect_bad_location"},
           {"http://ot her/", "passthrough_internal_redirect_bad_location"},
           {"", "passthrough_internal_redirect_bad_location"}}) {
    ScriptedOrigin origin({answer(302, "moved", moved(c.location)), answer(200)});
    Running proxy(1, {origin.port()},
                  [](spec::Forward& forward) { forward.internalRedirect = once(); });
    Client client(proxy.port);
    CHECK(client.get("/first") == 302);
    CHECK(client.text().ends_with("moved"));
    CHECK(proxy.counter("http.in." + std::string(c.counter)) == 1);
    CHECK(proxy.counter("cluster.web.upstream_internal_redirect_failed_total") == 1);
    CHECK(origin.requests()[0].starts_with("GET /first "));
  }
}

TEST_CASE("no more redirects are followed than the policy allows") {
  ScriptedOrigin origin({answer(302, "again", moved("http://a/next"))});
  Running proxy(1, {origin.port()}, [](spec::Forward& forward) {
    forward.internalRedirect = once();
    forward.internalRedirect->most = 3;
  });
  Client client(proxy.port);
  CHECK(client.get() == 302);
  CHECK(origin.requests().size() == 4);
  CHECK(proxy.counter("http.in.passthrough_internal_redirect_too_many_redirects") == 1);
}

TEST_CASE("predicates of redirects: the routes that were followed, those that are allowed") {
  ScriptedOrigin origin({answer(302, "again", moved("http://a/next"))});
  Running proxy(1, {origin.port()}, [](spec::Forward& forward) {
    forward.internalRedirect = once();
    forward.internalRedirect->most = 9;
    forward.internalRedirect->notToPreviousRoutes = true;
  });
  Client client(proxy.port);
  CHECK(client.get() == 302);
  CHECK(origin.requests().size() == 2);  // from the route to itself, once
  CHECK(proxy.counter("http.in.passthrough_internal_redirect_predicate") == 1);

  Running strict(1, {origin.port()}, [](spec::Forward& forward) {
    forward.internalRedirect = once();
    forward.internalRedirect->allowedRoutes = std::vector<std::string>{"another"};
  });
  Client other(strict.port);
  CHECK(other.get() == 302);
  CHECK(strict.counter("http.in.passthrough_internal_redirect_predicate") == 1);
}

TEST_CASE("a redirected request can be retried, and the redirect of a retry is followed") {
  ScriptedOrigin origin(
      {answer(503), answer(302, "", moved("http://a/next")), answer(503), answer(200, "there")});
  Running proxy(1, {origin.port()}, [](spec::Forward& forward) {
    forward.internalRedirect = once();
    forward.retry = spec::RetryPolicy{.on = "5xx", .baseInterval = 1};
  });
  Client client(proxy.port);
  CHECK(client.exchange(request("", "the body")) == 200);
  auto requests = origin.requests();
  REQUIRE(requests.size() == 4);
  for (const auto& r : requests) CHECK(r.ends_with("the body"));
  CHECK(proxy.until([&] { return proxy.counter("cluster.web.upstream_rq_active") == 0; }));
}

TEST_CASE("a route limits how long a stream may last") {
  ScriptedOrigin origin({hang()});
  Running proxy(1, {origin.port()}, [](spec::Forward& forward) {
    forward.timeout = 0;
    forward.streamDuration.most = 50;
    forward.streamDuration.grpcMost = 10'000;
    forward.streamDuration.grpcOffset = 20;
  });
  Client client(proxy.port);
  CHECK(client.get() == 504);
  CHECK(proxy.counter("http.in.downstream_rq_max_duration_reached") == 1);
  // The caller's own limit, less the offset.
  Client grpc(proxy.port);
  CHECK(grpc.exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\n"
                      "Grpc-Timeout: 60m\r\nContent-Length: 0\r\n\r\n") == 504);
  CHECK(proxy.counter("http.in.downstream_rq_max_duration_reached") == 2);
}
