// The cases that every policy must pass, from several workers at once. What is special to one
// policy is in balancer_test.cc and hashing_test.cc.
#include <algorithm>
#include <string>

#include "upstream/balancer/hash.h"
#include "upstream/balancer_kit.h"

using namespace millrace;
using namespace millrace::test;
using spec::LbPolicy;

namespace {

struct Policy {
  std::string name;
  spec::Lb lb;
};

// So many points that a ring's arcs come near to what weights say.
constexpr uint64_t kPoints = 100'000;

std::vector<Policy> policies() {
  std::vector<Policy> all{
      {"round robin", {.policy = LbPolicy::kRoundRobin}},
      {"round robin by reports", {.clientWeights = spec::ClientWeights()}},
      {"least request", {.policy = LbPolicy::kLeastRequest}},
      {"least request of five", {.policy = LbPolicy::kLeastRequest, .choiceCount = 5}},
      {"least request of all", {.policy = LbPolicy::kLeastRequest, .fullScan = true}},
      {"random", {.policy = LbPolicy::kRandom}},
      {"ring hash", {.policy = LbPolicy::kRingHash, .ringMin = kPoints}},
      {"ring hash, murmur", {.policy = LbPolicy::kRingHash, .ringMin = kPoints, .murmur = true}},
      {"Maglev", {.policy = LbPolicy::kMaglev}},
  };
  for (LbPolicy p : {LbPolicy::kRingHash, LbPolicy::kMaglev}) {
    bool ring = p == LbPolicy::kRingHash;
    all.push_back({ring ? "ring hash, bounded" : "Maglev, bounded",
                   {.policy = p, .ringMin = kPoints, .hashBalanceFactor = 150}});
  }
  return all;
}

// Key number i; policies that do not hash ignore it.
PickContext key(uint64_t i) {
  return {.hash = xxHash64(std::to_string(i))};
}

// Whether the counts are those of the shares: by chi-square, or, on a ring, within four standard
// deviations of what so many random arcs add up to, and of the picks themselves.
bool follows(const spec::Lb& lb, const std::vector<uint64_t>& counts,
             const std::vector<double>& expected) {
  if (lb.policy != LbPolicy::kRingHash) return fits(counts, expected);
  double sum = 0, picked = 0;
  for (double e : expected) sum += e;
  for (uint64_t c : counts) picked += double(c);
  bool good = true;
  for (size_t i = 0; i < counts.size(); i++) {
    double share = i < expected.size() ? expected[i] / sum : 0;
    if (share == 0) {
      good = good && counts[i] == 0;
      continue;
    }
    double tolerance = 4 * std::sqrt(1 / (share * kPoints) + 1 / (share * picked));
    good = good && std::abs(double(counts[i]) / picked / share - 1) < tolerance;
  }
  return good;
}

void forEachPolicy(const std::function<void(const spec::Lb&)>& check) {
  for (const Policy& policy : policies()) {
    INFO(policy.name);
    check(policy.lb);
  }
}

}  // namespace

