#include "net/address.h"

#include <doctest/doctest.h>

#include <string>

using namespace millrace;

TEST_CASE("addresses keep their text") {
  for (const char* text : {"127.0.0.1", "0.0.0.0", "255.255.255.255", "10.20.30.40"}) {
    Address a = *Address::ip(text, 8080);
    CHECK(a.host() == text);
    CHECK(a.toString() == std::string(text) + ":8080");
    CHECK(a.port() == 8080);
    CHECK(a.isIp());
  }
  for (const char* text : {"::1", "::", "2001:db8::17", "fe80::1:2"}) {
    Address a = *Address::ip(text, 65535);
    CHECK(a.host() == text);
    CHECK(a.toString() == "[" + std::string(text) + "]:65535");
    CHECK(a.family() == AF_INET6);
  }
  Address unixAddress = *Address::unixPath("/run/x.sock");
  CHECK(unixAddress.toString() == "/run/x.sock");
  CHECK(unixAddress.isUnix());
  CHECK(unixAddress.port() == 0);
  CHECK(Address::unixPath("@abstract")->toString() == "@abstract");
  CHECK(Address().toString().empty());
}

TEST_CASE("what is no address is refused by name") {
  for (const char* text : {"", "localhost", "1.2.3", "1.2.3.4.5", "256.1.1.1", "::g", "1.2.3.4 ",
                           "[::1]", "fe80::1%nosuchinterface", "::1%", "01.2.3.4"}) {
    Result<Address> a = Address::ip(text, 1);
    CHECK_MESSAGE(!a.ok(), text);
    if (!a.ok()) CHECK(std::string(a.error().code) == "ERR_MILLRACE_ADDRESS");
  }
  CHECK(!Address::unixPath("").ok());
  CHECK(!Address::unixPath(std::string(108, 'x')).ok());
  CHECK(Address::unixPath(std::string(107, 'x')).ok());
  CHECK(!Address::unixPath(std::string_view("a\0b", 3)).ok());
}

TEST_CASE("addresses know loopback and wildcard, and compare") {
  CHECK(Address::ip("127.1.2.3", 1)->isLoopback());
  CHECK(Address::ip("::1", 1)->isLoopback());
  CHECK(Address::ip("::ffff:127.0.0.1", 1)->isLoopback());
  CHECK(!Address::ip("::ffff:10.0.0.1", 1)->isLoopback());
  CHECK(!Address::ip("10.0.0.1", 1)->isLoopback());
  CHECK(Address::ip("0.0.0.0", 1)->isWildcard());
  CHECK(Address::ip("::", 1)->isWildcard());
  CHECK(!Address::ip("::1", 1)->isWildcard());
  CHECK(*Address::ip("::1", 1) == *Address::ip("0:0::1", 1));
  CHECK(!(*Address::ip("::1", 1) == *Address::ip("::1", 2)));
  CHECK(!(*Address::ip("127.0.0.1", 1) == *Address::unixPath("127.0.0.1")));
  CHECK(*Address::unixPath("/a") == *Address::unixPath("/a"));
  Address a = *Address::ip("2001:db8::1", 99);
  CHECK(Address::fromSockaddr(a.sockaddrPtr(), a.size()) == a);
}
