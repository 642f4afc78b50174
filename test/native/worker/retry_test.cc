// Retries through a running worker: real upstreams that fail, then do not.
#include "worker/scripted_origin.h"

using namespace millrace;
using namespace millrace::test;

namespace {

spec::RetryPolicy fast(std::string on, uint32_t retries = 1) {
  return {.on = std::move(on), .retries = retries, .baseInterval = 1};
}

auto retrying(spec::RetryPolicy policy) {
  return [policy](spec::Forward& forward) { forward.retry = policy; };
}

bool contains(std::string_view text, std::string_view what) {
  return text.find(what) != std::string_view::npos;
}

constexpr std::string_view kPost =
    "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world";

// Breakers and gauges are back where they were.
void checkNothingHeld(Running& proxy) {
  CHECK(proxy.until([&] { return proxy.counter("cluster.web.upstream_rq_active") == 0; }));
  CHECK(proxy.counter("cluster.web.upstream_rq_pending_active") == 0);
  CHECK(proxy.counter("cluster.web.circuit_breakers.default.rq_retry_open") == 0);
}

}  // namespace

TEST_CASE("a response that the policy names is retried, and the next one is the client's") {
  ScriptedOrigin origin({answer(503, "no"), answer(200, "yes")});
  Running proxy(1, {origin.port()}, retrying(fast("5xx")));
  Client client(proxy.port);
  CHECK(client.get() == 200);
  CHECK(client.text().ends_with("yes"));
  CHECK(origin.requests().size() == 2);
  CHECK(proxy.counter("cluster.web.upstream_rq_retry") == 1);
  CHECK(proxy.counter("cluster.web.upstream_rq_retry_success") == 1);
  CHECK(proxy.counter("cluster.web.upstream_rq_retry_backoff_exponential") == 1);
  CHECK(proxy.counter("cluster.web.upstream_rq_total") == 2);
  CHECK(proxy.counter("cluster.web.upstream_rq_2xx") == 1);
  CHECK(proxy.counter("cluster.web.upstream_rq_5xx") == 0);
  CHECK(proxy.counter("cluster.web.retry.upstream_rq_5xx") == 1);
  checkNothingHeld(proxy);
}

TEST_CASE("without a policy nothing is retried") {
  ScriptedOrigin origin({answer(503), answer(200)});
  Running proxy(1, {origin.port()});
  Client client(proxy.port);
  CHECK(client.get() == 503);
  CHECK(client.get() == 200);
}

TEST_CASE("answers in the place of an upstream count as its responses") {
  ScriptedOrigin origin({drop(), hang()});
  Running proxy(1, {origin.port()}, [](spec::Forward& forward) { forward.timeout = 50; });
  Client client(proxy.port);
  CHECK(client.get() == 503);  // the connection ended
  CHECK(client.get() == 504);  // the route's timeout
  proxy.publish({});
  proxy.group->turn();
  // Until the worker sees that there is no host.
  REQUIRE(proxy.until(
      [&] { return client.get() == 503 && client.text().ends_with("no healthy upstream"); }));
  const uint64_t all = proxy.counter("cluster.web.upstream_rq_completed");
  const uint64_t late = proxy.counter("cluster.web.upstream_rq_504");
  CHECK(late >= 1);  // more, where the worker saw the host a moment longer
  CHECK(all >= late + 2);
  CHECK(proxy.counter("cluster.web.upstream_rq_503") == all - late);
  CHECK(proxy.counter("cluster.web.upstream_rq_5xx") == all);
  CHECK(proxy.counter("cluster.web.external.upstream_rq_5xx") == all);
}

TEST_CASE("when the retries are used up, the last response is the client's") {
  ScriptedOrigin origin({answer(503, "1"), answer(502, "2"), answer(500, "3")});
  Running proxy(1, {origin.port()}, retrying(fast("5xx", 2)));
  Client client(proxy.port);
  CHECK(client.get() == 500);
  CHECK(client.text().ends_with("3"));
  CHECK(proxy.counter("cluster.web.upstream_rq_retry") == 2);
  CHECK(proxy.counter("cluster.web.upstream_rq_retry_limit_exceeded") == 1);
  CHECK(proxy.counter("cluster.web.upstream_rq_retry_success") == 0);
  CHECK(proxy.counter("cluster.web.upstream_rq_5xx") == 1);
  CHECK(proxy.counter("cluster.web.retry.upstream_rq_5xx") == 2);
  checkNothingHeld(proxy);
}

