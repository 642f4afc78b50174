// Requests and tables for tests of routing.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/arena.h"
#include "http/headers.h"
#include "proxy/route_table.h"

namespace millrace::test {

using Fields = std::vector<std::pair<std::string, std::string>>;

// A request head that owns its text.
struct Request {
  explicit Request(std::string path, Fields fields = {}, std::string authority = "example.com")
      : path(std::move(path)), authority(std::move(authority)), fields(std::move(fields)) {
    head.methodText = "GET";
    head.method = Method::kGet;
    head.path = this->path;
    head.authority = this->authority;
    head.scheme = "http";
    for (const auto& [name, value] : this->fields) {
      head.headers.add(name, value, headerId(name));
    }
  }
  RouteRequest route(uint64_t random = 0, const RuntimeSnapshot* runtime = nullptr) const {
    RouteRequest request;
    request.method = head.methodText;
    request.path = head.path;
    request.authority = head.authority;
    request.scheme = head.scheme;
    request.headers = &head.headers;
    request.random = random;
    request.runtime = runtime;
    return request;
  }
  std::string header(std::string_view name) const {
    bool found = false;
    std::string_view value = head.headers.joined(name, found);
    return found ? std::string(value) : "(absent)";
  }
  std::string path;
  std::string authority;
  Fields fields;
  ChunkPool pool;
  Arena arena{pool};
  RequestHead head{arena};
};

inline spec::RouteMatch pathMatch(spec::RouteMatch::Kind kind, std::string value) {
  spec::RouteMatch match;
  match.kind = kind;
  match.value = std::move(value);
  return match;
}
inline spec::RouteMatch prefixMatch(std::string value) {
  return pathMatch(spec::RouteMatch::Kind::kPrefix, std::move(value));
}

inline spec::Forward forwardTo(std::string cluster) {
  spec::Forward forward;
  forward.cluster.name = std::move(cluster);
  forward.cluster.slot = 1;
  return forward;
}

inline spec::Route routeOf(std::string name, spec::RouteMatch match) {
  spec::Route route;
  route.action = forwardTo(name);
  route.name = std::move(name);
  route.match = std::move(match);
  return route;
}

// One virtual host for everything.
inline spec::RouteTable tableOf(std::vector<spec::Route> routes) {
  spec::RouteTable table;
  table.virtualHosts.resize(1);
  table.virtualHosts[0].name = "all";
  table.virtualHosts[0].domains = {"*"};
  table.virtualHosts[0].routes = std::move(routes);
  return table;
}

inline std::unique_ptr<RouteTable> built(spec::RouteTable spec) {
  Result<std::unique_ptr<RouteTable>> table = RouteTable::build(std::move(spec));
  if (!table.ok()) FAIL(table.error().message);
  return std::move(*table);
}

// The message of the error; empty when it was built.
inline std::string buildError(spec::RouteTable spec) {
  Result<std::unique_ptr<RouteTable>> table = RouteTable::build(std::move(spec));
  return table.ok() ? std::string() : table.error().message;
}

// The name of the route that matched, or "none".
inline std::string matched(const RouteTable& table, const RouteRequest& request) {
  RouteResult result = table.match(request);
  return result.route == nullptr ? "none" : result.route->name;
}

}  // namespace millrace::test
