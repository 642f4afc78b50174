// Subsets of a cluster by metadata: who is in which, and every fallback.
#include <deque>

#include "stats/registry.h"
#include "upstream/balancer_kit.h"
#include "upstream/cluster.h"
#include "upstream/cluster_stats.h"

using namespace millrace;
using namespace millrace::test;
using spec::LbPolicy;
using Fallback = spec::SubsetLb::Fallback;
using SelectorFallback = spec::SubsetSelector::Fallback;

namespace {

// Four hosts: stage and version are prod 1, prod 2, test 1, and none.
struct Staged : TestHosts {
  std::deque<HostMetadata> metadata;

  Staged() {
    with({"stage", "\"prod\"", "version", "1"});
    with({"stage", "\"prod\"", "version", "2"});
    with({"stage", "\"test\"", "version", "1"});
    add();
  }
  HostEntry& with(std::vector<std::string> flat) {
    HostEntry& entry = add();
    entry.metadata = &metadata.emplace_back(std::move(flat));
    return entry;
  }
};

MetadataMatch match(HostCriteria criteria) {
  std::sort(criteria.begin(), criteria.end());
  return {std::move(criteria), {}};
}

// Which hosts 400 picks reach; empty: none.
std::string reached(const Balancer& balancer, const std::vector<HostEntry>& hosts,
                    const MetadataMatch* m, uint32_t* events = nullptr) {
  auto counts = picks(balancer, hosts, 100, [&](uint64_t) {
    PickContext context;
    context.match = m;
    return context;
  });
  std::string text;
  for (size_t i = 0; i < hosts.size(); i++) {
    if (counts[i] != 0) text += std::to_string(i);
  }
  if (events != nullptr) {
    PickState state(1);
    PickContext context;
    context.match = m;
    balancer.pick(context, state, hosts);
    *events = state.events;
  }
  return text;
}

std::string reached(const spec::SubsetLb& subsets, const std::vector<HostEntry>& hosts,
                    const MetadataMatch& m, LbPolicy p = LbPolicy::kRoundRobin) {
  spec::Lb lb{.policy = p, .subsets = subsets};
  return reached(*build(lb, hosts), hosts, &m);
}

const MetadataMatch kProd = match({{"stage", "\"prod\""}});
const MetadataMatch kProd1 = match({{"version", "1"}, {"stage", "\"prod\""}});
const MetadataMatch kNowhere = match({{"stage", "\"lab\""}});

}  // namespace

TEST_CASE("a request goes to the hosts that have exactly what its route asks for") {
  Staged hosts;
  spec::SubsetLb subsets{.selectors = {{.keys = {"stage"}}, {.keys = {"version", "stage"}}}};
  for (LbPolicy p : {LbPolicy::kRoundRobin, LbPolicy::kRandom, LbPolicy::kLeastRequest,
                     LbPolicy::kMaglev, LbPolicy::kRingHash}) {
    CHECK(reached(subsets, hosts.entries, kProd, p) == "01");
    CHECK(reached(subsets, hosts.entries, kProd1, p) == "0");
    CHECK(reached(subsets, hosts.entries, match({{"stage", "\"test\""}}), p) == "2");
  }
  // No selector of these keys, no such value, nothing asked: NO_FALLBACK.
  CHECK(reached(subsets, hosts.entries, match({{"version", "1"}})).empty());
  CHECK(reached(subsets, hosts.entries, kNowhere).empty());
  CHECK(reached(subsets, hosts.entries, match({{"stage", "prod"}})).empty());  // JSON text
  CHECK(reached(subsets, hosts.entries, {}).empty());
  CHECK(reached(subsets, hosts.entries, match({{"stage", "\"prod\""}, {"x", "1"}})).empty());
}

