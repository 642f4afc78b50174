#include "proxy/forwarded.h"

#include <doctest/doctest.h>

#include <set>

#include "proxy/authority.h"
#include "proxy/route_kit.h"
#include "support/allocations.h"

using namespace millrace;
using namespace millrace::test;

namespace {

Address ip(std::string_view text, uint16_t port = 5000) {
  Result<Address> address = Address::ip(text, port);
  REQUIRE(address.ok());
  return *address;
}

ForwardingRules rulesOf(const spec::HttpManager& spec) {
  Result<ForwardingRules> rules = ForwardingRules::compile(spec, "manager");
  if (!rules.ok()) FAIL(rules.error().message);
  return *rules;
}

spec::HttpManager edge(uint32_t hops = 0) {
  spec::HttpManager spec;
  spec.useRemoteAddress = true;
  spec.xffTrustedHops = hops;
  return spec;
}

spec::HttpManager withInternal(spec::HttpManager spec) {
  spec.internalAddresses = {{"10.0.0.0", 8}, {"192.168.0.0", 16}, {"fd00::", 8}};
  return spec;
}

// A request that went through the rules.
struct Forwarded : Request {
  Forwarded(const spec::HttpManager& spec, std::string_view peer, Fields fields, bool tls = false)
      : Request("/", std::move(fields)), rules(rulesOf(spec)) {
    head.scheme = {};
    Address from = ip(peer);
    Random random(1);
    result = applyForwarding(rules, {from, 8080, tls}, head, random);
  }
  std::string client() const { return result.remote.host(); }
  ForwardingRules rules;
  ForwardedResult result;
};

const std::string kAbsent = "(absent)";

}  // namespace

// The examples of "x-forwarded-for" in Envoy's documentation.
TEST_CASE("example 1: an edge proxy without a trusted proxy in front of it") {
  Forwarded r(edge(), "192.0.2.5",
              {{"x-forwarded-for", "203.0.113.128, 203.0.113.10, 203.0.113.1"},
               {"x-envoy-internal", "true"}});
  CHECK(r.client() == "192.0.2.5");
  CHECK(r.header("x-envoy-external-address") == "192.0.2.5");
  CHECK(r.header("x-forwarded-for") == "203.0.113.128, 203.0.113.10, 203.0.113.1,192.0.2.5");
  CHECK(r.header("x-envoy-internal") == kAbsent);
  CHECK(r.result.edge);
}

TEST_CASE("example 2: an internal proxy behind the edge proxy of example 1") {
  std::string xff = "203.0.113.128, 203.0.113.10, 203.0.113.1, 192.0.2.5";
  Forwarded r(withInternal({}), "10.11.12.13", {{"x-forwarded-for", xff}});
  CHECK(r.client() == "192.0.2.5");
  CHECK(r.header("x-envoy-external-address") == kAbsent);
  CHECK(r.header("x-forwarded-for") == xff);
  CHECK(r.header("x-envoy-internal") == kAbsent);
}

TEST_CASE("example 3: an edge proxy with two trusted proxies in front of it") {
  Forwarded r(edge(2), "192.0.2.5",
              {{"x-forwarded-for", "203.0.113.128, 203.0.113.10, 203.0.113.1"}});
  CHECK(r.client() == "203.0.113.10");
  CHECK(r.header("x-envoy-external-address") == "203.0.113.10");
  CHECK(r.header("x-forwarded-for") == "203.0.113.128, 203.0.113.10, 203.0.113.1,192.0.2.5");
}

TEST_CASE("example 4: an internal proxy behind the edge proxy of example 3") {
  spec::HttpManager spec;
  spec.xffTrustedHops = 2;
  std::string xff = "203.0.113.128, 203.0.113.10, 203.0.113.1, 192.0.2.5";
  Forwarded r(spec, "10.11.12.13", {{"x-forwarded-for", xff}});
  CHECK(r.client() == "203.0.113.10");
  CHECK(r.header("x-forwarded-for") == xff);
}

TEST_CASE("example 5: an internal proxy that a request inside the network comes to") {
  Forwarded r(withInternal({}), "10.20.30.40", {});
  CHECK(r.client() == "10.20.30.40");
  CHECK(r.header("x-envoy-internal") == kAbsent);  // without x-forwarded-for it counts as external
}

