#include "proxy/rewrite.h"

#include <doctest/doctest.h>

#include "proxy/redirect.h"
#include "proxy/regex_kit.h"
#include "proxy/route_kit.h"

using namespace millrace;
using namespace millrace::test;
using Kind = spec::RouteMatch::Kind;
using HostKind = spec::HostRewrite::Kind;

namespace {

// A table with one route, and what it does to a request.
struct Rewriting {
  Rewriting(spec::RouteMatch match, spec::RouteAction action) {
    spec::Route route = routeOf("r", std::move(match));
    route.action = std::move(action);
    std::vector<spec::Route> routes;
    routes.push_back(std::move(route));
    table = built(tableOf(std::move(routes)));
  }
  const Route& route(const Request& request) const {
    RouteResult result = table->match(request.route());
    REQUIRE(result.route != nullptr);
    return *result.route;
  }
  // The path that a request for `path` is forwarded with.
  std::string path(std::string path) const {
    Request request(std::move(path));
    const Route& r = route(request);
    REQUIRE(rewritePath(r, *r.forward(), request.head, true));
    original = request.header("x-envoy-original-path");
    return std::string(request.head.path);
  }
  std::string host(Request& request, ClusterPick pick = {}) const {
    const Route& r = route(request);
    REQUIRE(rewriteHost(*r.forward(), pick, request.head));
    return std::string(request.head.authority);
  }
  std::string location(Request& request, std::string_view proto = "http") const {
    const Route& r = route(request);
    std::string_view out;
    REQUIRE(redirectLocation(r, *r.redirect(), request.head, proto, out));
    return std::string(out);
  }
  std::string location(std::string path) const {
    Request request(std::move(path));
    return location(request);
  }
  std::unique_ptr<RouteTable> table;
  mutable std::string original;
};

spec::Forward prefixRewrite(std::string to) {
  spec::Forward forward = forwardTo("c");
  forward.prefixRewrite = std::move(to);
  return forward;
}

spec::Forward hostRewrite(HostKind kind, std::string value = "", bool append = false) {
  spec::Forward forward = forwardTo("c");
  forward.hostRewrite = spec::HostRewrite{kind, value, value, {}};
  forward.appendXForwardedHost = append;
  return forward;
}

spec::RegexRewrite regexRewrite(std::string_view pattern,
                                std::vector<spec::SubstitutionPart> parts) {
  return {programOf(pattern), std::move(parts)};
}

}  // namespace

TEST_CASE("prefix_rewrite swaps the matched prefix and keeps the query") {
  Rewriting slash(prefixMatch("/prefix/"), prefixRewrite("/"));
  CHECK(slash.path("/prefix/etc?a=/prefix/") == "/etc?a=/prefix/");
  CHECK(slash.original == "/prefix/etc?a=/prefix/");
  Rewriting bare(prefixMatch("/prefix"), prefixRewrite("/"));
  CHECK(bare.path("/prefix") == "/");
  CHECK(bare.path("/prefix?q") == "/?q");
  Rewriting separated(pathMatch(Kind::kSeparatedPrefix, "/api"), prefixRewrite("/v1"));
  CHECK(separated.path("/api/x") == "/v1/x");
  Rewriting exact(pathMatch(Kind::kPath, "/a"), prefixRewrite("/b"));
  CHECK(exact.path("/a?q=1") == "/b?q=1");
  spec::RouteMatch folded = prefixMatch("/Abc");
  folded.caseSensitive = false;
  CHECK(Rewriting(folded, prefixRewrite("/x")).path("/aBCd") == "/xd");
  spec::RouteMatch regex = pathMatch(Kind::kRegex, "");
  regex.dfa = dfaOf("/\\d+");
  CHECK(Rewriting(regex, prefixRewrite("/n")).path("/12?q") ==
        "/n?q");  // all of the path is the prefix
}

TEST_CASE("without a rewrite the path stays, and what has none in front gets a slash") {
  Rewriting none(prefixMatch("/"), forwardTo("c"));
  CHECK(none.path("/a?b") == "/a?b");
  CHECK(none.original == "(absent)");
  CHECK(Rewriting(prefixMatch("/"), prefixRewrite("")).path("/a") == "/a");
  CHECK(Rewriting(prefixMatch("/a"), prefixRewrite("b")).path("/ac") == "/bc");
}

TEST_CASE("regex_rewrite works on the path without its query") {
  spec::Forward forward = forwardTo("c");
  forward.regexRewrite = regexRewrite("^/service/([^/]+)(/.*)$", {2u, "/instance/", 1u});
  Rewriting rewriting(prefixMatch("/"), std::move(forward));
  CHECK(rewriting.path("/service/foo/v1/api?x=/service/") == "/v1/api/instance/foo?x=/service/");
  CHECK(rewriting.original == "/service/foo/v1/api?x=/service/");
  CHECK(rewriting.path("/other") == "/other");
}

