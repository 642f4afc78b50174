// Which timeouts hold for a request, and what the upstream is told.
#include "proxy/timeouts.h"

#include <doctest/doctest.h>

#include "proxy/body_buffer.h"

using namespace millrace;

namespace {

ChunkPool chunks;

ForwardAction route(uint64_t timeout, uint64_t perTry = 0, uint64_t idle = 0) {
  ForwardAction action;
  action.timeout = timeout;
  RetryPolicy policy;
  policy.perTryTimeoutMs = perTry;
  policy.perTryIdleTimeoutMs = idle;
  action.retry = std::make_unique<const RetryPolicy>(std::move(policy));
  return action;
}

}  // namespace

TEST_CASE("the request's headers beat the route's timeouts, and go no further") {
  Arena arena(chunks);
  HeaderList headers(arena);
  headers.add("x-envoy-upstream-rq-timeout-ms", "900", HeaderId::kXEnvoyUpstreamRqTimeoutMs);
  headers.add("x-envoy-upstream-rq-per-try-timeout-ms", "300",
              HeaderId::kXEnvoyUpstreamRqPerTryTimeoutMs);
  headers.add("x-envoy-hedge-on-per-try-timeout", "true", HeaderId::kXEnvoyHedgeOnPerTryTimeout);
  RequestTimeouts timeouts = requestTimeouts(route(15'000, 1000, 50), false, headers);
  CHECK(timeouts.globalMs == 900);
  CHECK(timeouts.perTryMs == 300);
  CHECK(timeouts.perTryIdleMs == 50);
  CHECK(timeouts.hedge);
  CHECK(timeouts.status == 504);
  CHECK(headers.empty());
}

TEST_CASE("a per-try timeout that cannot pass first is none") {
  Arena arena(chunks);
  HeaderList headers(arena);
  CHECK(requestTimeouts(route(1000, 1000), false, headers).perTryMs == 0);
  CHECK(requestTimeouts(route(1000, 999), false, headers).perTryMs == 999);
  CHECK(requestTimeouts(route(0, 5000), false, headers).perTryMs == 5000);
}

TEST_CASE("nonsense changes nothing, and is removed all the same") {
  Arena arena(chunks);
  HeaderList headers(arena);
  headers.add("x-envoy-upstream-rq-timeout-ms", "soon", HeaderId::kXEnvoyUpstreamRqTimeoutMs);
  headers.add("x-envoy-hedge-on-per-try-timeout", "maybe", HeaderId::kXEnvoyHedgeOnPerTryTimeout);
  RequestTimeouts timeouts = requestTimeouts(route(15'000), false, headers);
  CHECK(timeouts.globalMs == 15'000);
  CHECK_FALSE(timeouts.hedge);
  CHECK(headers.empty());
}

TEST_CASE("the alternative response to a timeout is for internal requests") {
  Arena arena(chunks);
  HeaderList headers(arena);
  headers.add("x-envoy-upstream-rq-timeout-alt-response", "1", HeaderId::kOther);
  CHECK(requestTimeouts(route(1), false, headers).status == 504);
  CHECK(requestTimeouts(route(1), true, headers).status == 204);
  CHECK(headers.empty());
}

TEST_CASE("the upstream is told what is left of the time") {
  RequestTimeouts timeouts{.globalMs = 1000, .perTryMs = 300};
  CHECK(expectedTimeoutMs(timeouts, 0) == 300);
  CHECK(expectedTimeoutMs(timeouts, 800) == 200);
  CHECK(expectedTimeoutMs(timeouts, 1000) == 1);  // 0 would be for ever
  timeouts.hedge = true;
  CHECK(expectedTimeoutMs(timeouts, 0) == 1000);
  CHECK(expectedTimeoutMs({.globalMs = 0, .perTryMs = 0}, 5) == 0);
  CHECK(expectedTimeoutMs({.globalMs = 0, .perTryMs = 70}, 500) == 70);
}

TEST_CASE("a kept body comes back as it went in") {
  Arena arena(chunks);
  BodyBuffer body(arena);
  std::string whole;
  for (size_t size : {0, 1, 4000, 4096, 3, 20'000, 1}) {
    std::string piece(size, char('a' + size % 26));
    whole += piece;
    body.append(piece);
  }
  CHECK(body.size() == whole.size());
  std::string back;
  int lasts = 0;
  body.forEach([&](std::string_view piece, bool last) {
    back += piece;
    lasts += last;
  });
  CHECK(back == whole);
  CHECK(lasts == 1);
  body.clear();
  CHECK(body.empty());
  body.forEach([](std::string_view, bool) { FAIL("nothing is left"); });
}

TEST_CASE("grpc-timeout in all its units, rounded up") {
  Arena arena(chunks);
  auto read = [&](std::string_view text) {
    HeaderList headers(arena);
    headers.add(HeaderId::kGrpcTimeout, text);
    return grpcTimeoutMs(headers);
  };
  CHECK(read("1H") == 3'600'000);
  CHECK(read("2M") == 120'000);
  CHECK(read("3S") == 3000);
  CHECK(read("4m") == 4);
  CHECK(read("4001u") == 5);
  CHECK(read("1n") == 1);
  CHECK(read("99999999S") == 99'999'999'000);
  for (const char* wrong : {"", "S", "1", "1x", "-1S", "123456789S", "1 S", "1.5S"}) {
    CHECK(read(wrong) == -1);
  }
  CHECK(grpcTimeoutMs(HeaderList(arena)) == -1);
}

TEST_CASE("a route's limits to a stream, and what a gRPC call asks for") {
  Arena arena(chunks);
  HeaderList none(arena), asks(arena);
  asks.add(HeaderId::kGrpcTimeout, "500m");
  asks.add(HeaderId::kContentType, "application/grpc+proto");
  auto duration = [](int64_t most, int64_t grpcMost, int64_t offset, const HeaderList& headers) {
    ForwardAction action;
    action.streamDuration = {most, grpcMost, offset};
    return streamDurationMs(action, headers);
  };
  CHECK(duration(-1, -1, 0, asks) == -1);
  CHECK(duration(0, -1, 0, asks) == 0);
  CHECK(duration(900, 1000, 0, none) == 900);
  CHECK(duration(900, 1000, 0, asks) == 500);
  CHECK(duration(900, 0, 0, asks) == 500);  // whatever it asks for
  CHECK(duration(900, 400, 0, asks) == 400);
  CHECK(duration(900, 1000, 200, asks) == 300);
  CHECK(duration(900, 1000, 500, asks) == 1);  // at once

  // The older max_grpc_timeout: of the route's timeout.
  auto global = [](int64_t most, int64_t offset, HeaderList& headers) {
    ForwardAction action;
    action.grpcTimeoutMost = most;
    action.grpcTimeoutOffset = offset;
    return requestTimeouts(action, false, headers).globalMs;
  };
  CHECK(global(-1, 0, asks) == 15'000);
  CHECK(global(0, 0, asks) == 500);
  CHECK(global(400, 0, asks) == 400);
  CHECK(global(1000, 100, asks) == 400);
  CHECK(global(1000, 600, asks) == 500);  // nothing would be left
  CHECK(global(1000, 0, none) == 15'000);
  none.add(HeaderId::kContentType, "application/grpc");
  CHECK(global(1000, 0, none) == 1000);  // a call without a limit of its own
}
