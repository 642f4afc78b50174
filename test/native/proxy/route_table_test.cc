#include "proxy/route_table.h"

#include <doctest/doctest.h>

#include "proxy/regex_kit.h"
#include "proxy/route_kit.h"
#include "support/allocations.h"

using namespace millrace;
using namespace millrace::test;
using Kind = spec::RouteMatch::Kind;

namespace {

std::string routed(const RouteTable& table, std::string path, Fields fields = {}) {
  Request request(std::move(path), std::move(fields));
  return matched(table, request.route());
}

spec::HeaderMatcher exactHeader(std::string name, std::string value) {
  spec::HeaderMatcher matcher;
  matcher.name = std::move(name);
  matcher.kind = spec::HeaderMatcher::Kind::kString;
  matcher.string.value = std::move(value);
  return matcher;
}

// Tables of virtual hosts with one route each, named as the host.
spec::RouteTable hostsOf(std::vector<std::vector<std::string>> domains) {
  spec::RouteTable table;
  for (auto& list : domains) {
    spec::VirtualHost host;
    host.name = list[0];
    host.routes = {};
    host.routes.push_back(routeOf(list[0], prefixMatch("/")));
    host.domains = std::move(list);
    table.virtualHosts.push_back(std::move(host));
  }
  return table;
}

std::string hostOf(const RouteTable& table, std::string authority) {
  Request request("/", {}, std::move(authority));
  return matched(table, request.route());
}

}  // namespace

TEST_CASE("virtual hosts: exact, then the longest suffix, then the longest prefix, then any") {
  auto table = built(hostsOf({{"www.foo.com"},
                              {"*.foo.com"},
                              {"*-bar.foo.com"},
                              {"foo.*"},
                              {"foo-*"},
                              {"www.foo.*"},
                              {"*"}}));
  CHECK(hostOf(*table, "www.foo.com") == "www.foo.com");
  CHECK(hostOf(*table, "WWW.Foo.COM") == "www.foo.com");
  CHECK(hostOf(*table, "a.foo.com") == "*.foo.com");
  CHECK(hostOf(*table, "baz-bar.foo.com") == "*-bar.foo.com");
  CHECK(hostOf(*table, "-bar.foo.com") == "*.foo.com");  // a wildcard is never empty
  CHECK(hostOf(*table, ".foo.com") == "*");
  CHECK(hostOf(*table, "www.foo.org") == "www.foo.*");
  CHECK(hostOf(*table, "foo.org") == "foo.*");
  CHECK(hostOf(*table, "foo.") == "*");
  CHECK(hostOf(*table, "foo-x") == "foo-*");
  CHECK(hostOf(*table, "other") == "*");
  CHECK(hostOf(*table, "www.foo.com:80") == "www.foo.*");
}

TEST_CASE("without a virtual host for any, an unknown host or none has no route") {
  auto table = built(hostsOf({{"a.com"}}));
  Request other("/", {}, "b.com");
  CHECK(table->match(other.route()).outcome == RouteOutcome::kNoVirtualHost);
  Request empty("/", {}, "");
  CHECK(table->match(empty.route()).outcome == RouteOutcome::kNoVirtualHost);
}

TEST_CASE("ignorePortInHost looks at the host alone") {
  spec::RouteTable spec = hostsOf({{"a.com"}, {"[::1]"}});
  spec.ignorePortInHost = true;
  auto table = built(std::move(spec));
  CHECK(hostOf(*table, "a.com:8080") == "a.com");
  CHECK(hostOf(*table, "[::1]:8080") == "[::1]");
  CHECK(hostOf(*table, "[::1]") == "[::1]");
}

TEST_CASE("the first route that matches wins, whatever its kind") {
  auto regex = [](std::string_view pattern) {
    spec::RouteMatch match = pathMatch(Kind::kRegex, "");
    match.dfa = dfaOf(pattern);
    return match;
  };
  std::vector<spec::Route> routes;
  routes.push_back(routeOf("exact", pathMatch(Kind::kPath, "/api/exact")));
  routes.push_back(routeOf("regex", regex("/api/\\d+")));
  routes.push_back(routeOf("separated", pathMatch(Kind::kSeparatedPrefix, "/api/dev")));
  routes.push_back(routeOf("prefix", prefixMatch("/api/d")));
  routes.push_back(routeOf("never", pathMatch(Kind::kPath, "/api/dx")));
  routes.push_back(routeOf("any js", regex("/.*\\.js")));
  routes.push_back(routeOf("root", prefixMatch("/")));
  auto table = built(tableOf(std::move(routes)));
  CHECK(routed(*table, "/api/exact") == "exact");
  CHECK(routed(*table, "/api/exact?x=1") == "exact");
  CHECK(routed(*table, "/api/exact/") == "root");
  CHECK(routed(*table, "/api/12") == "regex");
  CHECK(routed(*table, "/api/12?q") == "regex");
  CHECK(routed(*table, "/api/12x") == "root");
  CHECK(routed(*table, "/api/dev") == "separated");
  CHECK(routed(*table, "/api/dev/") == "separated");
  CHECK(routed(*table, "/api/dev/v1") == "separated");
  CHECK(routed(*table, "/api/dev?param=true") == "separated");
  CHECK(routed(*table, "/api/developer") == "prefix");
  CHECK(routed(*table, "/api/dx") == "prefix");
  CHECK(routed(*table, "/lib/a.js") == "any js");
  CHECK(routed(*table, "/lib/a.js?v=1") == "any js");
  CHECK(routed(*table, "/?/api/exact") == "root");
  CHECK(routed(*table, "*") == "none");
  CHECK(routed(*table, "") == "none");
}

