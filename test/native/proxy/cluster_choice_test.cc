#include "proxy/cluster_choice.h"

#include <doctest/doctest.h>

#include "proxy/route_kit.h"

using namespace millrace;
using namespace millrace::test;
using Kind = spec::ClusterChoice::Kind;

namespace {

spec::ClusterChoice weightedOf(std::vector<std::pair<std::string, uint32_t>> clusters,
                               std::string header = "") {
  spec::ClusterChoice spec;
  spec.kind = Kind::kWeighted;
  spec.header = std::move(header);
  for (auto& [name, weight] : clusters) {
    spec::WeightedCluster cluster;
    cluster.name = name;
    cluster.weight = weight;
    cluster.slot = uint32_t(spec.clusters.size() + 1);
    spec.clusters.push_back(std::move(cluster));
  }
  return spec;
}

ClusterChoice compiled(spec::ClusterChoice spec) {
  Result<ClusterChoice> choice = ClusterChoice::compile(std::move(spec), "c");
  REQUIRE(choice.ok());
  return std::move(*choice);
}

std::string error(spec::ClusterChoice spec) {
  Result<ClusterChoice> choice = ClusterChoice::compile(std::move(spec), "c");
  return choice.ok() ? "" : choice.error().message;
}

}  // namespace

TEST_CASE("one cluster, with or without a request") {
  spec::ClusterChoice spec;
  spec.name = "a";
  spec.slot = 7;
  ClusterChoice choice = compiled(spec);
  ClusterPick pick = choice.pick(nullptr, 5);
  CHECK(pick.name == "a");
  CHECK(pick.slot == 7);
  CHECK(pick.weighted == nullptr);
}

TEST_CASE("a cluster named by a header: the first field of that name, looked up by name") {
  spec::ClusterChoice spec;
  spec.kind = Kind::kHeader;
  spec.header = "X-Cluster";
  ClusterChoice choice = compiled(spec);
  Request two("/", {{"x-cluster", "b"}, {"x-cluster", "c"}});
  ClusterPick pick = choice.pick(&two.head.headers, 0);
  CHECK(pick.name == "b");
  CHECK(pick.slot == kNoSlot);
  Request none("/");
  CHECK(choice.pick(&none.head.headers, 0).name == "");
}

TEST_CASE("weights share out the random numbers") {
  ClusterChoice choice = compiled(weightedOf({{"a", 1}, {"zero", 0}, {"b", 3}}));
  int counts[2] = {0, 0};
  for (uint64_t random = 0; random < 400; random++) {
    ClusterPick pick = choice.pick(nullptr, random);
    REQUIRE(pick.name != "zero");
    REQUIRE(pick.weighted->name == pick.name);
    REQUIRE(pick.slot == (pick.name == "a" ? 1u : 3u));
    counts[pick.name == "a" ? 0 : 1]++;
  }
  CHECK(counts[0] == 100);
  CHECK(counts[1] == 300);
}

TEST_CASE("a header's number chooses instead of chance, when it is one number") {
  ClusterChoice choice = compiled(weightedOf({{"a", 50}, {"b", 50}}, "x-choose"));
  auto name = [&](Fields fields) {
    Request request("/", std::move(fields));
    return std::string(choice.pick(&request.head.headers, 10).name);
  };
  CHECK(name({{"X-Choose", "60"}}) == "b");
  CHECK(name({{"x-choose", "18446744073709551615"}}) == "a");
  CHECK(name({{"x-choose", "18446744073709551616"}}) == "a");  // too large: chance, which says a
  CHECK(name({{"x-choose", "60x"}}) == "a");
  CHECK(name({{"x-choose", "-40"}}) == "a");
  CHECK(name({{"x-choose", ""}}) == "a");
  CHECK(name({{"x-choose", "60"}, {"x-choose", "60"}}) == "a");
  CHECK(name({}) == "a");
}

TEST_CASE("a weighted entry may be named by a header") {
  spec::ClusterChoice spec = weightedOf({{"", 1}});
  spec.clusters[0].header = "x-c";
  ClusterChoice choice = compiled(spec);
  Request request("/", {{"X-C", "named"}});
  ClusterPick pick = choice.pick(&request.head.headers, 0);
  CHECK(pick.name == "named");
  CHECK(pick.slot == kNoSlot);
  CHECK(pick.weighted != nullptr);
}

TEST_CASE("choices that cannot be made are refused by name") {
  CHECK(error(weightedOf({})) == "c.clusters: the sum of weights must be from 1 to 4294967295");
  CHECK(error(weightedOf({{"a", 0}})) ==
        "c.clusters: the sum of weights must be from 1 to 4294967295");
  CHECK(error(weightedOf({{"a", UINT32_MAX}, {"b", 1}})) ==
        "c.clusters: the sum of weights must be from 1 to 4294967295");
  CHECK(error(weightedOf({{"", 1}})) ==
        "c.clusters[0]: exactly one of name and header must be given");
  spec::ClusterChoice header;
  header.kind = Kind::kHeader;
  CHECK(error(header) == "c.header: must not be empty");
}