TEST_CASE("a connection that goes without an answer is retried, and said to have been") {
  ScriptedOrigin origin({drop(), answer(200, "yes")});
  Running proxy(1, {origin.port()}, retrying(fast("reset")));
  Client client(proxy.port);
  CHECK(client.get() == 200);
  ScriptedOrigin never({drop()});
  Running hopeless(1, {never.port()}, retrying(fast("reset", 3)));
  Client other(hopeless.port);
  CHECK(other.get() == 503);
  CHECK(contains(other.text(), "retried and the latest reset reason: connection termination"));
  CHECK(never.requests().size() == 4);
  checkNothingHeld(hopeless);
}

TEST_CASE("a host that refuses connections costs a retry, not the request") {
  Origin good;
  // Nobody listens on port 1.
  Running proxy(1, {1, good.port()}, retrying(fast("connect-failure", 1)));
  Client client(proxy.port);
  for (int i = 0; i < 20; i++) CHECK(client.get() == 200);
  CHECK(proxy.counter("cluster.web.upstream_rq_retry") >= 9);
  checkNothingHeld(proxy);
}

TEST_CASE("a body is sent again as it came") {
  ScriptedOrigin origin({answer(503), drop(), answer(200, "yes")});
  Running proxy(1, {origin.port()}, retrying(fast("5xx", 2)));
  Client client(proxy.port);
  CHECK(client.exchange(kPost) == 200);
  // In pieces, chunked, and longer than a chunk of memory.
  std::string piece(9000, 'x');
  std::string chunk = "2328\r\n" + piece + "\r\n";
  std::string head = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  ScriptedOrigin second({answer(503), answer(200, "yes")});
  Running other(1, {second.port()}, retrying(fast("5xx", 1)));
  Client slow(other.port);
  REQUIRE(::send(slow.fd(), head.data(), head.size(), 0) == ssize_t(head.size()));
  for (int i = 0; i < 3; i++) {
    REQUIRE(::send(slow.fd(), chunk.data(), chunk.size(), 0) == ssize_t(chunk.size()));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  CHECK(slow.exchange("0\r\n\r\n") == 200);
  for (const std::string& request : origin.requests()) CHECK(request.ends_with("hello world"));
  CHECK(origin.requests().size() == 3);
  for (const std::string& request : second.requests()) {
    CHECK(size_t(std::count(request.begin(), request.end(), 'x')) >= 3 * piece.size());
  }
  CHECK(second.requests().size() == 2);
}

TEST_CASE("a response that comes before the request is complete is retried too") {
  // Answers at the end of the head: it takes the first body for another request, never complete.
  ScriptedOrigin origin({answer(503), answer(200, "yes")});
  Running proxy(1, {origin.port()}, retrying(fast("5xx")));
  Client client(proxy.port);
  std::string_view head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
  REQUIRE(::send(client.fd(), head.data(), head.size(), 0) == ssize_t(head.size()));
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(client.exchange("hello") == 200);
  for (const std::string& request : origin.requests()) CHECK(request.ends_with("hello"));
}

TEST_CASE("a body beyond the limit goes out once, and is not retried") {
  ScriptedOrigin origin({answer(503), answer(200)});
  Running proxy(1, {origin.port()}, [](spec::Forward& forward) {
    forward.retry = fast("5xx");
    forward.bufferLimit = 10;
  });
  Client client(proxy.port);
  CHECK(client.exchange(kPost) == 503);
  CHECK(origin.requests().size() == 1);
  CHECK(proxy.counter("cluster.web.retry_or_shadow_abandoned") == 1);
  CHECK(client.get() == 200);
  checkNothingHeld(proxy);
}

TEST_CASE("an attempt that takes too long is given up for another one") {
  ScriptedOrigin origin({hang(), answer(200, "yes")});
  spec::RetryPolicy policy = fast("5xx");
  policy.perTryTimeout = 50;
  Running proxy(1, {origin.port()}, retrying(policy));
  Client client(proxy.port);
  CHECK(client.get() == 200);
  CHECK(proxy.counter("cluster.web.upstream_rq_per_try_timeout") == 1);
  CHECK(proxy.counter("cluster.web.upstream_rq_timeout") == 0);
  checkNothingHeld(proxy);
}

TEST_CASE("a per-try timeout without retries left is a 504") {
  ScriptedOrigin origin({hang()});
  spec::RetryPolicy policy = fast("5xx");
  policy.perTryTimeout = 20;
  Running proxy(1, {origin.port()}, retrying(policy));
  Client client(proxy.port);
  CHECK(client.get() == 504);
  CHECK(contains(client.text(), "upstream request timeout"));
  CHECK(proxy.counter("cluster.web.upstream_rq_per_try_timeout") == 2);
  checkNothingHeld(proxy);
}

TEST_CASE("silence in the middle of a response ends it, where the try may not be idle") {
  ScriptedOrigin origin({{.response = "HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\nhalf"}});
  spec::RetryPolicy policy = fast("5xx");
  policy.perTryIdleTimeout = 30;
  Running proxy(1, {origin.port()}, retrying(policy));
  Client client(proxy.port);
  CHECK(client.get() == 0);  // cut
  CHECK(proxy.counter("cluster.web.upstream_rq_per_try_idle_timeout") == 1);
  CHECK(proxy.counter("cluster.web.upstream_rq_retry") == 0);

  ScriptedOrigin silent({hang(), answer(200)});
  Running other(1, {silent.port()}, retrying(policy));
  Client second(other.port);
  CHECK(second.get() == 200);
  CHECK(other.counter("cluster.web.upstream_rq_per_try_idle_timeout") == 1);
  checkNothingHeld(other);
}

TEST_CASE("the global timeout ends everything, retries or not") {
  ScriptedOrigin origin({hang()});
  Running proxy(1, {origin.port()}, [](spec::Forward& forward) {
    forward.retry = fast("5xx", 100);
    forward.retry->perTryTimeout = 30;
    forward.timeout = 100;
  });
  Client client(proxy.port);
  CHECK(client.get() == 504);
  CHECK(proxy.counter("cluster.web.upstream_rq_timeout") == 1);
  checkNothingHeld(proxy);
}

TEST_CASE("the global timeout counts in a back-off too") {
  ScriptedOrigin origin({answer(503)});
  Running proxy(1, {origin.port()}, [](spec::Forward& forward) {
    forward.retry = spec::RetryPolicy{
        .on = "5xx", .retries = 9, .baseInterval = 600'000, .maxInterval = 600'000};
    forward.timeout = 50;
  });
  Client client(proxy.port);
  CHECK(client.get() == 504);
  CHECK(origin.requests().size() == 1);
  checkNothingHeld(proxy);
}

TEST_CASE("a client that leaves in the back-off takes the retry with it") {
  ScriptedOrigin origin({answer(503)});
  Running proxy(1, {origin.port()}, [](spec::Forward& forward) {
    forward.retry = spec::RetryPolicy{
        .on = "5xx", .retries = 9, .baseInterval = 600'000, .maxInterval = 600'000};
  });
  {
    Client client(proxy.port);
    std::string_view request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    REQUIRE(::send(client.fd(), request.data(), request.size(), 0) > 0);
    REQUIRE(proxy.until([&] { return proxy.counter("cluster.web.upstream_rq_retry") == 1; }));
    linger reset{1, 0};  // an end of stream alone would leave the response wanted
    setsockopt(client.fd(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  }
  CHECK(proxy.until([&] { return proxy.counter("http.in.downstream_rq_active") == 0; }));
  checkNothingHeld(proxy);
}

TEST_CASE("what the breaker does not allow is not retried") {
  ScriptedOrigin origin({answer(503, "no")});
  Running proxy(1, {origin.port()}, retrying(fast("5xx")), {.maxRetries = 0});
  Client client(proxy.port);
  CHECK(client.get() == 503);
  CHECK(client.text().ends_with("no"));
  CHECK(proxy.counter("cluster.web.upstream_rq_retry_overflow") == 1);
  CHECK(proxy.counter("cluster.web.upstream_rq_retry") == 0);
  CHECK(origin.requests().size() == 1);
}

TEST_CASE("a response says when to come back") {
  ScriptedOrigin origin({answer(503, "", "Retry-After: 1\r\n"), answer(200)});
  spec::RetryPolicy policy = fast("5xx");
  policy.resetHeaders = {{.name = "Retry-After"}};
  Running proxy(1, {origin.port()}, retrying(policy));
  Client client(proxy.port);
  auto before = std::chrono::steady_clock::now();
  CHECK(client.get() == 200);
  CHECK(std::chrono::steady_clock::now() - before >= std::chrono::milliseconds(990));
  CHECK(proxy.counter("cluster.web.upstream_rq_retry_backoff_ratelimited") == 1);
  CHECK(proxy.counter("cluster.web.upstream_rq_retry_backoff_exponential") == 0);
}

TEST_CASE("attempts are numbered for those who want to know") {
  ScriptedOrigin origin({answer(503), answer(200)});
  Running proxy(1, {origin.port()}, [](spec::Forward& forward) {
    forward.retry = fast("5xx");
    forward.attemptCountInRequest = forward.attemptCountInResponse = true;
    forward.timeoutRetryHeader = true;
  });
  Client client(proxy.port);
  CHECK(client.get() == 200);
  CHECK(contains(client.text(), "x-envoy-attempt-count: 2\r\n"));
  auto requests = origin.requests();
  REQUIRE(requests.size() == 2);
  CHECK(contains(requests[0], "x-envoy-attempt-count: 1\r\n"));
  CHECK_FALSE(contains(requests[0], "x-envoy-is-timeout-retry"));
  CHECK(contains(requests[1], "x-envoy-attempt-count: 2\r\n"));
  CHECK(contains(requests[1], "x-envoy-is-timeout-retry: false\r\n"));
}

TEST_CASE("a hedged request takes the first good answer, and the slow attempt goes on") {
  // The first attempt never answers; with hedging it is not given up, but another one is begun.
  ScriptedOrigin slow({hang()}), quick({answer(200, "quick")});
  Running proxy(1, {slow.port(), quick.port()}, [](spec::Forward& forward) {
    forward.retry = fast("5xx", 3);
    forward.retry->perTryTimeout = 30;
    forward.hedgeOnPerTryTimeout = true;
  });
  Client client(proxy.port);
  for (int i = 0; i < 4; i++) {
    CHECK(client.get() == 200);
    CHECK(client.text().ends_with("quick"));
  }
  CHECK(slow.requests().size() >= 1);
  CHECK(proxy.counter("cluster.web.upstream_rq_retry") >= 1);
  CHECK(proxy.counter("cluster.web.upstream_rq_per_try_timeout") == 0);
  checkNothingHeld(proxy);
}

TEST_CASE("a hedged request that only fails ends with the last failure") {
  ScriptedOrigin first({hang(), answer(503, "no")});
  Running proxy(1, {first.port()}, [](spec::Forward& forward) {
    forward.retry = fast("5xx", 1);
    forward.retry->perTryTimeout = 30;
    forward.hedgeOnPerTryTimeout = true;
    forward.timeout = 300;
  });
  Client client(proxy.port);
  // The 503 of the second attempt waits for the first one, which the global timeout ends.
  CHECK(client.get() == 504);
  CHECK(proxy.counter("cluster.web.upstream_rq_timeout") == 1);
  checkNothingHeld(proxy);
}

TEST_CASE("clients that come and go with bodies while requests are retried leave nothing behind") {
  ScriptedOrigin origin({answer(503), answer(200)});
  Running proxy(2, {origin.port()}, retrying(fast("5xx", 2)));
  // Hundreds of clients that come and go while some requests are being retried: nothing is left.
  std::vector<std::thread> clients;
  for (int t = 0; t < 4; t++) {
    clients.emplace_back([&] {
      for (int i = 0; i < 50; i++) {
        Client client(proxy.port);
        CHECK(client.exchange(kPost) == 200);
      }
    });
  }
  for (auto& client : clients) client.join();
  checkNothingHeld(proxy);
}