TEST_CASE("case counts unless it is said not to") {
  std::vector<spec::Route> routes;
  for (Kind kind : {Kind::kPath, Kind::kSeparatedPrefix, Kind::kPrefix}) {
    spec::RouteMatch match = pathMatch(kind, "/Ab" + std::to_string(int(kind)));
    match.caseSensitive = false;
    routes.push_back(routeOf("folded" + std::to_string(int(kind)), match));
  }
  routes.push_back(routeOf("sensitive", prefixMatch("/Xy")));
  auto table = built(tableOf(std::move(routes)));
  CHECK(routed(*table, "/aB1") == "folded1");
  CHECK(routed(*table, "/aB1x") == "none");
  CHECK(routed(*table, "/AB2/c") == "folded2");
  CHECK(routed(*table, "/AB2c") == "none");
  CHECK(routed(*table, "/ab0C") == "folded0");
  CHECK(routed(*table, "/Xyz") == "sensitive");
  CHECK(routed(*table, "/xyz") == "none");
}

TEST_CASE("conditions: headers, query parameters and a fraction must all hold") {
  std::vector<spec::Route> routes;
  spec::RouteMatch match = prefixMatch("/");
  match.headers = {exactHeader("x-env", "canary")};
  match.query = {{"debug", std::nullopt, true}};
  match.fraction = spec::Fraction{-1, 25, 100};
  routes.push_back(routeOf("special", match));
  routes.push_back(routeOf("rest", prefixMatch("/")));
  auto table = built(tableOf(std::move(routes)));
  Request all("/a?debug", {{"X-Env", "canary"}});
  CHECK(matched(*table, all.route(24)) == "special");
  CHECK(matched(*table, all.route(124)) == "special");
  CHECK(matched(*table, all.route(25)) == "rest");
  Request noHeader("/a?debug");
  CHECK(matched(*table, noHeader.route(0)) == "rest");
  Request noQuery("/a", {{"X-Env", "canary"}});
  CHECK(matched(*table, noQuery.route(0)) == "rest");
}

