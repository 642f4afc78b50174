// Which host a request to an on-demand cluster means.
#include "proxy/host_key.h"

#include <doctest/doctest.h>

#include "base/arena.h"

using namespace millrace;

namespace {

std::string destination(std::string_view named, const char* meant, uint16_t port = 0) {
  spec::OnDemand rules;
  rules.port = port;
  Address address;
  if (meant != nullptr) address = *Address::ip(meant, 99);
  bool invalid = false;
  auto found = originalDestinationOf(rules, named, meant == nullptr ? nullptr : &address, invalid);
  return (invalid ? "invalid " : "") + (found ? found->toString() : std::string("none"));
}

std::string key(std::string_view authority) {
  ChunkPool chunks;
  Arena arena(chunks);
  return std::string(forwardKey(authority, 80, arena));
}

}  // namespace

TEST_CASE("the header names the destination, or else the connection does") {
  CHECK(destination("", nullptr) == "none");
  CHECK(destination("", "10.1.2.3") == "10.1.2.3:99");
  CHECK(destination("", "::1") == "[::1]:99");
  CHECK(destination("10.0.0.1:8080", "10.1.2.3") == "10.0.0.1:8080");
  CHECK(destination("[fe80::1]:1", nullptr) == "[fe80::1]:1");
  CHECK(destination("10.0.0.1:8080", nullptr, 443) == "10.0.0.1:443");
  CHECK(destination("", "10.1.2.3", 443) == "10.1.2.3:443");
  CHECK(destination("10.0.0.1:0", nullptr, 443) == "10.0.0.1:443");
  CHECK(destination("10.0.0.1:0", nullptr) == "none");
}

TEST_CASE("a header that is no address is told, and the connection counts") {
  for (const char* wrong :
       {"x", "10.0.0.1", "10.0.0.1:", "10.0.0.1:65536", "10.0.0.1:1x", "10.0.0.1:-1", ":80",
        "localhost:80", "::1:80", "[::1]", "[10.0.0.1]:80", "10.0.0.1:80 ", "[::1:80", "[]:1",
        "[fe80::1%lo]:80", "1.2.3:80"}) {
    CHECK(destination(wrong, nullptr) == "invalid none");
    CHECK(destination(wrong, "10.1.2.3") == "invalid 10.1.2.3:99");
  }
}

TEST_CASE("an authority is a host in lower case with a port") {
  CHECK(key("example.com") == "example.com:80");
  CHECK(key("Example.COM:8080") == "example.com:8080");
  CHECK(key("example.com:080") == "example.com:80");
  CHECK(key("10.0.0.1") == "10.0.0.1:80");
  CHECK(key("[::1]") == "[::1]:80");
  CHECK(key("[FE80::1]:90") == "[fe80::1]:90");
  CHECK(key("::1") == "[::1]:80");
  CHECK(key(std::string(253, 'a')) == std::string(253, 'a') + ":80");
}

TEST_CASE("what can be no host has no key") {
  for (std::string_view wrong :
       {"", ":80", "a:", "a:0", "a:65536", "a:b", "a:-1", "[::1", "[::1]x", "[::1]:"}) {
    CHECK(key(wrong) == "");
  }
  CHECK(key(std::string(254, 'a')) == "");
}
