#include "proxy/header_mutation.h"

#include <doctest/doctest.h>

#include "proxy/route_kit.h"
#include "proxy/stream_info.h"
#include "support/allocations.h"

using namespace millrace;
using namespace millrace::test;
using Action = spec::HeaderValue::Action;

namespace {

spec::HeaderValue value(std::string name, std::vector<spec::FormatOp> ops,
                        Action action = Action::kAppend, bool keepEmpty = false) {
  return {std::move(name), std::move(ops), action, keepEmpty};
}
spec::FormatOp req(std::string name) {
  return spec::FormatOperator{"REQ", std::move(name), {}, {}, {}};
}

// A request, and the mutations it went through: they own the literals that are its headers now.
struct Mutated : Request {
  using Request::Request;

  // Returns all fields in order, "name: value".
  std::vector<std::string> apply(spec::HeaderMutations spec) {
    Result<HeaderMutations> mutations = HeaderMutations::compile(std::move(spec), "m");
    if (!mutations.ok()) FAIL(mutations.error().message);
    kept.push_back(std::move(*mutations));
    StreamInfo info;
    info.method = head.methodText;
    info.path = head.path;
    info.requestHeaders = &head.headers;
    kept.back().apply(head.headers, info);
    std::vector<std::string> out;
    for (const Header& h : head.headers) {
      out.push_back(std::string(h.name) + ": " + std::string(h.value));
    }
    return out;
  }
  std::vector<HeaderMutations> kept;
};

std::string error(spec::HeaderMutations spec) {
  Result<HeaderMutations> mutations = HeaderMutations::compile(std::move(spec), "m");
  return mutations.ok() ? "" : mutations.error().message;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("append, add if absent, overwrite, overwrite if there") {
  Mutated request("/", {{"A", "1"}, {"b", "1"}, {"c", "1"}, {"c", "2"}, {"d", "1"}});
  Lines lines = request.apply(
      {{value("a", {"2"}, Action::kAppend), value("b", {"2"}, Action::kAddIfAbsent),
        value("c", {"3"}, Action::kOverwrite), value("d", {"2"}, Action::kOverwriteIfExists),
        value("e", {"1"}, Action::kAddIfAbsent), value("f", {"1"}, Action::kOverwrite),
        value("g", {"1"}, Action::kOverwriteIfExists)},
       {}});
  CHECK(request.header("a") == "1,2");
  CHECK(request.header("b") == "1");
  CHECK(request.header("c") == "3");
  CHECK(request.header("d") == "2");
  CHECK(request.header("e") == "1");
  CHECK(request.header("f") == "1");
  CHECK(request.header("g") == "(absent)");
  CHECK(lines.size() == 7);
}

TEST_CASE("removing comes first, adding last") {
  Mutated request("/", {{"x", "old"}, {"User-Agent", "u"}});
  CHECK(request.apply({{value("x", {"new"}, Action::kAddIfAbsent)}, {"X", "user-agent", "none"}}) ==
        Lines{"x: new"});
}

TEST_CASE("values are made from the message as it came") {
  Mutated request("/", {{"a", "1"}});
  request.apply({{value("a", {"2"}, Action::kOverwrite), value("b", {"was-", req("a")})}, {}});
  CHECK(request.header("a") == "2");
  CHECK(request.header("b") == "was-1");
}

TEST_CASE("empty values are left out unless they are kept") {
  Mutated request("/", {{"a", "1"}});
  request.apply(
      {{value("b", {""}), value("c", {req("none")}),
        value("d", {req("none")}, Action::kAppend, true), value("e", {}, Action::kOverwrite, true),
        value("a", {req("none")}, Action::kOverwrite)},
       {}});
  CHECK(request.header("b") == "(absent)");
  CHECK(request.header("c") == "(absent)");
  CHECK(request.header("d") == "");
  CHECK(request.header("e") == "");
  CHECK(request.header("a") == "1");
}

TEST_CASE("a value that would break the message is not written") {
  Mutated request("/?q=a%0d%0aevil:%201");
  spec::FormatOp parameter = spec::FormatOperator{"QUERY_PARAM", "q", {}, {}, {}};
  request.apply({{value("x-q", {parameter}), value("x-ok", {"fine"})}, {}});
  CHECK(request.header("x-q") == "(absent)");
  CHECK(request.header("x-ok") == "fine");
}

TEST_CASE("literals cost no heap, and formatted values live in the stream's arena") {
  spec::HeaderMutations spec{
      {value("a", {"x", "y"}), value("b", {"p=", req(":path")}, Action::kOverwrite)}, {"c"}};
  Result<HeaderMutations> mutations = HeaderMutations::compile(std::move(spec), "m");
  REQUIRE(mutations.ok());
  Request request("/path", {{"c", "1"}});
  StreamInfo info;
  info.path = request.head.path;
  info.requestHeaders = &request.head.headers;
  size_t before = heapAllocations();
  mutations->apply(request.head.headers, info);
  CHECK(heapAllocations() == before);
  CHECK(request.header("a") == "xy");
  CHECK(request.header("b") == "p=/path");
}

TEST_CASE("what must not be changed is refused by name") {
  CHECK(error({{value(":path", {"x"})}, {}})
            .starts_with("m.add[0].name: \":path\" cannot be changed"));
  CHECK(error({{value("a", {"x"}), value("Host", {"x"})}, {}})
            .starts_with("m.add[1].name: \"host\" cannot be changed"));
  CHECK(error({{value("Content-Length", {"1"})}, {}}) ==
        "m.add[0].name: \"content-length\" cannot be changed: it belongs to the framing of the "
        "message");
  CHECK(error({{}, {"content-length"}})
            .starts_with("m.remove[0]: \"content-length\" cannot be changed"));
  CHECK(error({{}, {"connection", "keep-alive"}}) == "");
  CHECK(error({{value("a b", {"1"})}, {}}) == "m.add[0].name: \"a b\" is no name of a header");
  CHECK(error({{value("a", {"x\r\ny"})}, {}}) == "m.add[0].value: control bytes cannot be sent");
  CHECK(error({{value("a", {req("x"), "\n"})}, {}}) ==
        "m.add[0].value: control bytes cannot be sent");
  CHECK(error({{value("a", {spec::FormatOperator{"NO_SUCH", {}, {}, {}, {}}})}, {}}) != "");
}

namespace {

// Each level overwrites x-level by its name; the last to be applied is seen.
spec::HeaderMutations level(std::string name) {
  return {{value("x-level", {name}, Action::kOverwrite), value("x-order", {name})}, {}};
}

std::unique_ptr<RouteTable> layered(bool mostSpecificWins) {
  spec::Route route = routeOf("r", prefixMatch("/"));
  spec::Forward forward;
  forward.cluster.kind = spec::ClusterChoice::Kind::kWeighted;
  forward.cluster.clusters.resize(1);
  forward.cluster.clusters[0].name = "w";
  forward.cluster.clusters[0].weight = 1;
  forward.cluster.clusters[0].request = level("cluster");
  forward.cluster.clusters[0].response = level("cluster");
  route.action = std::move(forward);
  route.request = level("route");
  route.response = level("route");
  std::vector<spec::Route> routes;
  routes.push_back(std::move(route));
  spec::RouteTable table = tableOf(std::move(routes));
  table.virtualHosts[0].request = level("host");
  table.virtualHosts[0].response = level("host");
  table.request = level("table");
  table.response = level("table");
  table.mostSpecificMutationsWin = mostSpecificWins;
  return built(std::move(table));
}

}  // namespace

TEST_CASE("levels are applied from the most specific to the least, or the other way round") {
  for (bool mostSpecificWins : {false, true}) {
    auto table = layered(mostSpecificWins);
    Request request("/");
    RouteResult result = table->match(request.route());
    ClusterPick pick = result.route->forward()->cluster.pick(nullptr, 0);
    StreamInfo info;
    table->mutateRequest(result, &pick, request.head.headers, info);
    CHECK(request.header("x-level") == (mostSpecificWins ? "cluster" : "table"));
    CHECK(request.header("x-order") ==
          (mostSpecificWins ? "table,host,route,cluster" : "cluster,route,host,table"));
    Request response("/");
    table->mutateResponse(result, nullptr, response.head.headers, info);
    CHECK(response.header("x-order") ==
          (mostSpecificWins ? "table,host,route" : "route,host,table"));
  }
}