TEST_CASE("example 6: an internal proxy, and a request another one passed on") {
  Forwarded r(withInternal({}), "10.20.30.50", {{"x-forwarded-for", "10.20.30.40"}});
  CHECK(r.client() == "10.20.30.40");
  CHECK(r.header("x-envoy-internal") == "true");
  CHECK(r.result.internal);
}

TEST_CASE("too few hops, or what is no address: the peer is the client") {
  Forwarded few(edge(3), "192.0.2.5", {{"x-forwarded-for", "203.0.113.1"}});
  CHECK(few.client() == "192.0.2.5");
  for (const char* xff : {"", "unknown", "1.2.3", "1.2.3.4.5", "[::1", "1.2.3.4:99999", ","}) {
    INFO(xff);
    Forwarded r(withInternal({}), "192.0.2.5", {{"x-forwarded-for", xff}});
    CHECK(r.client() == "192.0.2.5");
    CHECK_FALSE(r.result.internal);
  }
}

TEST_CASE("addresses with ports, IPv6, and several fields") {
  auto client = [](Fields fields) {
    return Forwarded({}, "192.0.2.5", std::move(fields)).client();
  };
  CHECK(client({{"x-forwarded-for", "203.0.113.1:80"}}) == "203.0.113.1");
  CHECK(client({{"x-forwarded-for", "1.1.1.1, [2001:db8::1]:80"}}) == "2001:db8::1");
  CHECK(client({{"x-forwarded-for", "2001:db8::2"}}) == "2001:db8::2");
  CHECK(client({{"x-forwarded-for", "1.1.1.1"}, {"X-Forwarded-For", "2.2.2.2"}}) == "2.2.2.2");
}

TEST_CASE("internal ranges") {
  spec::HttpManager spec = withInternal(edge());
  auto internal = [&](std::string_view peer) { return Forwarded(spec, peer, {}).result.internal; };
  CHECK(internal("10.255.0.1"));
  CHECK(internal("192.168.3.4"));
  CHECK_FALSE(internal("192.169.0.1"));
  CHECK_FALSE(internal("11.0.0.1"));
  CHECK(internal("fd12::1"));
  CHECK_FALSE(internal("fe80::1"));
  CHECK(internal("::ffff:10.1.2.3"));
  CHECK_FALSE(Forwarded(edge(), "10.0.0.1", {}).result.internal);  // none is configured
  // Something before us said whom it forwards for: not an origin any more.
  CHECK_FALSE(Forwarded(spec, "10.0.0.1", {{"x-forwarded-for", "10.0.0.2"}}).result.internal);
  spec.internalAddresses = {{"10.0.0.5", 32}, {"::", 0}};
  CHECK(Forwarded(spec, "10.0.0.5", {}).result.internal);
  CHECK(Forwarded(spec, "2001:db8::1", {}).result.internal);
  spec.internalAddresses = {{"10.0.0.0", 33}};
  Result<ForwardingRules> bad = ForwardingRules::compile(spec, "manager");
  REQUIRE_FALSE(bad.ok());
  CHECK(bad.error().message == "manager.internalAddresses[0].bits: more than the address has");
}

TEST_CASE("an IPv4 client of a socket for both versions is an IPv4 client") {
  Forwarded r(edge(), "::ffff:192.0.2.7", {});
  CHECK(r.client() == "192.0.2.7");
  CHECK(r.header("x-forwarded-for") == "192.0.2.7");
}

TEST_CASE("skipXffAppend leaves x-forwarded-for alone") {
  spec::HttpManager spec = edge();
  spec.skipXffAppend = true;
  CHECK(Forwarded(spec, "192.0.2.5", {}).header("x-forwarded-for") == kAbsent);
  CHECK(Forwarded({}, "192.0.2.5", {}).header("x-forwarded-for") == kAbsent);
}

TEST_CASE("x-forwarded-proto and the scheme") {
  Fields claims = {{"x-forwarded-proto", "https"}};
  Forwarded distrusted(edge(), "192.0.2.5", claims);
  CHECK(distrusted.header("x-forwarded-proto") == "http");
  CHECK(distrusted.result.scheme == "http");
  Forwarded trusted(edge(1), "192.0.2.5", claims);
  CHECK(trusted.header("x-forwarded-proto") == "https");
  CHECK(trusted.result.scheme == "https");
  Forwarded internal({}, "192.0.2.5", claims);
  CHECK(internal.result.scheme == "https");
  CHECK(Forwarded(edge(1), "192.0.2.5", {}, true).header("x-forwarded-proto") == "https");
  Forwarded garbage({}, "192.0.2.5", {{"x-forwarded-proto", "gopher"}});
  CHECK(garbage.header("x-forwarded-proto") == "gopher");
  CHECK(garbage.result.scheme == "http");
  spec::HttpManager overwrite;
  overwrite.schemeOverwrite = "https";
  Forwarded overwritten(overwrite, "192.0.2.5", {});
  CHECK(overwritten.header("x-forwarded-proto") == "https");
  CHECK(overwritten.head.scheme == "https");
}