TEST_CASE("the host: a literal, a header, an expression") {
  Request request("/a/b.example?c", {{"X-Host", "from-header"}, {"x-bad", "a b"}});
  CHECK(Rewriting(prefixMatch("/"), hostRewrite(HostKind::kLiteral, "new:80")).host(request) ==
        "new:80");
  request.head.authority = "old";
  CHECK(Rewriting(prefixMatch("/"), hostRewrite(HostKind::kHeader, "x-host")).host(request) ==
        "from-header");
  request.head.authority = "old";
  CHECK(Rewriting(prefixMatch("/"), hostRewrite(HostKind::kHeader, "x-none")).host(request) ==
        "old");
  CHECK(Rewriting(prefixMatch("/"), hostRewrite(HostKind::kHeader, "x-bad")).host(request) ==
        "old");
  CHECK(Rewriting(prefixMatch("/"), hostRewrite(HostKind::kAuto)).host(request) == "old");
  spec::Forward forward = hostRewrite(HostKind::kPathRegex);
  forward.hostRewrite->rewrite = regexRewrite("^/.+/(.+)$", {1u});
  CHECK(Rewriting(prefixMatch("/"), forward).host(request) == "b.example");
  request.head.authority = "old";
  forward.hostRewrite->rewrite = regexRewrite("^/", {1u - 1u, "/"});
  CHECK(Rewriting(prefixMatch("/"), forward).host(request) == "old");  // "//a/b.example" is no host
}

TEST_CASE("auto takes the picked host's name, and a weighted cluster's literal goes first") {
  Request request("/");
  Rewriting rewriting(prefixMatch("/"), hostRewrite(HostKind::kAuto));
  const ForwardAction& action = *rewriting.route(request).forward();
  rewriteHostAuto(action, {}, "", request.head);
  CHECK(request.head.authority == "example.com");
  rewriteHostAuto(action, {}, "origin.internal", request.head);
  CHECK(request.head.authority == "origin.internal");
  WeightedCluster weighted;
  weighted.hostRewrite = "weighted";
  ClusterPick pick{"w", 1, &weighted};
  CHECK(rewriting.host(request, pick) == "weighted");
  rewriteHostAuto(action, pick, "origin.internal", request.head);
  CHECK(request.head.authority == "weighted");
}

TEST_CASE("append_x_forwarded_host keeps the old authority, once") {
  Rewriting rewriting(prefixMatch("/"), hostRewrite(HostKind::kLiteral, "new", true));
  auto forwardedHost = [&](Fields fields) {
    Request request("/", std::move(fields));
    rewriting.host(request);
    return request.header("x-forwarded-host");
  };
  CHECK(forwardedHost({}) == "example.com");
  CHECK(forwardedHost({{"x-forwarded-host", "first"}}) == "first,example.com");
  CHECK(forwardedHost({{"x-forwarded-host", "first, example.com"}}) == "first, example.com");
}

TEST_CASE("a rewrite that works too long is reported and changes nothing") {
  spec::Forward forward = forwardTo("c");
  forward.regexRewrite = regexRewrite("a(.*b)?", {"c"});
  Rewriting rewriting(prefixMatch("/"), std::move(forward));
  std::string path = "/" + std::string(20'000, 'a');
  Request request(path);
  const Route& route = rewriting.route(request);
  CHECK_FALSE(rewritePath(route, *route.forward(), request.head, true));
  CHECK(request.head.path == path);
  CHECK(request.header("x-envoy-original-path") == "(absent)");
}

TEST_CASE("redirects: scheme, host and port") {
  spec::Redirect https;
  https.https = true;
  Rewriting secure(prefixMatch("/"), https);
  CHECK(secure.location("/a?b=c") == "https://example.com/a?b=c");
  Request port80("/", {}, "example.com:80");
  CHECK(secure.location(port80) == "https://example.com/");
  Request port8080("/", {}, "example.com:8080");
  CHECK(secure.location(port8080) == "https://example.com:8080/");
  Request v6("/", {}, "[::1]:80");
  CHECK(secure.location(v6) == "https://[::1]/");
  Request bareV6("/", {}, "[::1]");
  CHECK(secure.location(bareV6) == "https://[::1]/");
  spec::Redirect http;
  http.scheme = "http";
  Rewriting plain(prefixMatch("/"), http);
  Request port443("/", {}, "example.com:443");
  CHECK(plain.location(port443, "https") == "http://example.com/");
  CHECK(plain.location(port80, "http") == "http://example.com:80/");  // the scheme does not change
  spec::Redirect port;
  port.port = 8443;
  port.scheme = "https";
  CHECK(Rewriting(prefixMatch("/"), port).location(port80) == "https://example.com:8443/");
  spec::Redirect host;
  host.host = "other.org";
  host.port = 81;
  CHECK(Rewriting(prefixMatch("/"), host).location(port80) == "http://other.org:81/");
}

TEST_CASE("redirects: paths, with the examples of the proto") {
  auto with = [](std::string path, bool strip) {
    spec::Redirect redirect;
    redirect.path = std::move(path);
    redirect.stripQuery = strip;
    return Rewriting(prefixMatch("/"), redirect);
  };
  CHECK(with("/new-path-1", false).location("/old?bar=1") == "http://example.com/new-path-1?bar=1");
  CHECK(with("/new-path-2", true).location("/old?bar=1") == "http://example.com/new-path-2");
  CHECK(with("/new-path-3?foo=1", true).location("/old?bar=1") ==
        "http://example.com/new-path-3?foo=1");
  CHECK(with("bare", false).location("/old") == "http://example.com/bare");
  spec::Redirect prefix;
  prefix.prefixRewrite = "/new";
  CHECK(Rewriting(prefixMatch("/old"), prefix).location("/old/x?q") ==
        "http://example.com/new/x?q");
  prefix.stripQuery = true;
  CHECK(Rewriting(prefixMatch("/old"), prefix).location("/old/x?q") == "http://example.com/new/x");
  spec::Redirect regex;
  regex.regexRewrite = regexRewrite("^/(\\d+)$", {"/n/", 1u});
  CHECK(Rewriting(prefixMatch("/"), regex).location("/12?q") == "http://example.com/n/12?q");
  Request tls("/a?b");
  CHECK(tlsRedirectLocation(tls.head) == "https://example.com/a?b");
}
