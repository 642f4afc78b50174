// Zone-aware routing: what stays in the zone, where the rest goes, and when zones do not matter.
#include "upstream/balancer/zone_routing.h"

#include <map>

#include "stats/registry.h"
#include "upstream/balancer_kit.h"
#include "upstream/cluster.h"
#include "upstream/cluster_stats.h"

using namespace millrace;
using namespace millrace::test;
using spec::LbPolicy;

namespace {

const std::vector<spec::Locality> kZones{{.zone = "a"}, {.zone = "b"}, {.zone = "c"}};
constexpr LbPolicy kPolicies[] = {LbPolicy::kRoundRobin, LbPolicy::kRandom,
                                  LbPolicy::kLeastRequest};

// So many healthy hosts in each of the zones a, b and c.
struct ZonedHosts : TestHosts {
  explicit ZonedHosts(const std::vector<int>& counts, uint8_t priority = 0) {
    for (uint32_t zone = 0; zone < counts.size(); zone++) {
      for (int i = 0; i < counts[zone]; i++) add(1, priority, Health::kHealthy, zone);
    }
  }
};

// This proxy is in zone a; of the proxies so many are in each zone.
LocalZones proxies(const std::vector<int>& counts,
                   std::optional<ZoneName> own = ZoneName{"", "a", ""}) {
  return LocalZones::count(own, kZones, ZonedHosts(counts).entries);
}

std::unique_ptr<const Balancer> build(const spec::Lb& lb, const TestHosts& hosts,
                                      const LocalZones& zones) {
  return Balancer::build(lb, kZones, hosts.entries, &zones);
}

// What each zone of `hosts` gets of many picks.
std::vector<uint64_t> byZone(const Balancer& balancer, const TestHosts& hosts, int each = 50'000) {
  std::vector<uint64_t> counts(kZones.size());
  auto all = picks(balancer, hosts.entries, each);
  for (size_t i = 0; i < hosts.entries.size(); i++) counts[hosts.entries[i].locality] += all[i];
  return counts;
}

uint32_t eventsOf(const Balancer& balancer, const TestHosts& hosts) {
  PickState state(1);
  uint32_t events = 0;
  for (int i = 0; i < 1000; i++) {
    balancer.pick({}, state, hosts.entries);
    events |= state.events;
  }
  return events;
}

}  // namespace