TEST_CASE("an https URL as the target needs TLS, whatever else is claimed") {
  ForwardingRules rules = rulesOf({});
  Address peer = ip("192.0.2.5");
  Random random(1);
  for (bool tls : {false, true}) {
    Request request("/", {{"x-forwarded-proto", "https"}});
    request.head.scheme = "https";
    ForwardedResult result = applyForwarding(rules, {peer, 8080, tls}, request.head, random);
    CHECK(result.refused == !tls);
    CHECK(result.https == tls);
  }
  Request plain("/", {{"x-forwarded-proto", "https"}});  // an http URL, and a proxy that had TLS
  ForwardedResult result = applyForwarding(rules, {peer, 8080}, plain.head, random);
  CHECK_FALSE(result.refused);
  CHECK(result.https);
  CHECK(result.scheme == "http");
}

TEST_CASE("x-forwarded-port") {
  spec::HttpManager spec = edge();
  CHECK(Forwarded(spec, "192.0.2.5", {}).header("x-forwarded-port") == kAbsent);
  spec.appendXForwardedPort = true;
  Fields claims = {{"x-forwarded-port", "1"}};
  CHECK(Forwarded(spec, "192.0.2.5", claims).header("x-forwarded-port") == "8080");
  spec.xffTrustedHops = 1;
  CHECK(Forwarded(spec, "192.0.2.5", claims).header("x-forwarded-port") == "1");
  spec = {};
  spec.appendXForwardedPort = true;
  CHECK(Forwarded(spec, "192.0.2.5", {}).header("x-forwarded-port") == "8080");
}

TEST_CASE("what only insiders may say is removed from requests of others") {
  const char* names[] = {"x-envoy-retriable-status-codes",
                         "x-envoy-retriable-header-names",
                         "x-envoy-retry-on",
                         "x-envoy-retry-grpc-on",
                         "x-envoy-max-retries",
                         "x-envoy-upstream-alt-stat-name",
                         "x-envoy-upstream-rq-timeout-ms",
                         "x-envoy-upstream-rq-per-try-timeout-ms",
                         "x-envoy-upstream-rq-timeout-alt-response",
                         "x-envoy-expected-rq-timeout-ms",
                         "x-envoy-force-trace",
                         "x-envoy-ip-tags",
                         "x-envoy-original-url",
                         "x-envoy-hedge-on-per-try-timeout"};
  const char* edgeOnly[] = {"x-envoy-decorator-operation", "x-envoy-downstream-service-cluster",
                            "x-envoy-downstream-service-node"};
  Fields fields = {{"x-envoy-other", "1"}, {"x-forwarded-client-cert", "By=x"}};
  for (const char* name : names) fields.push_back({name, "1"});
  for (const char* name : edgeOnly) fields.push_back({name, "1"});
  Forwarded outside(edge(), "192.0.2.5", fields);
  Forwarded passed({}, "192.0.2.5", fields);
  Forwarded inside(withInternal(edge()), "10.0.0.1", fields);
  for (const char* name : names) {
    INFO(name);
    CHECK(outside.header(name) == kAbsent);
    CHECK(passed.header(name) == kAbsent);
    CHECK(inside.header(name) == "1");
  }
  for (const char* name : edgeOnly) {
    INFO(name);
    CHECK(outside.header(name) == kAbsent);
    CHECK(passed.header(name) == "1");
    CHECK(inside.header(name) == "1");
  }
  for (Forwarded* r : {&outside, &passed, &inside}) {
    CHECK(r->header("x-envoy-other") == "1");
    CHECK(r->header("x-forwarded-client-cert") == kAbsent);
  }
  removeInternalOnly({"x-envoy-other"}, outside.head.headers);
  CHECK(outside.header("x-envoy-other") == kAbsent);
}

