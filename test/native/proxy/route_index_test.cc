// Random tables and random requests: the compiled table must answer exactly as one that tries every
// route in turn.
#include "proxy/route_index.h"

#include <doctest/doctest.h>

#include <optional>
#include <random>
#include <set>

#include "proxy/regex_kit.h"
#include "proxy/route_kit.h"

using namespace millrace;
using namespace millrace::test;
using Kind = spec::RouteMatch::Kind;

namespace {

// What a route asks for, in a form that a linear matcher reads without the code under test.
struct PlainRoute {
  Kind kind;
  std::string value;  // of kRegex: the pattern
  bool caseSensitive = true;
  std::optional<std::string> header;     // value of x-h that is wanted
  std::optional<std::string> parameter;  // that must be present
  std::optional<uint32_t> percent;
};

struct PlainRequest {
  std::string path, query;
  std::vector<std::string> headers;  // values of x-h
  uint64_t random;
};

std::string folded(std::string s) {
  for (char& c : s) c = char(std::tolower(c));
  return s;
}

bool pathMatches(const PlainRoute& route, std::string path) {
  std::string value = route.value;
  if (route.kind == Kind::kRegex) return matchesAll(Regex(value), path);
  if (!route.caseSensitive) {
    value = folded(value);
    path = folded(path);
  }
  if (route.kind == Kind::kPath) return path == value;
  if (path.substr(0, value.size()) != value) return false;
  return route.kind == Kind::kPrefix || path.size() == value.size() || path[value.size()] == '/';
}

bool conditionsMatch(const PlainRoute& route, const PlainRequest& request) {
  if (route.percent && request.random % 100 >= *route.percent) return false;
  if (route.header) {
    std::string joined;
    for (const std::string& h : request.headers) joined += (joined.empty() ? "" : ",") + h;
    if (request.headers.empty() || joined != *route.header) return false;
  }
  if (!route.parameter) return true;
  std::string rest = "&" + request.query + "&";
  return rest.find("&" + *route.parameter + "&") != std::string::npos ||
         rest.find("&" + *route.parameter + "=") != std::string::npos;
}

std::string linear(const std::vector<PlainRoute>& routes, const PlainRequest& request) {
  if (request.path.empty()) return "none";
  for (size_t i = 0; i < routes.size(); i++) {
    if (pathMatches(routes[i], request.path) && conditionsMatch(routes[i], request)) {
      return std::to_string(i);
    }
  }
  return "none";
}

class Generator {
 public:
  explicit Generator(uint32_t seed) : random_(seed) {}
  int roll(int n) { return int(random_() % uint32_t(n)); }

  // Few letters and few lengths, so that paths are prefixes of one another often.
  std::string path() {
    static const char* pieces[] = {"/", "/a", "/b", "a", "b", "A", "/ab", "/aB", "/a/b", "c"};
    std::string out = roll(12) == 0 ? "" : "/";
    for (int n = roll(5); n > 0; n--) out += pieces[roll(10)];
    return out;
  }
  std::string pattern() {
    static const char* pieces[] = {"/",  "a",  "b",     "/a", "[ab]",
                                   ".*", "a+", "(a|b)", "b?", "/[^/]*"};
    std::string out = roll(8) == 0 ? "" : "/";
    for (int n = roll(4); n > 0; n--) out += pieces[roll(10)];
    return out;
  }
  PlainRoute route() {
    PlainRoute route;
    route.kind = Kind(roll(4));
    route.caseSensitive = roll(3) != 0;
    route.value = route.kind == Kind::kRegex ? pattern() : path();
    if (route.kind == Kind::kSeparatedPrefix) {
      while (route.value.size() < 2 || route.value.back() == '/') route.value += "a";
    }
    if (roll(4) == 0) route.header = roll(3) == 0 ? "1,2" : std::to_string(roll(3));
    if (roll(6) == 0) route.parameter = std::string(1, "pq"[roll(2)]);
    if (roll(6) == 0) route.percent = uint32_t(roll(101));
    return route;
  }
  PlainRequest request() {
    PlainRequest request;
    request.path = path();
    if (roll(3) == 0) request.query = roll(2) == 0 ? "p" : roll(2) == 0 ? "x=1&q=2" : "pp=p&qq";
    for (int n = roll(3); n > 0; n--) request.headers.push_back(std::to_string(roll(3)));
    request.random = random_();
    return request;
  }

 private:
  std::mt19937 random_;
};

spec::Route specOf(const PlainRoute& plain, size_t number) {
  spec::RouteMatch match = pathMatch(plain.kind, plain.value);
  if (plain.kind == Kind::kRegex) match.dfa = dfaOf(plain.value);
  match.caseSensitive = plain.caseSensitive;
  if (plain.header) {
    spec::HeaderMatcher header;
    header.name = "x-h";
    header.kind = spec::HeaderMatcher::Kind::kString;
    header.string.value = *plain.header;
    match.headers.push_back(header);
  }
  if (plain.parameter) match.query.push_back({*plain.parameter, std::nullopt, true});
  if (plain.percent) match.fraction = spec::Fraction{-1, *plain.percent, 100};
  return routeOf(std::to_string(number), std::move(match));
}

void agree(Generator& generator, int routes, int requests, int& found) {
  std::vector<PlainRoute> plain;
  std::vector<spec::Route> specs;
  for (int i = 0; i < routes; i++) {
    plain.push_back(generator.route());
    specs.push_back(specOf(plain.back(), size_t(i)));
  }
  auto table = built(tableOf(std::move(specs)));
  for (int i = 0; i < requests; i++) {
    PlainRequest request = generator.request();
    Fields fields;
    for (const std::string& h : request.headers) fields.push_back({"X-H", h});
    std::string target = request.path + (request.query.empty() ? "" : "?" + request.query);
    Request head(target, fields);
    std::string expected = linear(plain, request);
    INFO("target ", target, " routes ", routes);
    REQUIRE(matched(*table, head.route(request.random)) == expected);
    found += expected != "none";
  }
}

}  // namespace

TEST_CASE("compiled tables answer as a plain linear matcher does") {
  Generator generator(3);
  int found = 0;
  for (int i = 0; i < 600; i++) agree(generator, generator.roll(12) + 1, 50, found);
  for (int i = 0; i < 40; i++) agree(generator, generator.roll(200) + 1, 100, found);
  CHECK(found > 10'000);
}

TEST_CASE("thousands of routes are found by their own path") {
  std::mt19937 random(4);
  std::vector<spec::Route> specs;
  std::vector<std::string> paths;
  for (int i = 0; i < 3000; i++) {
    std::string path;
    for (int n = int(random() % 4) + 1; n > 0; n--) path += "/s" + std::to_string(random() % 300);
    paths.push_back(path);
    Kind kind = i % 3 == 0 ? Kind::kPath : i % 3 == 1 ? Kind::kPrefix : Kind::kSeparatedPrefix;
    specs.push_back(routeOf(std::to_string(i), pathMatch(kind, path)));
  }
  std::vector<spec::Route> copy = specs;
  auto table = built(tableOf(std::move(specs)));
  for (size_t i = 0; i < paths.size(); i++) {
    size_t first = 0;
    for (; first < i; first++) {
      PlainRoute plain{copy[first].match.kind, paths[first], true, {}, {}, {}};
      if (pathMatches(plain, paths[i])) break;
    }
    Request request(paths[i]);
    REQUIRE(matched(*table, request.route()) == std::to_string(first));
  }
}