TEST_CASE("zones: everything stays where hosts are at least as many as proxies, in shares") {
  ZonedHosts hosts({4, 2, 2});
  LocalZones local = proxies({5, 3, 2});
  for (LbPolicy p : kPolicies) {
    auto balancer = build(policy(p), hosts, local);
    auto counts = picks(*balancer, hosts.entries, 20'000);
    CHECK(fits(counts, {1, 1, 1, 1, 0, 0, 0, 0}));
    CHECK(eventsOf(*balancer, hosts) == kPickZoneLocal);
    CHECK(balancer->counts().zonesComputed == 1);
  }
}

TEST_CASE("zones: what the own one cannot take goes where there is room, by how much of it") {
  // The proxies of a send 40 % and its hosts take 25 %, so five of eight stay. There is room for
  // 10 % in b, and for 5 % in c.
  ZonedHosts hosts({2, 4, 2});
  LocalZones local = proxies({4, 4, 2});
  for (LbPolicy p : kPolicies) {
    auto balancer = build(policy(p), hosts, local);
    CHECK(fits(byZone(*balancer, hosts), {0.625, 0.25, 0.125}));
    CHECK(eventsOf(*balancer, hosts) == (kPickZoneSampled | kPickZoneCross));
  }
  // All proxies together load every host the same.
  std::vector<double> load(3, 0.0);
  for (const auto& [own, part] : {std::pair{"a", 0.4}, {"b", 0.4}, {"c", 0.2}}) {
    LocalZones there = proxies({4, 4, 2}, ZoneName{"", own, ""});
    auto counts = byZone(*build(policy(LbPolicy::kRandom), hosts, there), hosts);
    for (size_t zone = 0; zone < 3; zone++) load[zone] += part * double(counts[zone]) / 200'000;
  }
  CHECK(std::abs(load[0] - 0.25) < 0.01);
  CHECK(std::abs(load[1] - 0.5) < 0.01);
  CHECK(std::abs(load[2] - 0.25) < 0.01);
}

TEST_CASE("zones: a zone without hosts sends everything elsewhere") {
  ZonedHosts hosts({0, 3, 5});
  auto balancer = build(policy(LbPolicy::kRandom), hosts, proxies({5, 3, 2}));
  // Room: 37.5 - 30 and 62.5 - 20.
  CHECK(fits(byZone(*balancer, hosts), {0, 7.5, 42.5}));
  CHECK(eventsOf(*balancer, hosts) == kPickZoneCross);
  // The same where its hosts are there and none is healthy.
  ZonedHosts sick({2, 3, 5});
  for (size_t i = 0; i < 2; i++) sick.entries[i].health = Health::kUnhealthy;
  balancer = build(policy(LbPolicy::kRandom), sick, proxies({5, 3, 2}));
  CHECK(fits(byZone(*balancer, sick), {0, 7.5, 42.5}));
}

TEST_CASE("zones: only a part of the picks looks at them") {
  ZonedHosts hosts({4, 2, 2});
  for (uint32_t percent : {0u, 30u}) {
    spec::Lb lb{.policy = LbPolicy::kRandom, .zoneAware = {.enabledPercent = percent}};
    auto balancer = build(lb, hosts, proxies({5, 3, 2}));
    double rest = (100 - percent) / 100.0;
    CHECK(fits(byZone(*balancer, hosts), {1 - rest / 2, rest / 4, rest / 4}));
  }
}

TEST_CASE("zones: weights count within a zone") {
  ZonedHosts hosts({3, 3});
  for (size_t i = 0; i < 3; i++) hosts.entries[i].weight = uint32_t(i + 1);
  for (LbPolicy p : kPolicies) {
    auto counts = picks(*build(policy(p), hosts, proxies({1, 1})), hosts.entries, 60'000);
    CHECK(fits(counts, {1, 2, 3, 0, 0, 0}));
  }
}

TEST_CASE("zones do not matter to few hosts, nor with one zone, nor where this one is unknown") {
  auto flat = [](const TestHosts& hosts, const LocalZones& local, spec::Lb lb = {}) {
    auto balancer = build(lb, hosts, local);
    CHECK(fits(picks(*balancer, hosts.entries, 30'000),
               std::vector<double>(hosts.entries.size(), 1)));
    CHECK(eventsOf(*balancer, hosts) == 0);
    return balancer->counts();
  };
  CHECK(flat(ZonedHosts({3, 2}), proxies({1, 1})).zoneTooSmall == 1);
  CHECK(flat(ZonedHosts({3, 3}), proxies({1, 1}), {.zoneAware = {.minClusterSize = 7}})
            .zoneTooSmall == 1);
  CHECK(flat(ZonedHosts({9}), proxies({1, 1})).localNotOk == 0);
  CHECK(flat(ZonedHosts({6, 3}), proxies({4})).localNotOk == 0);
  CHECK(flat(ZonedHosts({6, 3}), proxies({0, 1, 1})).localNotOk == 1);
  CHECK(flat(ZonedHosts({6, 3}), proxies({1, 1}, std::nullopt)).localNotOk == 1);
  // Policies that hash do not ask.
  ZonedHosts hosts({6, 3});
  spec::Lb ring{.policy = LbPolicy::kRingHash};
  CHECK(build(ring, hosts, proxies({1, 1}))->counts().zonesComputed == 0);
}

TEST_CASE("zones: proxies in panic balance over all zones, or not at all if so asked") {
  ZonedHosts where({2, 2});
  for (size_t i = 1; i < 4; i++) where.entries[i].health = Health::kUnhealthy;
  auto local = LocalZones::count(ZoneName{"", "a", ""}, kZones, where.entries);
  ZonedHosts hosts({6, 6});
  spec::Lb lb{.policy = LbPolicy::kRandom};
  auto balancer = build(lb, hosts, local);
  CHECK(fits(byZone(*balancer, hosts), {1, 1, 0}));
  CHECK(eventsOf(*balancer, hosts) == kPickLocalNotOk);
  lb.failTrafficOnPanic = true;
  CHECK(picks(*build(lb, hosts, local), hosts.entries, 100)[12] == kThreads * 100);
}

TEST_CASE("zones: where rounding leaves no room, any zone is as good") {
  LocalZones local = proxies({1, 1, 1});
  local.healthy = {{{"", "a", ""}, 3334}, {{"", "b", ""}, 3333}, {{"", "c", ""}, 3333}};
  local.health.healthy = 10'000;
  ZonedHosts hosts({2, 2, 2});
  auto balancer = build(policy(LbPolicy::kRandom), hosts, local);
  // 3333 of 3334 stay; a third of the rest each.
  double rest = (10'000 - 9997) / 10'000.0;
  CHECK(fits(byZone(*balancer, hosts, 400'000), {1 - rest * 2 / 3, rest / 3, rest / 3}));
  PickState state(1);
  uint32_t events = 0;
  for (int i = 0; i < 100'000; i++) {
    balancer->pick({}, state, hosts.entries);
    events |= state.events;
  }
  CHECK(events == (kPickZoneSampled | kPickZoneCross | kPickZoneFull));
}

TEST_CASE("zones are those of the first priority alone, and panic there does not look at them") {
  ZonedHosts hosts({6, 6});
  for (size_t i = 0; i < 12; i += 2) hosts.entries[i].health = Health::kUnhealthy;
  for (uint32_t zone : {0u, 1u}) hosts.add(1, 1, Health::kHealthy, zone);
  auto balancer = build(policy(LbPolicy::kRandom), hosts, proxies({1, 1}));
  std::vector<double> expected(14, 0);
  for (size_t i = 1; i < 6; i += 2) expected[i] = 70.0 / 3;
  expected[12] = expected[13] = 15;
  CHECK(fits(picks(*balancer, hosts.entries, 50'000), expected));

  ZonedHosts sick({6, 6});
  for (size_t i = 3; i < 12; i++) sick.entries[i].health = Health::kUnhealthy;
  balancer = build(policy(LbPolicy::kRandom), sick, proxies({1, 1}));
  CHECK(fits(byZone(*balancer, sick), {1, 1, 0}));
  CHECK(eventsOf(*balancer, sick) == kPickPanic);
}

TEST_CASE("zones: shares are those of healthy hosts, and degraded ones elsewhere are not lost") {
  // Two of eight healthy and two degraded: 25 % × 1.4 of the load each, panic turned off.
  TestHosts hosts;
  for (uint32_t zone : {0u, 1u}) {
    for (int i = 0; i < 3; i++) hosts.add(1, 0, Health::kUnhealthy, zone);
    hosts.add(1, 0, Health::kHealthy, zone);
  }
  hosts.entries[4].health = hosts.entries[5].health = Health::kDegraded;
  spec::Lb lb{.policy = LbPolicy::kRandom, .panicThreshold = 0, .zoneAware = {.minClusterSize = 1}};
  auto counts = picks(*build(lb, hosts, proxies({1, 1})), hosts.entries, 50'000);
  CHECK(fits(counts, {0, 0, 0, 50, 25, 25, 0, 0}));
}

TEST_CASE("localities with weights win over zones; without, zones matter after all") {
  ZonedHosts hosts({6, 6});
  std::vector<spec::Locality> weighted = kZones;
  weighted[0].weight = 1;
  weighted[1].weight = 3;
  spec::Lb lb{.policy = LbPolicy::kRandom, .localityWeighted = true};
  LocalZones local = proxies({1, 1});
  auto balancer = Balancer::build(lb, weighted, hosts.entries, &local);
  CHECK(fits(byZone(*balancer, hosts), {1, 3, 0}));
  CHECK(fits(byZone(*build(lb, hosts, local), hosts), {1, 0, 0}));
}

TEST_CASE("zones within subsets") {
  HostMetadata prod({"stage", "1"});
  ZonedHosts hosts({7, 7});
  for (size_t i = 1; i < 13; i++) hosts.entries[i].metadata = &prod;
  spec::SubsetLb subsets{.selectors = {{.keys = {"stage"}}}};
  spec::Lb lb{.policy = LbPolicy::kRandom, .subsets = subsets};
  LocalZones local = proxies({2, 1});
  auto balancer = build(lb, hosts, local);
  CHECK(balancer->counts().zonesComputed == 2);
  MetadataMatch match{{{"stage", "1"}}, {}};
  auto counts = picks(*balancer, hosts.entries, 50'000, [&](uint64_t) {
    PickContext context;
    context.match = &match;
    return context;
  });
  // 50 of 66.66 stay.
  std::vector<double> expected(14, 0);
  for (size_t i = 1; i < 7; i++) expected[i] = 0.75;
  for (size_t i = 7; i < 13; i++) expected[i] = 0.25;
  CHECK(fits(counts, expected));
}

TEST_CASE("an entry of an assignment that repeats a locality is the same zone") {
  std::vector<spec::Locality> twice{{.zone = "a"}, {.zone = "b"}, {.zone = "a"}};
  TestHosts hosts;
  for (uint32_t locality : {0u, 1u, 2u}) {
    for (int i = 0; i < 2; i++) hosts.add(1, 0, Health::kHealthy, locality);
  }
  LocalZones local = proxies({2, 1});
  auto balancer = Balancer::build({}, twice, hosts.entries, &local);
  CHECK(fits(picks(*balancer, hosts.entries, 20'000), {1, 1, 0, 0, 1, 1}));
}

// ---- The registry

namespace {

spec::Cluster clusterOf(std::string name, const std::vector<int>& counts) {
  spec::Cluster c{.name = std::move(name)};
  c.localities = kZones;
  c.lb.policy = LbPolicy::kRandom;
  uint16_t port = 1;
  for (uint32_t zone = 0; zone < counts.size(); zone++) {
    for (int i = 0; i < counts[zone]; i++, port++) {
      c.hosts.push_back(
          {.id = port, .address = {.ip = "127.0.0.1", .port = port}, .locality = zone});
    }
  }
  return c;
}

// What part of picks is in zone a.
double partOfA(const ClusterSnapshot& snapshot) {
  PickState state(7);
  int inA = 0;
  for (int i = 0; i < 20'000; i++) inA += snapshot.pick({}, state)->locality == 0;
  return inA / 20'000.0;
}

uint64_t statOf(StatsRegistry& stats, const ClusterSnapshot& snapshot,
                cluster_stat::ClusterStat stat) {
  return stats.mainShard().block(snapshot.identity().statBlock())[stat].value();
}

}  // namespace

TEST_CASE("a change of the local cluster makes new tables of the others, and of those alone") {
  StatsRegistry stats;
  ClusterRegistry registry(stats, 1);
  auto web = std::move(*registry.build(1, clusterOf("web", {3, 3})));
  CHECK(partOfA(*web) == doctest::Approx(0.5).epsilon(0.05));
  auto hashed = clusterOf("hashed", {3, 3});
  hashed.lb.policy = LbPolicy::kMaglev;
  auto maglev = std::move(*registry.build(2, hashed));
  CHECK(registry.takeRezoned().empty());

  // Named before it is there, as a configuration may do it.
  registry.setLocal({.slot = 3, .node = spec::Locality{.zone = "a"}});
  CHECK(registry.takeRezoned().size() == 2);  // for the numbers of responses by zone
  registry.setLocal({.slot = 3, .node = spec::Locality{.zone = "a"}});
  CHECK(registry.takeRezoned().empty());
  auto local = std::move(*registry.build(3, clusterOf("us", {2, 1})));
  auto rezoned = registry.takeRezoned();
  REQUIRE(rezoned.size() == 1);
  CHECK(rezoned[0]->slot() == 1);
  CHECK(partOfA(*rezoned[0]) == doctest::Approx(0.75).epsilon(0.05));
  CHECK(statOf(stats, *web, cluster_stat::kLbRecalculateZoneStructures) == 1);

  // Its own hosts are chosen without regard to zones.
  CHECK(partOfA(*local) == doctest::Approx(2.0 / 3).epsilon(0.05));

  // What does not change the numbers changes nothing.
  auto same = registry.update(
      3, {.set = {{.id = 1, .address = {.ip = "127.0.0.1", .port = 9}, .weight = 7}}});
  CHECK(registry.takeRezoned().empty());
  spec::Host third{.id = 50, .address = {.ip = "127.0.0.1", .port = 50}, .locality = 1};
  auto more = registry.update(3, {.set = {third}});
  rezoned = registry.takeRezoned();
  REQUIRE(rezoned.size() == 1);
  CHECK(partOfA(*rezoned[0]) == 1);

  registry.forget(3);
  rezoned = registry.takeRezoned();
  REQUIRE(rezoned.size() == 1);
  CHECK(partOfA(*rezoned[0]) == doctest::Approx(0.5).epsilon(0.05));
}

TEST_CASE("the tables of very many hosts are made in several turns") {
  StatsRegistry stats;
  ClusterRegistry registry(stats, 1);
  registry.setLocal({.slot = 9, .node = spec::Locality{.zone = "a"}});
  for (SlotId slot = 1; slot <= 3; slot++) {
    auto first = registry.build(slot, clusterOf("web" + std::to_string(slot), {5000, 5000}));
  }
  auto local = std::move(*registry.build(9, clusterOf("us", {1, 1})));
  CHECK(registry.takeRezoned().size() == 2);
  CHECK(registry.rezonesMore());
  CHECK(registry.takeRezoned().size() == 1);
  CHECK_FALSE(registry.rezonesMore());
}

TEST_CASE("responses have numbers by zone where both zones have a name, and keep them") {
  StatsRegistry stats;
  ClusterRegistry registry(stats, 1);
  auto unknown = std::move(*registry.build(1, clusterOf("web", {1, 1})));
  CHECK(unknown->zoneStats() == nullptr);
  registry.setLocal({.node = spec::Locality{.zone = "here"}});
  auto rezoned = registry.takeRezoned();
  REQUIRE(rezoned.size() == 1);
  const ZoneStatNames* names = rezoned[0]->zoneStats();
  REQUIRE(names != nullptr);
  REQUIRE(names->block(1) != nullptr);
  CHECK_FALSE(*names->block(0) == *names->block(1));
  CHECK(names->block(3) == nullptr);
  ResponseStats responses(rezoned[0]->identity().responses(), stats.mainShard());
  responses.countZone(*names->block(1), 404);
  auto spec = clusterOf("web", {1, 2});
  spec.localities[0].zone = "";
  auto next = std::move(*registry.build(1, spec));
  rezoned.clear();
  CHECK(next->zoneStats()->block(0) == nullptr);
  struct Counters : StatVisitor {
    std::map<std::string, uint64_t> values;
    void counter(const StatName& n, uint64_t value) override {
      if (value != 0) values[std::string(n.prefix) + std::string(n.name)] = value;
    }
    void gauge(const StatName&, int64_t) override {}
    void histogram(const StatName&, HistogramUnit, const HistogramData&) override {}
  } counters;
  stats.visit(counters);
  CHECK(counters.values["cluster.web.zone.here.b.upstream_rq_completed"] == 1);
  CHECK(counters.values["cluster.web.zone.here.b.upstream_rq_4xx"] == 1);
  CHECK(counters.values["cluster.web.zone.here.b.upstream_rq_404"] == 1);
  registry.setLocal({});
  CHECK(registry.takeRezoned().at(0)->zoneStats() == nullptr);
}

TEST_CASE("why zones do not matter is counted") {
  StatsRegistry stats;
  ClusterRegistry registry(stats, 1);
  registry.setLocal({.slot = 3, .node = spec::Locality{.zone = "c"}});
  auto local = std::move(*registry.build(3, clusterOf("us", {2, 1})));
  auto web = std::move(*registry.build(1, clusterOf("web", {3, 3})));
  CHECK(statOf(stats, *web, cluster_stat::kLbLocalClusterNotOk) == 1);
  registry.setLocal({.slot = 3, .node = spec::Locality{.zone = "a"}});
  auto small = std::move(*registry.build(2, clusterOf("small", {1, 1})));
  CHECK(statOf(stats, *small, cluster_stat::kLbZoneClusterTooSmall) == 1);
}