TEST_CASE("every policy: in proportion to weight, and nothing to a host without") {
  forEachPolicy([](const spec::Lb& lb) {
    TestHosts equal(std::vector<uint32_t>(7, 3));
    CHECK(follows(lb, picks(*build(lb, equal.entries), equal.entries, 50'000, key),
                  std::vector<double>(7, 1)));
    TestHosts weighted({1, 2, 3, 0, 6});
    CHECK(follows(lb, picks(*build(lb, weighted.entries), weighted.entries, 50'000, key),
                  {1, 2, 3, 0, 6}));
  });
}

TEST_CASE(
    "every policy: healthy hosts alone, all of them in panic, none where that is turned off") {
  forEachPolicy([](spec::Lb lb) {
    TestHosts hosts({1, 1, 2, 2, 1});
    hosts.entries[0].health = hosts.entries[2].health = Health::kUnhealthy;
    auto counts = [&] { return picks(*build(lb, hosts.entries), hosts.entries, 30'000, key); };
    CHECK(follows(lb, counts(), {0, 1, 0, 2, 1}));
    hosts.entries[3].health = Health::kUnhealthy;
    CHECK(follows(lb, counts(), {1, 1, 2, 2, 1}));
    lb.panicThreshold = 0;
    CHECK(follows(lb, counts(), {0, 1, 0, 0, 1}));
    lb.panicThreshold = 50;
    lb.failTrafficOnPanic = true;
    CHECK(counts()[5] == kThreads * 30'000);
  });
}

TEST_CASE("every policy: priorities share the load, and what is left goes to the next") {
  forEachPolicy([](const spec::Lb& lb) {
    TestHosts hosts;
    for (int i = 0; i < 4; i++) hosts.add(1, 0, i < 2 ? Health::kHealthy : Health::kUnhealthy);
    for (int i = 0; i < 2; i++) hosts.add(1, 1);
    hosts.add(1, 2);
    auto counts = picks(*build(lb, hosts.entries), hosts.entries, 50'000, key);
    // Shares of priorities are exact for random keys; on a ring, arcs come on top.
    CHECK(follows(lb, counts, {35, 35, 0, 0, 15, 15, 0}));
  });
}

TEST_CASE("every policy: localities by weight, hosts within them by theirs") {
  std::vector<spec::Locality> localities{{.weight = 3}, {.weight = 1}, {.weight = 0}};
  forEachPolicy([&](spec::Lb lb) {
    lb.localityWeighted = true;
    TestHosts hosts;
    for (uint32_t weight : {1u, 2u}) hosts.add(weight, 0, Health::kHealthy, 0);
    for (int i = 0; i < 4; i++) hosts.add(1, 0, Health::kHealthy, 1);
    hosts.add(1, 0, Health::kHealthy, 2);
    auto counts = picks(*build(lb, hosts.entries, localities), hosts.entries, 50'000, key);
    CHECK(follows(lb, counts, {1, 2, 0.25, 0.25, 0.25, 0.25, 0}));
  });
}

TEST_CASE("every policy: in a subset as in a cluster") {
  HostMetadata blue({"color", "\"blue\""}), red({"color", "\"red\""});
  MetadataMatch match{{{"color", "\"blue\""}}, {}};
  forEachPolicy([&](spec::Lb lb) {
    lb.subsets = spec::SubsetLb{.selectors = {{{"color"}}}};
    TestHosts hosts({1, 5, 2, 3, 4});
    for (HostEntry& entry : hosts.entries) entry.metadata = &blue;
    hosts.entries[1].metadata = &red;
    hosts.entries[4].health = Health::kUnhealthy;
    auto context = [&](uint64_t i) {
      PickContext c = key(i);
      c.match = &match;
      return c;
    };
    auto counts = picks(*build(lb, hosts.entries), hosts.entries, 50'000, context);
    CHECK(follows(lb, counts, {1, 0, 2, 3, 0}));
  });
}

TEST_CASE("every policy that does not hash: zones") {
  std::vector<spec::Locality> zones{{.zone = "a"}, {.zone = "b"}};
  TestHosts proxies;
  for (uint32_t zone : {0u, 0u, 0u, 1u}) proxies.add(1, 0, Health::kHealthy, zone);
  auto local = LocalZones::count(ZoneName{"", "a", ""}, zones, proxies.entries);
  forEachPolicy([&](const spec::Lb& lb) {
    TestHosts hosts;
    for (uint32_t i = 0; i < 8; i++) hosts.add(1 + i % 2, 0, Health::kHealthy, i % 4 / 2);
    auto balancer = Balancer::build(lb, zones, hosts.entries, &local);
    auto counts = picks(*balancer, hosts.entries, 50'000, key);
    // Half of the hosts for three quarters of the proxies: two thirds stay. A policy that hashes
    // goes by weight alone.
    std::vector<double> expected;
    for (uint32_t i = 0; i < 8; i++) {
      double zone = hashes(lb.policy) ? 1 : i % 4 / 2 == 0 ? 2 : 1;
      expected.push_back(zone * (1 + i % 2));
    }
    CHECK(follows(lb, counts, expected));
  });
}

TEST_CASE("every policy: the same worker picks the same again") {
  forEachPolicy([](const spec::Lb& lb) {
    TestHosts hosts({1, 2, 3, 4});
    auto balancer = build(lb, hosts.entries);
    PickState a(7), b(7);
    for (uint64_t i = 0; i < 1000; i++) {
      CHECK(balancer->pick(key(i), a, hosts.entries) == balancer->pick(key(i), b, hosts.entries));
    }
  });
}

TEST_CASE("every policy: a rejected host is picked only when the attempts are used up") {
  struct Not final : HostFilter {
    explicit Not(const HostEntry* h) : not_(h) {}
    bool rejects(const HostEntry& host) override {
      asked++;
      return &host == not_;
    }
    const HostEntry* not_;
    int asked = 0;
  };
  forEachPolicy([](const spec::Lb& lb) {
    TestHosts hosts({1, 1});
    auto balancer = build(lb, hosts.entries);
    PickState state(3);
    for (uint64_t i = 0; i < 50; i++) {
      Not no(&hosts.entries[0]);
      PickContext context = key(i);
      context.filter = &no;
      context.attempts = 60;
      CHECK(balancer->pick(context, state, hosts.entries) == &hosts.entries[1]);
    }
    TestHosts one({1});
    Not no(&one.entries[0]);
    const HostEntry* picked =
        build(lb, one.entries)->pick({.filter = &no, .attempts = 3}, state, one.entries);
    CHECK(picked == &one.entries[0]);
    CHECK(no.asked == 3);
  });
}

TEST_CASE("every policy: no host, no weight, a hole, a weight that is enormous") {
  forEachPolicy([](const spec::Lb& lb) {
    PickState state(1);
    CHECK(build(lb, {})->pick({}, state, {}) == nullptr);
    TestHosts weightless({0, 0});
    CHECK(build(lb, weightless.entries)->pick({}, state, weightless.entries) == nullptr);
    TestHosts holes({1, 1, 1});
    auto rest = holes.without(1);
    auto counts = picks(*build(lb, rest), rest, 1000);
    CHECK(counts[1] == 0);
    CHECK(counts[0] > 0);
    CHECK(counts[2] > 0);
    CHECK(counts[3] == 0);
    TestHosts huge({UINT32_MAX, UINT32_MAX, 1});
    counts = picks(*build(lb, huge.entries), huge.entries, 50'000);
    CHECK(std::abs(double(counts[0]) - double(counts[1])) < 0.1 * double(counts[0]));
    CHECK(counts[2] < 100);
    CHECK(counts[3] == 0);
  });
}

TEST_CASE("bounded load holds while several workers pick at once") {
  for (LbPolicy p : {LbPolicy::kRingHash, LbPolicy::kMaglev}) {
    TestHosts hosts({1, 1, 1, 1, 2});
    spec::Lb lb{.policy = p, .hashBalanceFactor = 150};
    auto balancer = build(lb, hosts.entries);
    constexpr uint32_t kEach = 500;
    std::atomic<uint32_t> under{0};
    std::vector<std::thread> workers;
    for (int t = 0; t < kThreads; t++) {
      workers.emplace_back([&, t] {
        PickState state(uint64_t(t) + 1);
        for (uint32_t i = 0; i < kEach; i++) {
          state.active = under.fetch_add(1, std::memory_order_relaxed);
          balancer->pick({.hash = 42}, state, hosts.entries)->host->requestBegins();
        }
      });
    }
    for (std::thread& worker : workers) worker.join();
    for (const HostEntry& entry : hosts.entries) {
      // Each of the others may have one pick under way that is not counted yet.
      double most = 1.5 * kThreads * kEach * entry.weight / 6;
      CHECK(entry.host->activeRequests() <= std::ceil(most) + kThreads - 1);
    }
  }
}
