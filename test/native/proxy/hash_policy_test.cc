// Hash policies of a route: what they read, how they combine, the cookies they make.
#include "proxy/hash_policy.h"

#include <doctest/doctest.h>

#include "net/address.h"
#include "proxy/regex_kit.h"
#include "proxy/stream_info.h"
#include "upstream/balancer/hash.h"

using namespace millrace;

namespace {

using Kind = spec::HashPolicy::Kind;

struct Request {
  ChunkPool chunks;
  Arena arena{chunks};
  RequestHead head{arena};
  StreamInfo info;
  Address remote = *Address::ip("192.0.2.7", 4711), local = *Address::ip("10.0.0.1", 80);
  NewCookie* cookies = nullptr;

  Request() {
    info.downstreamRemote = &remote;
    info.downstreamLocal = &local;
    head.path = "/a?x=1&key=v%20&key=w";
    head.authority = "example.com";
  }
  std::optional<uint64_t> hash(std::vector<spec::HashPolicy> specs) {
    auto policies = HashPolicies::compile(std::move(specs), "hashPolicies");
    REQUIRE(policies.ok());
    return policies->hash(head, info, arena, cookies);
  }
};

uint64_t turned(uint64_t hash) {
  return hash << 1 | hash >> 63;
}

}  // namespace

TEST_CASE("a header's value; all of its values in any order; nothing when it is absent") {
  Request r;
  r.head.headers.add("X-User", "ann", HeaderId::kOther);
  CHECK(r.hash({{.name = "x-user"}}) == xxHash64("ann"));
  CHECK_FALSE(r.hash({{.name = "x-other"}}));
  CHECK(r.hash({{.name = ":authority"}}) == xxHash64("example.com"));
  CHECK(r.hash({{.name = ":path"}}) == xxHash64(r.head.path));
  r.head.headers.add("x-user", "bob", HeaderId::kOther);
  auto both = r.hash({{.name = "X-USER"}});
  Request other;
  other.head.headers.add("x-user", "bob", HeaderId::kOther);
  other.head.headers.add("x-user", "ann", HeaderId::kOther);
  CHECK(both == other.hash({{.name = "x-user"}}));
  CHECK(both == xxHash64("bob", xxHash64("ann")));
}

TEST_CASE("source address without its port; a query parameter as it was sent, the first of them") {
  Request r;
  CHECK(r.hash({{.kind = Kind::kSourceIp}}) == xxHash64("192.0.2.7"));
  r.remote = *Address::unixPath("/tmp/client");
  CHECK_FALSE(r.hash({{.kind = Kind::kSourceIp}}));
  CHECK(r.hash({{.kind = Kind::kQuery, .name = "key"}}) == xxHash64("v%20"));
  CHECK_FALSE(r.hash({{.kind = Kind::kQuery, .name = "none"}}));
  r.head.path = "/a";
  CHECK_FALSE(r.hash({{.kind = Kind::kQuery, .name = "key"}}));
}

TEST_CASE(
    "several policies are combined in their order; a terminal one ends when there is a hash") {
  Request r;
  r.head.headers.add("a", "1", HeaderId::kOther);
  r.head.headers.add("b", "1", HeaderId::kOther);
  uint64_t one = xxHash64("1");
  CHECK(r.hash({{.name = "a"}, {.name = "b"}}) == (turned(one) ^ one));
  CHECK(r.hash({{.name = "a", .terminal = true}, {.name = "b"}}) == one);
  CHECK(r.hash({{.name = "none", .terminal = true}, {.name = "b"}}) == one);
  CHECK_FALSE(r.hash({}));
}

TEST_CASE("cookies are read, with and without quotes") {
  Request r;
  r.head.headers.add(HeaderId::kCookie, "other=1; id=\"abc\" ;x=y");
  r.head.headers.add(HeaderId::kCookie, "late=z");
  CHECK(r.hash({{.kind = Kind::kCookie, .name = "id"}}) == xxHash64("abc"));
  CHECK(r.hash({{.kind = Kind::kCookie, .name = "late"}}) == xxHash64("z"));
  CHECK_FALSE(r.hash({{.kind = Kind::kCookie, .name = "i"}}));
  CHECK_FALSE(r.hash({{.kind = Kind::kCookie, .name = "ID"}}));
}

TEST_CASE("a cookie that is missing is made if it has a life time, the same for a connection") {
  Request r;
  spec::HashPolicy policy{.kind = Kind::kCookie,
                          .name = "id",
                          .ttl = 60,
                          .path = "/a",
                          .attributes = {{"SameSite", "Strict"}, {"Secure", ""}}};
  auto hash = r.hash({policy});
  REQUIRE(r.cookies != nullptr);
  std::string field(r.cookies->field);
  CHECK(field.starts_with("id=\""));
  CHECK(field.ends_with("\"; Max-Age=60; Path=/a; SameSite=Strict; Secure; HttpOnly"));
  std::string value = field.substr(4, field.find('"', 4) - 4);
  CHECK(hash == xxHash64(value));
  Request again;
  CHECK(again.hash({policy}) == hash);
  Request returning;
  std::string cookie = "id=" + value;
  returning.head.headers.add(HeaderId::kCookie, cookie);
  CHECK(returning.hash({policy}) == hash);
  CHECK(returning.cookies == nullptr);
  Request session;
  policy.ttl = 0;
  policy.path.clear();
  policy.attributes.clear();
  session.hash({policy});
  CHECK(std::string_view(session.cookies->field).ends_with("\"; HttpOnly"));
}

TEST_CASE("a policy without a name is refused") {
  auto policies = HashPolicies::compile({{.kind = Kind::kCookie}}, "hashPolicies");
  REQUIRE_FALSE(policies.ok());
  CHECK(policies.error().message == "hashPolicies[0].name: must not be empty");
}
