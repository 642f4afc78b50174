// What is retried, how often, and how long the waits are: against SEMANTICS of Envoy's router
// (retry_state_impl.cc, backoff_strategy.cc).
#include "proxy/retry_state.h"

#include <doctest/doctest.h>

#include <optional>

#include "proxy/request_fields.h"

using namespace millrace;

namespace {

ChunkPool chunks;

// A request with a policy, and what is asked of its retry state.
struct Case {
  explicit Case(spec::RetryPolicy spec = {}) : headers(arena) {
    policy.emplace(std::move(*RetryPolicy::compile(std::move(spec), "retry")));
  }
  RetryState state() {
    RequestFields fields;
    fields.method = "GET";
    fields.path = "/";
    fields.headers = &headers;
    return RetryState(policy ? &*policy : nullptr, fields, RetryPolicy::kBaseIntervalMs);
  }
  Case& with(std::string_view name, std::string_view value) {
    headers.add(name, value, headerId(name));
    return *this;
  }
  Arena arena{chunks};
  HeaderList headers;
  std::optional<RetryPolicy> policy;
};

struct Response : ResponseHead {
  Response(Arena& arena, uint16_t code) : ResponseHead(arena) { status = code; }
  Response& with(std::string_view name, std::string_view value) {
    headers.add(name, value, headerId(name));
    return *this;
  }
};

bool retries(const char* on, uint16_t status) {
  Case c({.on = on});
  return c.state().wouldRetry(Response(c.arena, status));
}

bool retries(const char* on, ResetReason reason, bool started = true) {
  return Case({.on = on}).state().wouldRetry(reason, started);
}

bool retriesGrpc(const char* on, const char* status) {
  Case c({.on = on});
  return c.state().wouldRetry(Response(c.arena, 200).with("grpc-status", status));
}

spec::HeaderMatcher present(std::string name) {
  spec::HeaderMatcher matcher;
  matcher.name = std::move(name);
  return matcher;
}

}  // namespace

TEST_CASE("each condition takes its statuses") {
  for (uint16_t status : {500, 502, 503, 504, 505, 599}) CHECK(retries("5xx", status));
  for (uint16_t status : {200, 301, 404, 409, 429}) CHECK_FALSE(retries("5xx", status));
  for (uint16_t status : {502, 503, 504}) CHECK(retries("gateway-error", status));
  for (uint16_t status : {500, 501, 505, 409}) CHECK_FALSE(retries("gateway-error", status));
  CHECK(retries("retriable-4xx", 409));
  for (uint16_t status : {400, 404, 408, 429, 503}) CHECK_FALSE(retries("retriable-4xx", status));
  for (const char* on :
       {"reset", "reset-before-request", "connect-failure", "refused-stream", "envoy-ratelimited",
        "retriable-status-codes", "retriable-headers", "http3-post-connect-failure", ""}) {
    CHECK_FALSE(retries(on, 503));
  }
  CHECK(retries("connect-failure, retriable-4xx ,5xx", 503));
}

TEST_CASE("each condition takes its resets") {
  using enum ResetReason;
  for (const char* on : {"5xx", "gateway-error", "reset"}) {
    for (ResetReason reason :
         {kRemoteReset, kProtocolError, kConnectFailed, kConnectTimeout, kLocalReset}) {
      CHECK(retries(on, reason));
    }
  }
  CHECK(retries("connect-failure", kConnectFailed));
  CHECK(retries("connect-failure", kConnectTimeout));
  CHECK_FALSE(retries("connect-failure", kRemoteReset));
  CHECK(retries("refused-stream", kRefusedStream));
  CHECK_FALSE(retries("refused-stream", kRemoteReset));
  CHECK(retries("reset-before-request", kConnectFailed, false));
  CHECK_FALSE(retries("reset-before-request", kRemoteReset, true));
  for (const char* on : {"retriable-4xx", "retriable-status-codes", "retriable-headers",
                         "envoy-ratelimited", "unavailable", ""}) {
    CHECK_FALSE(retries(on, kRemoteReset));
    CHECK_FALSE(retries(on, kConnectFailed, false));
  }
}

TEST_CASE("what a breaker refused is never retried") {
  for (const char* on : {"5xx", "gateway-error", "reset", "reset-before-request", "connect-failure",
                         "refused-stream"}) {
    CHECK_FALSE(retries(on, ResetReason::kOverflow, false));
  }
}

