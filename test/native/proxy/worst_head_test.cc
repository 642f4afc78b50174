// The worst head for what looks at heads: memory that grows with the head, never with the head
// times what is configured. Counted in bytes of the arena, not in time.
#include <doctest/doctest.h>

#include <string>

#include "route_kit.h"

using namespace millrace;
using namespace millrace::test;

namespace {

constexpr size_t kRoutes = 1000;
constexpr size_t kHeadBytes = 56'000;

// Bytes that matching took from the arena's pool.
size_t taken(const RouteTable& table, const Request& request) {
  size_t before = request.pool.bytesTaken();
  CHECK(matched(table, request.route()) == "rest");
  return request.pool.bytesTaken() - before;
}

std::unique_ptr<RouteTable> tableWith(void (*condition)(spec::RouteMatch&, size_t)) {
  std::vector<spec::Route> routes;
  for (size_t i = 0; i < kRoutes; i++) {
    spec::RouteMatch match = prefixMatch("/");
    condition(match, i);
    routes.push_back(routeOf("r" + std::to_string(i), std::move(match)));
  }
  routes.push_back(routeOf("rest", prefixMatch("/")));
  return built(tableOf(std::move(routes)));
}

}  // namespace

TEST_CASE("a thousand routes by a field in several lines") {
  auto table = tableWith([](spec::RouteMatch& match, size_t i) {
    spec::HeaderMatcher header;
    header.name = "x-user";
    header.kind = spec::HeaderMatcher::Kind::kString;
    header.string.value = "u" + std::to_string(i);
    match.headers.push_back(header);
  });
  for (size_t lines : {1, 2, 8, 100}) {
    CAPTURE(lines);
    Fields fields;
    for (size_t i = 0; i < lines; i++) {
      fields.push_back({"x-user", std::string(kHeadBytes / lines, 'y')});
    }
    CHECK(taken(*table, Request("/", std::move(fields))) <= 2 * kHeadBytes);
  }
}

TEST_CASE("a thousand routes by parameters of a query that has none of them") {
  auto table = tableWith([](spec::RouteMatch& match, size_t i) {
    match.query.push_back({"p" + std::to_string(i), std::nullopt, true});
  });
  std::string path = "/?";
  while (path.size() < kHeadBytes) path += "a&";
  CHECK(taken(*table, Request(path)) <= 2 * kHeadBytes);
}
