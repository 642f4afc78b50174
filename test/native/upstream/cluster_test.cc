// Snapshots of clusters: identity of hosts, the order of round robin, panic.
#include "upstream/cluster.h"

#include <doctest/doctest.h>

#include <map>

using namespace millrace;

namespace {

spec::Cluster cluster(std::vector<std::pair<uint16_t, uint32_t>> portsAndWeights) {
  spec::Cluster c;
  c.name = "web";
  for (auto [port, weight] : portsAndWeights) {
    c.hosts.push_back({.id = port, .address = {.ip = "127.0.0.1", .port = port}, .weight = weight});
  }
  return c;
}

std::map<uint16_t, int> picks(const ClusterSnapshot& snapshot, uint64_t seed, int n) {
  std::map<uint16_t, int> counts;
  PickState state(seed);
  for (int i = 0; i < n; i++) counts[snapshot.pick({}, state)->host->address().port()]++;
  return counts;
}

// The gauges that a registry makes of what it has, by name.
struct Gauges : StatVisitor {
  std::map<std::string, int64_t> values;
  explicit Gauges(const ClusterRegistry& registry) { registry.visitGauges(*this); }
  void counter(const StatName&, uint64_t) override {}
  void gauge(const StatName& n, int64_t value) override {
    values[std::string(n.prefix) + std::string(n.name)] = value;
  }
  void histogram(const StatName&, HistogramUnit, const HistogramData&) override {}
};

}  // namespace

TEST_CASE("a weighted round gives each host its share, spread evenly") {
  CHECK(weightedSchedule(std::vector<uint32_t>{1, 1, 1}) == std::vector<uint32_t>{0, 1, 2});
  CHECK(weightedSchedule(std::vector<uint32_t>{5, 5}) ==
        std::vector<uint32_t>{0, 1});  // common factors cost no places
  CHECK(weightedSchedule(std::vector<uint32_t>{3, 1}) == std::vector<uint32_t>{0, 0, 1, 0});
  CHECK(weightedSchedule(std::vector<uint32_t>{0, 2, 0}) == std::vector<uint32_t>{1});
  CHECK(weightedSchedule(std::vector<uint32_t>{}).empty());
  CHECK(weightedSchedule(std::vector<uint32_t>{0}).empty());

  std::vector<uint32_t> weights{7, 13, 1, 40};
  auto schedule = weightedSchedule(weights);
  REQUIRE(schedule.size() == 61);
  for (size_t host = 0; host < weights.size(); host++) {
    // In every window the host stands as often as its weight says, give or take one.
    for (size_t window = 1; window <= schedule.size(); window++) {
      auto count = std::count(schedule.begin(), schedule.begin() + long(window), host);
      double due = double(window) * weights[host] / 61;
      CHECK(std::abs(double(count) - due) < 2);
    }
  }
}

TEST_CASE("huge weights are scaled, and no host loses its last place") {
  auto schedule = weightedSchedule(std::vector<uint32_t>{4'000'000'007, 1, 4'000'000'007});
  CHECK(schedule.size() <= kMaxScheduleLength + 3);
  CHECK(std::count(schedule.begin(), schedule.end(), 1u) == 1);
}

TEST_CASE("hosts keep their identity while their id and address stay") {
  StatsRegistry stats;
  ClusterRegistry registry(stats, 2);
  auto first = std::move(*registry.build(1, cluster({{80, 1}, {81, 1}})));
  auto second = std::move(*registry.build(1, cluster({{81, 5}, {82, 1}})));
  CHECK(first->hosts()[1].host == second->hosts()[1].host);
  CHECK(second->entry(*first->hosts()[1].host));
  CHECK_FALSE(second->entry(*first->hosts()[0].host));
  CHECK(&first->identity() == &second->identity());

  // A host that left and came back is another one: its pools were closed.
  auto third = std::move(*registry.build(1, cluster({{80, 1}, {81, 1}})));
  CHECK(third->hosts()[0].host != first->hosts()[0].host);

  auto other = cluster({{80, 1}});
  other.name = "other";
  auto fourth = std::move(*registry.build(1, other));
  CHECK(&fourth->identity() != &third->identity());
  CHECK(fourth->hosts()[0].host != third->hosts()[0].host);
}

TEST_CASE("an id that is named twice is one host, as it stands last") {
  StatsRegistry stats;
  ClusterRegistry registry(stats, 1);
  auto snapshot = std::move(*registry.build(1, cluster({{80, 1}, {80, 9}})));
  REQUIRE(snapshot->hosts().size() == 1);
  CHECK(snapshot->hosts()[0].weight == 9);
}