TEST_CASE("gRPC conditions look at grpc-status in the response's headers") {
  CHECK(retriesGrpc("cancelled", "1"));
  CHECK(retriesGrpc("deadline-exceeded", "4"));
  CHECK(retriesGrpc("resource-exhausted", "8"));
  CHECK(retriesGrpc("internal", "13"));
  CHECK(retriesGrpc("unavailable", "14"));
  CHECK(retriesGrpc("cancelled,unavailable", "14"));
  CHECK_FALSE(retriesGrpc("unavailable", "13"));
  CHECK_FALSE(retriesGrpc("unavailable", "0"));
  CHECK_FALSE(retriesGrpc("unavailable", "nonsense"));
  CHECK_FALSE(retriesGrpc("5xx", "14"));
}

TEST_CASE("a response that limits the rate is retried where that is asked for, and only there") {
  Case c({.on = "5xx"});
  CHECK_FALSE(c.state().wouldRetry(Response(c.arena, 503).with("x-envoy-ratelimited", "true")));
  Case asked({.on = "envoy-ratelimited"});
  CHECK(asked.state().wouldRetry(Response(asked.arena, 429).with("x-envoy-ratelimited", "true")));
  CHECK_FALSE(asked.state().wouldRetry(Response(asked.arena, 429)));
}

TEST_CASE("statuses and headers that the policy or the request lists") {
  Case c({.on = "retriable-status-codes,retriable-headers",
          .statusCodes = {418, 425},
          .responseHeaders = {present("x-again")}});
  c.with("x-envoy-retriable-status-codes", "404, x,410")
      .with("x-envoy-retriable-header-names", "x-once, x-more");
  RetryState state = c.state();
  for (uint16_t status : {418, 425, 404, 410}) CHECK(state.wouldRetry(Response(c.arena, status)));
  for (uint16_t status : {419, 503, 41}) CHECK_FALSE(state.wouldRetry(Response(c.arena, status)));
  for (const char* name : {"x-again", "X-Again", "x-once", "x-more"}) {
    CHECK(state.wouldRetry(Response(c.arena, 200).with(name, "")));
  }
  CHECK_FALSE(state.wouldRetry(Response(c.arena, 200).with("x-other", "")));

  // A long list is not held against a long head: the first hundred count.
  std::string names;
  for (int i = 0; i < 99; i++) names += "x-" + std::to_string(i) + ",";
  names += "x-last,x-beyond";
  Case many({.on = "retriable-headers"});
  many.with("x-envoy-retriable-header-names", names);
  RetryState first = many.state();
  CHECK(first.wouldRetry(Response(many.arena, 200).with("x-last", "")));
  CHECK_FALSE(first.wouldRetry(Response(many.arena, 200).with("x-beyond", "")));

  // The lists alone ask for nothing.
  Case silent({.on = "5xx", .statusCodes = {418}, .responseHeaders = {present("x-again")}});
  CHECK_FALSE(silent.state().wouldRetry(Response(silent.arena, 418).with("x-again", "")));
}

TEST_CASE("the request's headers extend the policy, and its number wins") {
  Case c({.on = "5xx", .retries = 2});
  c.with("x-envoy-retry-on", "retriable-4xx").with("x-envoy-retry-grpc-on", "internal");
  RetryState state = c.state();
  CHECK(state.wouldRetry(Response(c.arena, 500)));
  CHECK(state.wouldRetry(Response(c.arena, 409)));
  CHECK(state.wouldRetry(Response(c.arena, 200).with("grpc-status", "13")));
  CHECK(state.left() == 2);

  Case more({.on = "5xx", .retries = 2});
  CHECK(more.with("x-envoy-max-retries", "7").state().left() == 7);
  Case none({.on = "5xx", .retries = 2});
  CHECK(none.with("x-envoy-max-retries", "0").state().left() == 0);
  Case wrong({.on = "5xx", .retries = 2});
  CHECK(wrong.with("x-envoy-max-retries", "many").state().left() == 2);
}