TEST_CASE("the runtime overrides a fraction") {
  spec::RouteMatch match = prefixMatch("/");
  match.fraction = spec::Fraction{1, 0, 10'000};
  std::vector<spec::Route> routes;
  routes.push_back(routeOf("some", match));
  auto table = built(tableOf(std::move(routes)));
  Request request("/");
  RuntimeSnapshot unset({{}, {}});
  RuntimeSnapshot percent({{}, {true, 30, 0}});
  RuntimeSnapshot parts({{}, {true, 30, 10'000}});
  RuntimeSnapshot over({{}, {true, 200, 0}});
  CHECK(matched(*table, request.route(0, &unset)) == "none");
  CHECK(matched(*table, request.route(0)) == "none");
  CHECK(matched(*table, request.route(129, &percent)) == "some");
  CHECK(matched(*table, request.route(130, &percent)) == "none");
  CHECK(matched(*table, request.route(10'029, &parts)) == "some");
  CHECK(matched(*table, request.route(129, &parts)) == "none");
  CHECK(matched(*table, request.route(99, &over)) == "some");
}

TEST_CASE("requireTls sends requests to https") {
  spec::RouteTable spec = hostsOf({{"all.com"}, {"external.com"}});
  spec.virtualHosts[0].requireTls = spec::RequireTls::kAll;
  spec.virtualHosts[1].requireTls = spec::RequireTls::kExternal;
  auto table = built(std::move(spec));
  auto outcome = [&](std::string host, bool https, bool internal) {
    Request request("/", {}, std::move(host));
    RouteRequest route = request.route();
    route.https = https;
    route.internal = internal;
    return table->match(route).outcome;
  };
  CHECK(outcome("all.com", false, false) == RouteOutcome::kTlsRequired);
  CHECK(outcome("all.com", false, true) == RouteOutcome::kTlsRequired);
  CHECK(outcome("all.com", true, false) == RouteOutcome::kMatched);
  CHECK(outcome("external.com", false, false) == RouteOutcome::kTlsRequired);
  CHECK(outcome("external.com", false, true) == RouteOutcome::kMatched);
}

TEST_CASE("a virtual host without a matching route is known to the caller") {
  std::vector<spec::Route> routes;
  routes.push_back(routeOf("a", prefixMatch("/a")));
  auto table = built(tableOf(std::move(routes)));
  Request request("/b");
  RouteResult result = table->match(request.route());
  CHECK(result.outcome == RouteOutcome::kNoRoute);
  CHECK(result.virtualHost->name == "all");
  CHECK(result.route == nullptr);
}

TEST_CASE("matching takes nothing from the heap") {
  spec::RouteTable spec = hostsOf({{"*.example.com"}, {"*"}});
  spec::RouteMatch match = prefixMatch("/");
  match.headers = {exactHeader("x-env", "canary"), exactHeader(":method", "GET")};
  match.query = {
      {"a", spec::StringMatcher{spec::StringMatcher::Kind::kPrefix, "1", {}, false}, true}};
  for (int i = 0; i < 20; i++) {  // nested deeper than what the stack holds
    spec.virtualHosts[0].routes.push_back(routeOf(
        "nested", pathMatch(Kind::kSeparatedPrefix, "/" + std::string(size_t(i) + 1, 'a'))));
  }
  spec.virtualHosts[0].routes.insert(spec.virtualHosts[0].routes.begin(),
                                     routeOf("special", match));
  auto table = built(std::move(spec));
  Request request("/aaaaaaaaaaaaaaaaaaaaaaaaa?b=2&a=12",
                  {{"x-env", "can"}, {"x-env", "ary"}, {"accept", "*/*"}}, "WWW.example.com");
  CHECK(matched(*table, request.route()) == "*.example.com");
  request.arena.allocate(1);
  size_t before = heapAllocations();
  for (int i = 0; i < 10; i++) CHECK(table->match(request.route()).route != nullptr);
  CHECK(heapAllocations() == before);
}

TEST_CASE("errors name the path of what is wrong") {
  auto broken = [](auto change) {
    spec::RouteTable spec = hostsOf({{"a.com"}, {"b.com"}});
    spec.virtualHosts[1].routes.push_back(routeOf("second", prefixMatch("/")));
    change(spec, spec.virtualHosts[1].routes[1]);
    return buildError(std::move(spec));
  };
  CHECK(broken([](auto&, auto&) {}) == "");
  CHECK(broken([](auto& t, auto&) { t.virtualHosts[1].domains = {"x", "A.com"}; }) ==
        "virtualHosts[1].domains[1]: \"A.com\" is a domain of another virtual host");
  CHECK(broken([](auto& t, auto&) { t.virtualHosts[0].domains = {""}; }) ==
        "virtualHosts[0].domains[0]: must not be empty");
  CHECK(broken([](auto&, auto& r) {
          r.match = pathMatch(Kind::kSeparatedPrefix, "/a/");
        }).starts_with("virtualHosts[1].routes[1].match.value: a path-separated prefix"));
  CHECK(broken([](auto&, auto& r) { r.match = pathMatch(Kind::kRegex, ""); }) ==
        "virtualHosts[1].routes[1].match.dfa.classes: must have 256 entries");
  CHECK(broken([](auto&, auto& r) { r.match.headers.resize(1); }) ==
        "virtualHosts[1].routes[1].match.headers[0].name: must not be empty");
  CHECK(broken([](auto&, auto& r) { r.match.query.resize(2); }) ==
        "virtualHosts[1].routes[1].match.query[0].name: must not be empty");
  CHECK(broken([](auto&, auto& r) { r.match.fraction = spec::Fraction{-1, 1, 0}; }) ==
        "virtualHosts[1].routes[1].match.fraction.denominator: must not be 0");
  CHECK(broken([](auto&, auto& r) { std::get<spec::Forward>(r.action).cluster.name = ""; }) ==
        "virtualHosts[1].routes[1].action.cluster.name: must not be empty");
  CHECK(broken([](auto&, auto& r) {
          std::get<spec::Forward>(r.action).clusterNotFoundStatus = 200;
        }) == "virtualHosts[1].routes[1].action.clusterNotFoundStatus: must be 503, 404 or 500");
  CHECK(broken([](auto&, auto& r) { std::get<spec::Forward>(r.action).prefixRewrite = "/a b"; }) ==
        "virtualHosts[1].routes[1].action.prefixRewrite: holds bytes that a request line cannot");
  CHECK(broken([](auto&, auto& r) {
          spec::Redirect redirect;
          redirect.status = 304;
          r.action = redirect;
        }) == "virtualHosts[1].routes[1].action.status: must be 301, 302, 303, 307 or 308");
  CHECK(broken([](auto&, auto& r) { r.action = spec::DirectResponse{600, ""}; }) ==
        "virtualHosts[1].routes[1].action.status: must be 200 to 599");
  CHECK(broken([](auto& t, auto&) { t.response.remove = {":status"}; }) ==
        "response.remove[0]: \":status\" cannot be changed: pseudo headers and host have rewrites "
        "of their own");
}
