// Stateful sessions through real sockets: a client comes back to the host that it was given.
#include "worker/support.h"

using namespace millrace;
using namespace millrace::test;

namespace {

using State = spec::StatefulSession::State;

// The port of a further listener, with the filter.
uint16_t listenWith(Running& proxy, spec::StatefulSession session) {
  spec::Listener listener = proxy.listener();
  listener.name = "sessions";
  auto& http = std::get<spec::HttpManager>(listener.filterChains[0].filter);
  http.statPrefix = "sessions";
  http.filters.push_back({0, "sessions", false, std::move(session)});
  auto addresses = proxy.group->addListener(std::move(listener));
  REQUIRE(addresses.ok());
  proxy.group->turn();
  return uint16_t(std::stoi((*addresses)[0].substr((*addresses)[0].rfind(':') + 1)));
}

// Three origins behind one listener with the filter.
struct Sessions {
  explicit Sessions(spec::StatefulSession session)
      : proxy(1, {a.port(), b.port(), c.port()}), port(listenWith(proxy, std::move(session))) {}
  uint64_t requests() const { return a.requests() + b.requests() + c.requests(); }
  Origin a, b, c;
  Running proxy;
  uint16_t port;
};

// The value of a field of the response; empty: there is none.
std::string field(const Client& client, std::string_view name) {
  std::string_view text = client.text();
  size_t at = text.find(std::string(name) + ": ");
  if (at == std::string_view::npos) return {};
  at += name.size() + 2;
  return std::string(text.substr(at, text.find("\r\n", at) - at));
}

int get(Client& client, std::string_view field) {
  return client.exchange("GET / HTTP/1.1\r\nHost: a\r\n" + std::string(field) + "\r\n\r\n");
}

}  // namespace

TEST_CASE("a client is told its host, and comes back to it") {
  Sessions s({.state = State::kHeader, .name = "x-session"});
  Client client(s.port);
  CHECK(get(client, "x-other: 1") == 200);
  const std::string session = field(client, "x-session");
  REQUIRE_FALSE(session.empty());
  const uint64_t before[] = {s.a.requests(), s.b.requests(), s.c.requests()};
  CHECK(before[0] + before[1] + before[2] == 1);
  for (int i = 0; i < 20; i++) {
    CHECK(get(client, "x-session: " + session) == 200);
    CHECK(field(client, "x-session").empty());  // it knows
  }
  // All of them went where the first one did.
  CHECK(s.a.requests() == 21 * before[0]);
  CHECK(s.b.requests() == 21 * before[1]);
  CHECK(s.c.requests() == 21 * before[2]);
}

TEST_CASE("a cookie does so too") {
  Sessions s({.state = State::kCookie, .name = "host", .ttl = 60});
  Client client(s.port);
  CHECK(client.get() == 200);
  std::string cookie = field(client, "set-cookie");
  REQUIRE(cookie.ends_with("; Max-Age=60; HttpOnly"));
  cookie = cookie.substr(0, cookie.find(';'));
  const bool first = s.a.requests() == 1;
  for (int i = 0; i < 9; i++) {
    CHECK(get(client, "Cookie: x=y; " + cookie) == 200);
    CHECK(field(client, "set-cookie").empty());
  }
  CHECK(s.a.requests() == (first ? 10 : 0));
}

TEST_CASE("a client whose host is gone gets another one, and is told") {
  Sessions s({.state = State::kHeader, .name = "x-session"});
  Client client(s.port);
  CHECK(get(client, "x-session: MTAuMC4wLjE6ODA=") == 200);  // 10.0.0.1:80
  CHECK_FALSE(field(client, "x-session").empty());
}

TEST_CASE("a strict session has its host or none") {
  Sessions s({.state = State::kHeader, .name = "x-session", .strict = true});
  Client client(s.port);
  CHECK(get(client, "x-session: MTAuMC4wLjE6ODA=") == 503);
  CHECK(client.text().ends_with("no healthy upstream"));
  CHECK(field(client, "x-session").empty());
  CHECK(s.requests() == 0);
  CHECK(s.proxy.counter("cluster.web.upstream_cx_none_healthy") == 1);
  // Without a session it is balanced as ever.
  CHECK(client.get() == 200);
}

TEST_CASE("a retry goes where the balancer says") {
  Origin origin;
  const uint16_t nobody = 1;
  Running proxy(1, {nobody, origin.port()}, [](spec::Forward& forward) {
    forward.retry = spec::RetryPolicy{.on = "connect-failure", .retries = 5, .baseInterval = 1};
  });
  uint16_t port = listenWith(proxy, {.state = State::kHeader, .name = "x-session", .strict = true});
  Client client(port);
  for (int i = 0; i < 4; i++) {
    CHECK(get(client, "x-session: MTI3LjAuMC4xOjE=") == 200);  // 127.0.0.1:1
    CHECK_FALSE(field(client, "x-session").empty());
  }
  CHECK(proxy.counter("cluster.web.upstream_rq_retry") >= 4);
}

TEST_CASE("a route has sessions of its own, or none") {
  Sessions s({.state = State::kHeader, .name = "x-session"});
  spec::RouteTable table;
  table.filterConfigs = {
      spec::StatefulSessionRoute{.disabled = true},
      spec::StatefulSessionRoute{.session = {.state = State::kHeader, .name = "x-own"}},
      spec::StatefulSessionRoute{}};
  auto& host = table.virtualHosts.emplace_back();
  host.domains = {"*"};
  for (int i = 0; i < 4; i++) {
    auto& route = host.routes.emplace_back();
    route.match.value = "/" + std::to_string(i);
    spec::Forward forward;
    forward.cluster.name = "web";
    forward.cluster.slot = s.proxy.cluster;
    route.action = std::move(forward);
    if (i < 3) route.filters = {{.filter = 0, .config = i}};
  }
  REQUIRE(s.proxy.group->publishRoutes(s.proxy.routes, std::move(table)).ok());
  s.proxy.group->turn();
  Client client(s.port);
  auto fields = [&](const char* path) {
    CHECK(client.get(path) == 200);
    return std::pair(!field(client, "x-session").empty(), !field(client, "x-own").empty());
  };
  CHECK(fields("/0") == std::pair(false, false));
  CHECK(fields("/1") == std::pair(false, true));
  CHECK(fields("/2") == std::pair(false, false));  // a session without a state
  CHECK(fields("/3") == std::pair(true, false));
}
