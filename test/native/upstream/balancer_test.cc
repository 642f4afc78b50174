// What every balancer gives to whom, from several workers at once, against closed forms.
#include "upstream/balancer.h"

#include "upstream/balancer_kit.h"

using namespace millrace;
using namespace millrace::test;
using spec::LbPolicy;

namespace {

PickContext plain(uint64_t) {
  return {};
}

}  // namespace

// ---- Round robin

TEST_CASE("round robin: every worker gives every host the same, one apart at most") {
  TestHosts hosts({3, 3, 3, 3, 3, 3, 3});
  auto balancer = build(policy(LbPolicy::kRoundRobin), hosts.entries);
  auto counts = picks(*balancer, hosts.entries, 10'003);
  for (size_t i = 0; i < 7; i++) {
    CHECK(counts[i] >= kThreads * (10'003 / 7));
    CHECK(counts[i] <= kThreads * (10'003 / 7 + 1));
  }
}

TEST_CASE("round robin: by weight, exactly so after whole rounds") {
  TestHosts hosts({1, 2, 3, 0, 10});
  auto balancer = build(policy(LbPolicy::kRoundRobin), hosts.entries);
  auto counts = picks(*balancer, hosts.entries, 16 * 100);
  CHECK(counts == std::vector<uint64_t>{400, 800, 1200, 0, 4000, 0});
}

TEST_CASE("round robin: weights of very many hosts are kept") {
  std::vector<uint32_t> weights;
  for (uint32_t i = 0; i < 100'000; i++) weights.push_back(1 + i % 5);
  TestHosts hosts(weights);
  auto counts = picks(*build(policy(LbPolicy::kRoundRobin), hosts.entries), hosts.entries, 300'000);
  for (size_t i = 0; i < weights.size(); i += 997) CHECK(counts[i] == kThreads * weights[i]);
}

TEST_CASE("round robin: workers begin somewhere else") {
  TestHosts hosts(std::vector<uint32_t>(1000, 1));
  auto balancer = build(policy(LbPolicy::kRoundRobin), hosts.entries);
  std::vector<const HostEntry*> firsts;
  for (uint64_t seed = 0; seed < 4; seed++) {
    PickState state(seed);
    firsts.push_back(balancer->pick({}, state, hosts.entries));
  }
  CHECK(std::adjacent_find(firsts.begin(), firsts.end()) == firsts.end());
}

// ---- Random

TEST_CASE("random: the same for all, or by weight") {
  TestHosts equal(std::vector<uint32_t>(13, 5));
  auto balancer = build(policy(LbPolicy::kRandom), equal.entries);
  CHECK(fits(picks(*balancer, equal.entries, 100'000), std::vector<double>(13, 1)));

  TestHosts weighted({1, 2, 3, 0, 94, 1000});
  balancer = build(policy(LbPolicy::kRandom), weighted.entries);
  CHECK(fits(picks(*balancer, weighted.entries, 200'000), {1, 2, 3, 0, 94, 1000}));
}

// ---- Least request

TEST_CASE("least request: among idle hosts the same for all") {
  TestHosts hosts(std::vector<uint32_t>(9, 1));
  for (bool scan : {false, true}) {
    spec::Lb lb{.policy = LbPolicy::kLeastRequest, .fullScan = scan};
    auto balancer = build(lb, hosts.entries);
    CHECK(fits(picks(*balancer, hosts.entries, 100'000), std::vector<double>(9, 1)));
  }
}

TEST_CASE("least request: the r-th least of n is the best of k choices with known probability") {
  TestHosts hosts(std::vector<uint32_t>(8, 1));
  for (size_t i = 0; i < 8; i++) {
    for (size_t requests = 0; requests < i; requests++) hosts.entries[i].host->requestBegins();
  }
  for (uint32_t k : {2u, 3u, 5u}) {
    spec::Lb lb{.policy = LbPolicy::kLeastRequest, .choiceCount = k};
    std::vector<double> expected;
    for (int r = 0; r < 8; r++) expected.push_back(std::pow(8 - r, k) - std::pow(7 - r, k));
    auto balancer = build(lb, hosts.entries);
    CHECK(fits(picks(*balancer, hosts.entries, 100'000), expected));
  }
  spec::Lb scan{.policy = LbPolicy::kLeastRequest, .fullScan = true};
  auto counts = picks(*build(scan, hosts.entries), hosts.entries, 1000);
  CHECK(counts[0] == kThreads * 1000);
}

TEST_CASE("least request: by weight among idle hosts, by weight and load among busy ones") {
  TestHosts hosts({1, 3, 6, 0});
  spec::Lb lb{.policy = LbPolicy::kLeastRequest};
  CHECK(fits(picks(*build(lb, hosts.entries), hosts.entries, 100'000), {1, 3, 6, 0}));

  // Two hosts, 2 to 1, the first with 9 requests under way. Of 8 candidates, j are the first one.
  TestHosts two({2, 1});
  for (int i = 0; i < 9; i++) two.entries[0].host->requestBegins();
  for (double bias : {0.0, 0.5, 1.0}) {
    lb.activeRequestBias = bias;
    double first = 0, ways = 1;
    for (int j = 0; j <= 8; j++) {
      double share = std::pow(10, -bias) * j / (std::pow(10, -bias) * j + (8 - j));
      first += ways * std::pow(2.0 / 3, j) * std::pow(1.0 / 3, 8 - j) * share;
      ways = ways * (8 - j) / (j + 1);
    }
    CHECK(fits(picks(*build(lb, two.entries), two.entries, 100'000), {first, 1 - first}));
  }
}

// ---- Priorities, health, panic

TEST_CASE("priorities: shares of load, degraded hosts last") {
  TestHosts hosts;
  for (int i = 0; i < 10; i++) hosts.add(1, 0, i < 5 ? Health::kHealthy : Health::kUnhealthy);
  for (int i = 0; i < 4; i++) hosts.add(1, 1, i == 0 ? Health::kHealthy : Health::kUnhealthy);
  hosts.add(1, 2, Health::kDegraded);
  for (LbPolicy p : {LbPolicy::kRoundRobin, LbPolicy::kRandom, LbPolicy::kLeastRequest}) {
    auto balancer = build(policy(p), hosts.entries);
    // 50 % × 1.4 = 70; 25 % × 1.4 = 35, of which 30 are left.
    std::vector<double> expected(15, 0);
    for (size_t i = 0; i < 5; i++) expected[i] = 14;
    expected[10] = 30;
    CHECK(fits(picks(*balancer, hosts.entries, 50'000), expected));
  }
  hosts.entries[10].health = Health::kUnhealthy;
  auto counts = picks(*build(policy(LbPolicy::kRandom), hosts.entries), hosts.entries, 50'000);
  std::vector<double> expected(15, 0);
  for (size_t i = 0; i < 5; i++) expected[i] = 14;
  expected[14] = 30;
  CHECK(fits(counts, expected));
}

TEST_CASE("panic: all hosts, or none if so asked, or never with threshold 0") {
  TestHosts hosts({1, 1, 1, 1, 1});
  for (size_t i = 1; i < 5; i++) hosts.entries[i].health = Health::kUnhealthy;
  spec::Lb lb{.policy = LbPolicy::kRandom};
  CHECK(fits(picks(*build(lb, hosts.entries), hosts.entries, 20'000), {1, 1, 1, 1, 1}));
  PickState state(1);
  build(lb, hosts.entries)->pick({}, state, hosts.entries);
  CHECK(state.events == kPickPanic);
  lb.failTrafficOnPanic = true;
  CHECK(picks(*build(lb, hosts.entries), hosts.entries, 10)[5] == kThreads * 10);
  lb.failTrafficOnPanic = false;
  lb.panicThreshold = 0;
  CHECK(picks(*build(lb, hosts.entries), hosts.entries, 10)[0] == kThreads * 10);
  hosts.entries[0].health = Health::kUnhealthy;
  CHECK(picks(*build(lb, hosts.entries), hosts.entries, 10)[5] == kThreads * 10);
}

TEST_CASE("priorities that a retry has tried are left out") {
  TestHosts hosts;
  hosts.add(1, 0);
  hosts.add(1, 1);
  hosts.add(1, 2);
  auto balancer = build(policy(LbPolicy::kRoundRobin), hosts.entries);
  CHECK(balancer->priorities() == 3);
  PickState state(1);
  PriorityLoads rest = balancer->loadsWithout({true});
  CHECK(balancer->pick({.loads = &rest}, state, hosts.entries) == &hosts.entries[1]);
  rest = balancer->loadsWithout({true, true, true});
  CHECK(balancer->pick({.loads = &rest}, state, hosts.entries) == nullptr);
}

TEST_CASE("localities: by weight and by what of them is healthy") {
  std::vector<spec::Locality> localities{
      {.weight = 1}, {.weight = 2}, {.weight = 0}, {.weight = 1}};
  TestHosts hosts;
  for (int i = 0; i < 10; i++) hosts.add(1, 0, Health::kHealthy, 0);
  for (int i = 0; i < 10; i++) {
    hosts.add(1, 0, i < 5 ? Health::kHealthy : Health::kUnhealthy, 1);
  }
  hosts.add(1, 0, Health::kHealthy, 2);  // no weight: nothing
  hosts.add(3, 0, Health::kHealthy, 3);
  hosts.add(1, 0, Health::kHealthy, 3);
  // 1, 2 × 50 % × 1.4 = 1.4, 0, 1.
  std::vector<double> expected(23, 0);
  for (size_t i = 0; i < 10; i++) expected[i] = 0.1;
  for (size_t i = 10; i < 15; i++) expected[i] = 0.28;
  expected[21] = 0.75;
  expected[22] = 0.25;
  for (LbPolicy p : {LbPolicy::kRandom, LbPolicy::kRoundRobin, LbPolicy::kLeastRequest}) {
    spec::Lb lb{.policy = p, .localityWeighted = true};
    auto balancer = build(lb, hosts.entries, localities);
    CHECK(fits(picks(*balancer, hosts.entries, 50'000), expected));
  }
  // Without any weight: as if there were no localities.
  for (auto& locality : localities) locality.weight = 0;
  spec::Lb lb{.policy = LbPolicy::kRandom, .localityWeighted = true};
  std::vector<double> flat(23, 1);
  flat[21] = 3;
  for (size_t i = 15; i < 20; i++) flat[i] = 0;
  CHECK(fits(picks(*build(lb, hosts.entries, localities), hosts.entries, 50'000), flat));
}

// ---- Slow start

TEST_CASE("slow start: a new host gets its part, growing over the window") {
  TestHosts hosts({1, 1, 1, 1});
  constexpr uint64_t kSec = 1'000'000'000;
  hosts.entries[3].healthySinceNs = 100 * kSec;
  for (LbPolicy p : {LbPolicy::kRoundRobin, LbPolicy::kLeastRequest}) {
    spec::Lb lb{.policy = p, .slowStart = {.window = 60'000}};
    auto balancer = build(lb, hosts.entries);
    auto at = [&](uint64_t seconds) {
      return picks(*balancer, hosts.entries, 40'000, plain, (100 + seconds) * kSec);
    };
    if (p == LbPolicy::kLeastRequest) {
      CHECK(fits(at(0), {1, 1, 1, 0.1}));  // min_weight_percent
      CHECK(fits(at(30), {1, 1, 1, 0.5}));
      CHECK(fits(at(60), {1, 1, 1, 1}));
    } else {
      // Less random than a chi-square test wants: the others take turns.
      CHECK(std::abs(double(at(0)[3]) / (kThreads * 40'000) - 0.1 / 3.1) < 0.005);
      CHECK(std::abs(double(at(30)[3]) / (kThreads * 40'000) - 0.5 / 3.5) < 0.005);
      CHECK(at(60)[3] == kThreads * 10'000);
    }
  }
  SlowStart curve({.window = 100'000, .aggression = 2, .minWeightPercent = 1});
  CHECK(curve.factor(0, 25 * kSec) == doctest::Approx(0.5));
  CHECK(curve.factor(0, 0) == doctest::Approx(0.1));  // the first second counts whole
  CHECK(curve.factor(0, 100 * kSec) == 1);
}

TEST_CASE("slow start: when all hosts are new, all get the same") {
  TestHosts hosts({1, 1, 1});
  for (auto& entry : hosts.entries) entry.healthySinceNs = 5;
  spec::Lb lb{.slowStart = {.window = 60'000}};
  auto counts = picks(*build(lb, hosts.entries), hosts.entries, 9000, plain, 10);
  for (size_t i = 0; i < 3; i++) CHECK(counts[i] == kThreads * 3000);
}

// ---- Very many

TEST_CASE("thousands of localities and priorities up to the last") {
  std::vector<spec::Locality> localities(5000, {.weight = 1});
  TestHosts hosts;
  for (uint32_t i = 0; i < 5000; i++) hosts.add(1, 0, Health::kHealthy, i);
  spec::Lb lb{.localityWeighted = true};
  auto counts = picks(*build(lb, hosts.entries, localities), hosts.entries, 250'000);
  CHECK(fits(counts, std::vector<double>(5000, 1)));

  TestHosts last;
  last.add(1, spec::kMaxPriority);
  PickState state(1);
  auto balancer = build({}, last.entries);
  CHECK(balancer->pick({}, state, last.entries) == &last.entries[0]);
}