TEST_CASE("x-request-id: made where there is none, and not taken from outsiders") {
  const std::string given = "0b2e1a34-1111-a222-8333-444455556666";
  Fields fields = {{"x-request-id", given}};
  std::string made = Forwarded(edge(), "192.0.2.5", fields).header("x-request-id");
  CHECK(made.size() == 36);
  CHECK(made != given);
  CHECK(Forwarded({}, "192.0.2.5", fields).header("x-request-id") == given);
  CHECK(Forwarded(withInternal(edge()), "10.0.0.1", fields).header("x-request-id") == given);
  CHECK(Forwarded({}, "192.0.2.5", {}).header("x-request-id").size() == 36);
  CHECK(Forwarded({}, "192.0.2.5", {{"x-request-id", ""}}).header("x-request-id").size() == 36);
  spec::HttpManager spec = edge();
  spec.preserveExternalRequestId = true;
  CHECK(Forwarded(spec, "192.0.2.5", fields).header("x-request-id") ==
        "0b2e1a34-1111-4222-8333-444455556666");  // kept, but for the reason for tracing
  CHECK(Forwarded(spec, "192.0.2.5", {{"x-request-id", "short"}}).header("x-request-id") ==
        "short");
  spec.generateRequestId = false;
  CHECK(Forwarded(spec, "192.0.2.5", {}).header("x-request-id") == kAbsent);
}

TEST_CASE("request ids are random UUIDs of version 4") {
  Random random(7);
  std::set<std::string> seen;
  for (int i = 0; i < 1000; i++) {
    char text[36];
    writeRequestId(random, text);
    std::string id(text, sizeof text);
    REQUIRE(id.find_first_not_of("0123456789abcdef-") == std::string::npos);
    for (size_t at : {8u, 13u, 18u, 23u}) REQUIRE(id[at] == '-');
    REQUIRE(id[14] == '4');
    REQUIRE(std::string("89ab").find(id[19]) != std::string::npos);
    REQUIRE(seen.insert(id).second);
  }
}

TEST_CASE("referer, via and user-agent") {
  auto referer = [](std::string value) {
    return Forwarded({}, "192.0.2.5", {{"Referer", std::move(value)}}).header("referer");
  };
  CHECK(referer("http://a.com/b?c@d") == "http://a.com/b?c@d");
  CHECK(referer("/relative") == "/relative");
  CHECK(referer("http://user:pass@a.com/") == kAbsent);
  CHECK(referer("http://a.com/#part") == kAbsent);
  spec::HttpManager spec;
  spec.via = "1.1 mill";
  spec.addUserAgent = true;
  Forwarded r(spec, "192.0.2.5", {{"via", "1.0 first"}});
  CHECK(r.header("via") == "1.0 first, 1.1 mill");
  CHECK(r.header("user-agent") == "millrace");
  CHECK(Forwarded(spec, "192.0.2.5", {{"user-agent", "curl"}}).header("user-agent") == "curl");
}

TEST_CASE("forwarding takes nothing from the heap") {
  ForwardingRules rules = rulesOf(withInternal(edge(1)));
  Address peer = ip("192.0.2.5");
  Random random(1);
  Request request("/", {{"x-forwarded-for", "not an address"},
                        {"x-forwarded-for", "1.2.3.4:5"},
                        {"x-envoy-retry-on", "5xx"},
                        {"x-envoy-force-trace", "1"}});
  size_t before = heapAllocations();
  ForwardedResult result = applyForwarding(rules, {peer, 8080}, request.head, random);
  CHECK(heapAllocations() == before);
  CHECK(result.remote.host() == "1.2.3.4");
}

TEST_CASE("authorities and their ports") {
  ChunkPool pool;
  Arena arena(pool);
  CHECK(withoutPort("a.com:80") == "a.com");
  CHECK(withoutPort("a.com:80", 80) == "a.com");
  CHECK(withoutPort("a.com:81", 80) == "a.com:81");
  CHECK(withoutPort("a.com:") == "a.com:");
  CHECK(withoutPort("a.com:x") == "a.com:x");
  CHECK(withoutPort("[::1]") == "[::1]");
  CHECK(withoutPort("[::1]:8") == "[::1]");
  CHECK(withoutTrailingDot("a.com.", arena) == "a.com");
  CHECK(withoutTrailingDot("a.com.:80", arena) == "a.com:80");
  CHECK(withoutTrailingDot("a.com:80", arena) == "a.com:80");
  CHECK(isAuthority("a-b.com:80"));
  CHECK(isAuthority("[::1]:80"));
  CHECK_FALSE(isAuthority(""));
  CHECK_FALSE(isAuthority("a b"));
  CHECK_FALSE(isAuthority("a/b"));
}