TEST_CASE("a bad address changes nothing") {
  StatsRegistry stats;
  ClusterRegistry registry(stats, 1);
  auto good = std::move(*registry.build(1, cluster({{80, 1}})));
  auto bad = cluster({{80, 1}});
  bad.hosts[0].address.ip = "example.com";
  auto refused = registry.build(1, bad);
  REQUIRE_FALSE(refused.ok());
  CHECK(std::string_view(refused.error().code) == "ERR_MILLRACE_ADDRESS");
  auto again = std::move(*registry.build(1, cluster({{80, 1}})));
  CHECK(again->hosts()[0].host == good->hosts()[0].host);
}

TEST_CASE("unhealthy hosts get nothing, unless so many are that it is a panic") {
  StatsRegistry stats;
  ClusterRegistry registry(stats, 1);
  auto spec = cluster({{80, 1}, {81, 1}, {82, 1}});
  spec.hosts[0].health = Health::kUnhealthy;
  auto snapshot = std::move(*registry.build(1, spec));
  CHECK(picks(*snapshot, 7, 10) == std::map<uint16_t, int>{{81, 5}, {82, 5}});
  spec.hosts[1].health = Health::kUnhealthy;  // one of three: below 50 %
  snapshot = std::move(*registry.build(1, spec));
  CHECK(picks(*snapshot, 0, 9) == std::map<uint16_t, int>{{80, 3}, {81, 3}, {82, 3}});
}

TEST_CASE("a cluster without hosts has none to give") {
  StatsRegistry stats;
  ClusterRegistry registry(stats, 1);
  PickState state(1);
  CHECK(registry.build(1, cluster({})).value()->pick({}, state) == nullptr);
}

TEST_CASE("breakers count over all workers") {
  Resource resource;
  CHECK(resource.tryTake(2));
  CHECK(resource.tryTake(2));
  CHECK_FALSE(resource.tryTake(2));
  resource.give();
  CHECK(resource.tryTake(2));
  resource.take();  // the first connection of a worker
  CHECK(resource.taken() == 3);
}

TEST_CASE("open breakers and the number of hosts show as gauges") {
  StatsRegistry stats;
  ClusterRegistry registry(stats, 1);
  auto spec = cluster({{80, 1}, {81, 1}});
  spec.hosts[0].health = Health::kUnhealthy;
  spec.breakers.high.maxRequests = 1;
  auto snapshot = std::move(*registry.build(1, spec));
  CHECK(snapshot->identity().resources(Priority::kHigh).requests.tryTake(1));
  Gauges gauges(registry);
  CHECK(gauges.values["cluster.web.membership_total"] == 2);
  CHECK(gauges.values["cluster.web.membership_healthy"] == 1);
  CHECK(gauges.values["cluster.web.circuit_breakers.high.rq_open"] == 1);
  CHECK(gauges.values["cluster.web.circuit_breakers.high.cx_open"] == 0);
  CHECK(gauges.values["cluster.web.circuit_breakers.default.rq_open"] == 0);
}

TEST_CASE("what a hashing table is made of, and the greatest weight, show as gauges") {
  StatsRegistry stats;
  ClusterRegistry registry(stats, 1);
  auto spec = cluster({{80, 1}, {81, 3}});
  auto gauge = [&](std::string_view name) {
    auto values = Gauges(registry).values;
    auto it = values.find("cluster.web." + std::string(name));
    return it == values.end() ? -1 : it->second;
  };
  spec.lb.policy = spec::LbPolicy::kRingHash;
  auto ring = std::move(*registry.build(1, spec));
  CHECK(gauge("max_host_weight") == 3);
  CHECK(gauge("ring_hash_lb.size") == 1024);
  CHECK(gauge("ring_hash_lb.min_hashes_per_host") == 256);
  CHECK(gauge("ring_hash_lb.max_hashes_per_host") == 768);
  CHECK(gauge("maglev_lb.min_entries_per_host") == -1);
  spec.lb.policy = spec::LbPolicy::kMaglev;
  spec.hosts[1].weight = 1;
  auto maglev = std::move(*registry.build(1, spec));
  CHECK(gauge("max_host_weight") == 1);
  CHECK(gauge("maglev_lb.min_entries_per_host") == 32'768);
  CHECK(gauge("maglev_lb.max_entries_per_host") == 32'769);
  CHECK(gauge("ring_hash_lb.size") == -1);
}
