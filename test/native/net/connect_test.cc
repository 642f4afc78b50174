// How outgoing connections are made: the race for one of several addresses, local addresses, socket
// options, and what goes out first.
#include <arpa/inet.h>

#include "net/proxy_header.h"
#include "support.h"

using namespace millrace;
using namespace millrace::test;

namespace {

Address at(const char* ip, uint16_t port = 0) {
  return *Address::ip(ip, port);
}

struct Service {
  ListenSockets sockets = std::move(*listenOn(at("127.0.0.1"), {}, 1));
  const Address& address() const { return sockets.local; }
  Plain accept(Net& net) {
    int fd = -1;
    net.until([&] { return (fd = acceptOn(sockets.fds[0].get(), from)) >= 0; });
    return Plain(fd);
  }
  Address from;
};

Address nobody() {
  return listenOn(at("127.0.0.1"), {}, 1)->local;
}

}  // namespace

TEST_CASE("an address that does not answer is left behind after 300 ms") {
  Net net;
  Owner owner;
  FullBacklog silent;
  Service service;
  std::vector<Address> others{service.address()};
  uint64_t start = monotonicNs();
  Connection* c = Connection::connect(*net.ctx, {silent.sockets.local, others, {}}, 60'000, &owner);
  CHECK(net.until([&] { return owner.connects == 1; }));
  CHECK(monotonicNs() - start >= Connection::kHappyEyeballsMs * kNsPerMs);
  CHECK(c->peer() == service.address());
  Plain server = service.accept(net);
  c->write("over the second");
  c->flushNow();
  CHECK(server.hear(net, 15) == "over the second");
  c->close();
  CHECK(owner.closes == 1);
  net.turns();
  CHECK(net.ctx->openConnections() == 0);
}

TEST_CASE("an address that refuses is left behind at once, and the error of the last one is told") {
  Net net;
  {
    Service service;
    std::vector<Address> others{nobody(), *Address::unixPath("/nowhere/x.sock"), service.address()};
    // The quickest of some: a busy machine may stand still for longer than an address waits.
    uint64_t quickest = UINT64_MAX;
    for (int i = 0; i < 20 && quickest >= Connection::kHappyEyeballsMs * kNsPerMs; i++) {
      Owner owner;
      uint64_t start = monotonicNs();
      Connection* c = Connection::connect(*net.ctx, {nobody(), others, {}}, 60'000, &owner);
      CHECK(net.until([&] { return owner.connects == 1; }));
      quickest = std::min(quickest, monotonicNs() - start);
      CHECK(c->peer() == service.address());
      c->close();
    }
    CHECK(quickest < Connection::kHappyEyeballsMs * kNsPerMs);
  }
  {
    Owner owner;
    std::vector<Address> others{nobody(), nobody()};
    CHECK(Connection::connect(*net.ctx, {nobody(), others, {}}, 60'000, &owner) != nullptr);
    CHECK(net.until([&] { return owner.closes == 1; }));
    CHECK(owner.reason == CloseReason::kConnectFailed);
    CHECK(owner.error == ECONNREFUSED);
    CHECK(owner.connects == 0);
  }
}

TEST_CASE("a race ends with its deadline and with its connection") {
  Net net;
  FullBacklog first, second, third;
  std::vector<Address> others{second.sockets.local, third.sockets.local};
  {
    Owner owner;
    CHECK(Connection::connect(*net.ctx, {first.sockets.local, others, {}}, 700, &owner) != nullptr);
    CHECK(net.until([&] { return owner.closes == 1; }));
    CHECK(owner.reason == CloseReason::kConnectTimeout);
  }
  {
    Owner owner;
    Connection* c = Connection::connect(*net.ctx, {first.sockets.local, others, {}}, 0, &owner);
    net.until([] { return false; }, 350);
    c->close();
    CHECK(owner.closes == 1);
    CHECK(owner.reason == CloseReason::kLocal);
  }
  {
    // The first one answers: the others are not asked.
    Owner owner;
    Service service;
    Connection* c = Connection::connect(*net.ctx, {service.address(), others, {}}, 60'000, &owner);
    CHECK(net.until([&] { return owner.connects == 1; }));
    CHECK(c->peer() == service.address());
    c->close();
  }
}

TEST_CASE("a preface goes out before everything else, whichever address answers") {
  Net net;
  FullBacklog silent;
  for (bool race : {false, true}) {
    Owner owner;
    Service service;
    std::vector<Address> others;
    if (race) others.push_back(service.address());
    const Address& first = race ? silent.sockets.local : service.address();
    Connection* c = Connection::connect(*net.ctx, {first, others, "who I am|"}, 60'000, &owner);
    c->write("and what I want");
    CHECK(net.until([&] { return owner.connects == 1; }));
    Plain server = service.accept(net);
    CHECK(server.hear(net, 24) == "who I am|and what I want");
    c->close();
  }
}

TEST_CASE("the local address of the destination's family is bound, and options are set before") {
  Net net;
  Owner owner;
  Service service;
  ConnectOptions options;
  options.bind = {at("::1"), at("127.0.0.2")};
  int size = 16384;
  options.socketOptions = {{SOL_SOCKET, SO_RCVBUF, {reinterpret_cast<char*>(&size), sizeof size}}};
  Connection* c = Connection::connect(*net.ctx, service.address(), 60'000, &owner, options);
  CHECK(net.until([&] { return owner.connects == 1; }));
  int got = 0;
  socklen_t length = sizeof got;
  getsockopt(c->fd(), SOL_SOCKET, SO_RCVBUF, &got, &length);
  CHECK(got == 2 * size);  // Linux doubles it
  Plain server = service.accept(net);
  CHECK(service.from.host() == "127.0.0.2");
  c->close();

  // An option that the system refuses is a failed connection.
  Owner refused;
  options.socketOptions = {{SOL_SOCKET, 9999, {reinterpret_cast<char*>(&size), sizeof size}}};
  CHECK(Connection::connect(*net.ctx, service.address(), 60'000, &refused, options) != nullptr);
  CHECK(net.until([&] { return refused.closes == 1; }));
  CHECK(refused.reason == CloseReason::kConnectFailed);
  CHECK(refused.error == ENOPROTOOPT);
}

TEST_CASE("PROXY headers say who connected to what") {
  Address from = at("192.0.2.7", 56324), to = at("198.51.100.1", 443);
  CHECK(ProxyHeader(ProxyVersion::kV1, &from, &to).bytes() ==
        "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n");
  CHECK(ProxyHeader(ProxyVersion::kV2, &from, &to).bytes() ==
        std::string_view("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
                         "\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\x01\xbb",
                         28));
  Address from6 = at("2001:db8::7", 1), to6 = at("::1", 65535);
  CHECK(ProxyHeader(ProxyVersion::kV1, &from6, &to6).bytes() ==
        "PROXY TCP6 2001:db8::7 ::1 1 65535\r\n");
  ProxyHeader v2(ProxyVersion::kV2, &from6, &to6);
  REQUIRE(v2.bytes().size() == 52);
  CHECK(v2.bytes().substr(12, 4) == std::string_view("\x21\x21\0\x24", 4));
  CHECK(v2.bytes().substr(16, 4) == std::string_view("\x20\x01\x0d\xb8", 4));
  CHECK(v2.bytes().substr(48) == std::string_view("\0\x01\xff\xff", 4));
}

TEST_CASE("a PROXY header says that it knows nothing where it does") {
  Address v4 = at("127.0.0.1", 1), v6 = at("::1", 1), unixed = *Address::unixPath("/x");
  std::string_view local("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16);
  const Address* pairs[][2] = {{nullptr, nullptr}, {&v4, nullptr}, {&v4, &v6}, {&unixed, &unixed}};
  for (auto& [from, to] : pairs) {
    CHECK(ProxyHeader(ProxyVersion::kV1, from, to).bytes() == "PROXY UNKNOWN\r\n");
    CHECK(ProxyHeader(ProxyVersion::kV2, from, to).bytes() == local);
  }
  Address longest = at("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535);
  CHECK(ProxyHeader(ProxyVersion::kV1, &longest, &longest).bytes().size() == 104);
}