TEST_CASE("in a subset hosts are shared as in a cluster: by weight, health and panic") {
  Staged hosts;
  hosts.entries[0].weight = 3;
  spec::Lb lb{.policy = LbPolicy::kRandom, .subsets = spec::SubsetLb{.selectors = {{{"stage"}}}}};
  auto context = [](uint64_t) {
    PickContext c;
    c.match = &kProd;
    return c;
  };
  CHECK(fits(picks(*build(lb, hosts.entries), hosts.entries, 50'000, context), {3, 1, 0, 0}));
  hosts.entries[0].health = Health::kUnhealthy;
  CHECK(reached(*build(lb, hosts.entries), hosts.entries, &kProd) == "1");
  hosts.entries[1].health = Health::kUnhealthy;
  CHECK(reached(*build(lb, hosts.entries), hosts.entries, &kProd) == "01");
}

TEST_CASE("fallbacks: any endpoint, the default subset, and any when that is empty") {
  Staged hosts;
  spec::SubsetLb subsets{.fallback = Fallback::kAny, .selectors = {{.keys = {"stage"}}}};
  CHECK(reached(subsets, hosts.entries, kNowhere) == "0123");
  CHECK(reached(subsets, hosts.entries, {}) == "0123");
  subsets.fallback = Fallback::kDefault;
  subsets.defaultSubset = {"version", "1"};
  CHECK(reached(subsets, hosts.entries, kNowhere) == "02");
  subsets.defaultSubset = {"version", "1", "stage", "\"test\""};
  CHECK(reached(subsets, hosts.entries, kNowhere) == "2");
  subsets.defaultSubset = {"version", "9"};
  CHECK(reached(subsets, hosts.entries, kNowhere).empty());
  subsets.panicModeAny = true;
  CHECK(reached(subsets, hosts.entries, kNowhere) == "0123");
  uint32_t events = 0;
  spec::Lb lb{.subsets = subsets};
  reached(*build(lb, hosts.entries), hosts.entries, &kNowhere, &events);
  CHECK(events == kPickFallbackPanic);
  reached(*build(lb, hosts.entries), hosts.entries, &kProd, &events);
  CHECK(events == kPickSubset);
}

TEST_CASE("a selector's own fallback comes before that of all") {
  Staged hosts;
  auto withFallback = [&](SelectorFallback fallback, std::vector<std::string> keys = {}) {
    return spec::SubsetLb{
        .fallback = Fallback::kAny,
        .defaultSubset = {"version", "2"},
        .selectors = {{.keys = {"stage", "version"}, .fallback = fallback, .fallbackKeys = keys},
                      {.keys = {"stage"}, .fallback = SelectorFallback::kNone}}};
  };
  const MetadataMatch prod9 = match({{"stage", "\"prod\""}, {"version", "9"}});
  CHECK(reached(withFallback(SelectorFallback::kNotDefined), hosts.entries, prod9) == "0123");
  CHECK(reached(withFallback(SelectorFallback::kNone), hosts.entries, prod9).empty());
  CHECK(reached(withFallback(SelectorFallback::kAny), hosts.entries, prod9) == "0123");
  CHECK(reached(withFallback(SelectorFallback::kDefault), hosts.entries, prod9) == "1");
  CHECK(reached(withFallback(SelectorFallback::kKeys, {"stage"}), hosts.entries, prod9) == "01");
  const MetadataMatch lab9 = match({{"stage", "\"lab\""}, {"version", "9"}});
  CHECK(reached(withFallback(SelectorFallback::kKeys, {"stage"}), hosts.entries, lab9).empty());
}

TEST_CASE("redundant keys are allowed if so asked; the selector with the most keys wins") {
  Staged hosts;
  spec::SubsetLb subsets{.selectors = {{.keys = {"stage"}}, {.keys = {"stage", "version"}}},
                         .allowRedundantKeys = true};
  CHECK(reached(subsets, hosts.entries, match({{"a", "1"}, {"stage", "\"prod\""}})) == "01");
  CHECK(reached(subsets, hosts.entries,
                match({{"a", "1"}, {"stage", "\"prod\""}, {"version", "2"}, {"z", "1"}})) == "1");
  CHECK(reached(subsets, hosts.entries, match({{"a", "1"}})).empty());
}

TEST_CASE("one host for each value, whatever its priority, unless it is unhealthy") {
  Staged hosts;
  hosts.with({"id", "\"a\""}).priority = 3;
  hosts.with({"id", "\"b\""});
  hosts.with({"id", "\"b\""});  // the same again: the first one counts
  spec::SubsetLb subsets{.selectors = {{.keys = {"id"}, .singleHost = true}}};
  CHECK(reached(subsets, hosts.entries, match({{"id", "\"a\""}})) == "4");
  CHECK(reached(subsets, hosts.entries, match({{"id", "\"b\""}})) == "5");
  hosts.entries[5].health = Health::kUnhealthy;
  CHECK(reached(subsets, hosts.entries, match({{"id", "\"b\""}})).empty());
}

TEST_CASE("a host with several values of a key is in the subset of each") {
  Staged hosts;
  hosts.with({"stage", "\"prod\"", "stage", "\"test\"", "version", "1", "version", "2"});
  spec::SubsetLb subsets{.selectors = {{.keys = {"stage"}}, {.keys = {"stage", "version"}}}};
  CHECK(reached(subsets, hosts.entries, kProd) == "014");
  CHECK(reached(subsets, hosts.entries, match({{"stage", "\"test\""}})) == "24");
  CHECK(reached(subsets, hosts.entries, match({{"stage", "\"test\""}, {"version", "2"}})) == "4");
}

TEST_CASE("a list of metadata to try is tried in turn, if the cluster says so") {
  Staged hosts;
  spec::SubsetLb subsets{.selectors = {{.keys = {"stage"}}}, .fallbackList = true};
  MetadataMatch m = kProd;
  m.variants = {{{"stage", "\"lab\""}}, {{"stage", "\"test\""}}, {{"stage", "\"prod\""}}};
  CHECK(reached(subsets, hosts.entries, m) == "2");
  m.variants = {{{"stage", "\"lab\""}}};
  CHECK(reached(subsets, hosts.entries, m).empty());
  subsets.fallbackList = false;
  CHECK(reached(subsets, hosts.entries, m) == "01");
}

TEST_CASE("weights of localities count in subsets if so asked, scaled by what is in the subset") {
  std::vector<spec::Locality> localities{{.weight = 1}, {.weight = 1}};
  Staged hosts;
  hosts.entries[1].locality = hosts.entries[2].locality = hosts.entries[3].locality = 1;
  hosts.with({"stage", "\"prod\""}).locality = 1;
  // prod: host 0 of one in the first locality, hosts 1 and 4 of four in the second.
  auto counts = [&](bool aware, bool scale) {
    spec::Lb lb{.policy = LbPolicy::kRandom,
                .localityWeighted = true,
                .subsets = spec::SubsetLb{.selectors = {{{"stage"}}},
                                          .localityWeightAware = aware,
                                          .scaleLocalityWeight = scale}};
    return picks(*build(lb, hosts.entries, localities), hosts.entries, 30'000, [](uint64_t) {
      PickContext context;
      context.match = &kProd;
      return context;
    });
  };
  CHECK(fits(counts(false, false), {1, 1, 0, 0, 1}));
  CHECK(fits(counts(true, false), {2, 1, 0, 0, 1}));
  CHECK(fits(counts(true, true), {4, 1, 0, 0, 1}));
}

TEST_CASE("subsets that come and go are counted, once for all workers") {
  StatsRegistry stats;
  ClusterRegistry registry(stats, 4);
  auto host = [](uint16_t port, std::vector<std::string> metadata) {
    return spec::Host{
        .id = port, .address = {.ip = "127.0.0.1", .port = port}, .metadata = std::move(metadata)};
  };
  spec::Cluster cluster{.name = "web"};
  cluster.hosts = {host(1, {"stage", "1"}), host(2, {"stage", "2", "id", "7"})};
  cluster.lb.subsets =
      spec::SubsetLb{.selectors = {{.keys = {"stage"}}, {.keys = {"id"}, .singleHost = true}}};
  auto first = std::move(*registry.build(1, cluster));
  auto counted = [&] {
    StatBlock block = stats.mainShard().block(first->identity().statBlock());
    std::vector<uint64_t> values;
    for (auto stat : {cluster_stat::kLbSubsetsActive, cluster_stat::kLbSubsetsCreated,
                      cluster_stat::kLbSubsetsRemoved, cluster_stat::kLbSubsetsDuplicate}) {
      values.push_back(block[stat].value());
    }
    return values;
  };
  CHECK(counted() == std::vector<uint64_t>{3, 3, 0, 0});
  auto same = registry.update(1, {.set = {host(1, {"stage", "2", "id", "7"})}});
  CHECK(counted() == std::vector<uint64_t>{2, 3, 1, 1});
  auto more = registry.update(1, {.set = {host(3, {"stage", "3"})}, .remove = {2}});
  CHECK(counted() == std::vector<uint64_t>{3, 4, 1, 0});
  cluster.lb.subsets.reset();
  auto none = registry.build(1, cluster);
  CHECK(counted() == std::vector<uint64_t>{0, 4, 4, 0});
}

TEST_CASE("thousands of subsets: each has its hosts and its own place in the round") {
  TestHosts hosts;
  std::deque<HostMetadata> metadata;
  for (int i = 0; i < 4000; i++) {
    hosts.add().metadata =
        &metadata.emplace_back(std::vector<std::string>{"shard", std::to_string(i / 2)});
  }
  spec::Lb lb{.subsets = spec::SubsetLb{.selectors = {{{"shard"}}}}};
  auto balancer = build(lb, hosts.entries);
  PickState state(1);
  MetadataMatch a = match({{"shard", "0"}}), b = match({{"shard", "1999"}});
  std::vector<int> counts(4000);
  for (int i = 0; i < 100; i++) {
    PickContext context;
    context.match = i % 2 == 0 ? &a : &b;
    counts[size_t(balancer->pick(context, state, hosts.entries) - hosts.entries.data())]++;
  }
  for (size_t i : {0, 1, 3998, 3999}) CHECK(counts[i] == 25);
}