TEST_CASE("a request can ask for retries where the route has no policy") {
  Case c;
  c.policy.reset();
  CHECK_FALSE(RetryState::wanted(nullptr, c.headers));
  c.with("x-envoy-retry-on", "5xx");
  CHECK(RetryState::wanted(nullptr, c.headers));
  RetryState state = c.state();
  CHECK(state.left() == 1);
  CHECK(state.wouldRetry(Response(c.arena, 503)));
  // HTTP conditions are none of gRPC's, and the other way round.
  Case mixed;
  mixed.policy.reset();
  mixed.with("x-envoy-retry-on", "unavailable").with("x-envoy-retry-grpc-on", "5xx");
  CHECK_FALSE(mixed.state().wouldRetry(Response(mixed.arena, 503)));
}

TEST_CASE("a policy can be limited to requests with certain headers") {
  spec::RetryPolicy spec{.on = "5xx", .requestHeaders = {present("x-retriable"), present("x-too")}};
  Case without(spec);
  without.with("x-envoy-retry-on", "reset").with("x-envoy-max-retries", "9");
  CHECK_FALSE(without.state().wouldRetry(Response(without.arena, 503)));
  CHECK_FALSE(without.state().wouldRetry(ResetReason::kRemoteReset, true));
  Case with(spec);
  with.with("x-too", "1");
  CHECK(with.state().wouldRetry(Response(with.arena, 503)));
}

TEST_CASE("retries are spent one by one") {
  Case c({.on = "5xx", .retries = 2});
  RetryState state = c.state();
  CHECK(state.spend());
  CHECK(state.spend());
  CHECK_FALSE(state.spend());
  CHECK_FALSE(state.spend());
}

TEST_CASE("the back-off is below steps of 25, 50, 100, 200, 250, 250 … ms") {
  Case c({.on = "5xx"});
  for (uint64_t random : {uint64_t(0), uint64_t(24), uint64_t(1'000'000'007), ~uint64_t(0)}) {
    RetryState state = c.state();
    for (uint64_t step : {25, 50, 100, 200, 250, 250, 250}) {
      CHECK(state.nextBackOff(random) == random % step);
    }
  }
}

TEST_CASE("base and longest interval come from the policy") {
  Case c({.on = "5xx", .baseInterval = 100, .maxInterval = 150});
  RetryState state = c.state();
  for (uint64_t step : {100, 150, 150}) CHECK(state.nextBackOff(step - 1) == step - 1);
  Case ten({.on = "5xx", .baseInterval = 1});
  RetryState tiny = ten.state();
  for (uint64_t step : {1, 2, 4, 8, 10, 10}) CHECK(tiny.nextBackOff(step - 1) == step - 1);
  CHECK_FALSE(RetryPolicy::compile({.on = "5xx", .baseInterval = 5, .maxInterval = 4}, "r").ok());
}

TEST_CASE("a response may say when to come back") {
  constexpr uint64_t kNowUs = 1'600'000'000'000'000;
  using Format = spec::ResetHeader::Format;
  Case c({.on = "5xx",
          .resetHeaders = {{"Retry-After", Format::kSeconds},
                           {"X-RateLimit-Reset", Format::kUnixTimestamp}},
          .resetMaxInterval = 20'000});
  RetryState state = c.state();
  uint64_t wait = 0;
  auto waits = [&](std::string_view name, std::string_view value, uint64_t random) {
    return state.rateLimitedBackOff(Response(c.arena, 429).with(name, value), kNowUs, random, wait);
  };
  // From the time itself up to one and a half of it.
  REQUIRE(waits("retry-after", "10", 0));
  CHECK(wait == 10'000);
  REQUIRE(waits("retry-after", "10", 4999));
  CHECK(wait == 14'999);
  REQUIRE(waits("retry-after", "10", 5000));
  CHECK(wait == 10'000);
  REQUIRE(waits("x-ratelimit-reset", "1600000007", 0));
  CHECK(wait == 7000);
  CHECK_FALSE(waits("x-ratelimit-reset", "1599999999", 0));  // in the past
  CHECK_FALSE(waits("retry-after", "21", 0));                // beyond the longest
  CHECK_FALSE(waits("retry-after", "0", 0));
  CHECK_FALSE(waits("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT", 0));
  CHECK_FALSE(waits("retry-after", "18446744073709551615", 0));
  CHECK_FALSE(waits("other", "10", 0));
  // One that cannot be used gives way to the next.
  Response both(c.arena, 429);
  both.with("retry-after", "100").with("x-ratelimit-reset", "1600000003");
  REQUIRE(state.rateLimitedBackOff(both, kNowUs, 0, wait));
  CHECK(wait == 3000);
}
