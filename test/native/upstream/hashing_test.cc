// Ring hash, Maglev and bounded load: who gets what, and what moves when a host goes.
#include <algorithm>
#include <map>

#include "upstream/balancer/hash.h"
#include "upstream/balancer_kit.h"

using namespace millrace;
using namespace millrace::test;
using spec::LbPolicy;

namespace {

// Key number i, as a route's hash policy would make it.
PickContext key(uint64_t i) {
  return {.hash = xxHash64(std::to_string(i))};
}

size_t picked(const Balancer& balancer, const std::vector<HostEntry>& hosts, uint64_t i) {
  PickState state(1);
  return size_t(balancer.pick(key(i), state, hosts) - hosts.data());
}

struct Moved {
  double gone;   // part of all keys that were on the host that left
  double other;  // part of the other keys that moved all the same
};

Moved moved(const spec::Lb& lb, const TestHosts& hosts, size_t leaves) {
  auto before = build(lb, hosts.entries);
  auto rest = hosts.without(leaves);
  auto after = build(lb, rest);
  constexpr int kKeys = 100'000;
  int gone = 0, other = 0;
  for (uint64_t i = 0; i < kKeys; i++) {
    size_t was = picked(*before, hosts.entries, i);
    size_t is = picked(*after, rest, i);
    CHECK(is != leaves);
    if (was == leaves) {
      gone++;
    } else if (was != is) {
      other++;
    }
  }
  return {gone / double(kKeys), other / double(kKeys - gone)};
}

}  // namespace

TEST_CASE("ring hash: the first point at or after the hash, on a ring made of the hosts' keys") {
  TestHosts hosts({1, 2, 1});
  for (bool murmur : {false, true}) {
    spec::Lb lb{.policy = LbPolicy::kRingHash, .murmur = murmur};
    auto balancer = build(lb, hosts.entries);
    // The lightest has a quarter: 256 of 1024 points.
    std::map<uint64_t, size_t> ring;
    for (size_t host = 0; host < 3; host++) {
      for (int i = 0; i < (host == 1 ? 512 : 256); i++) {
        std::string point = hosts.entries[host].host->addressText() + '_' + std::to_string(i);
        ring[murmur ? murmurHash2(point) : xxHash64(point)] = host;
      }
    }
    REQUIRE(ring.size() == 1024);
    PickState state(1);
    auto check = [&](uint64_t hash) {
      auto at = ring.lower_bound(hash);
      size_t expected = at == ring.end() ? ring.begin()->second : at->second;
      CHECK(balancer->pick({.hash = hash}, state, hosts.entries) == &hosts.entries[expected]);
    };
    for (const auto& [hash, host] : ring) {
      check(hash);
      check(hash - 1);
      check(hash + 1);
    }
    for (uint64_t i = 0; i < 10'000; i++) check(xxHash64(std::to_string(i)));
    check(0);
    check(UINT64_MAX);
  }
}

TEST_CASE("ring hash: sizes between the bounds") {
  TestHosts hosts({1, 1, 1, 97});
  spec::Lb lb{.policy = LbPolicy::kRingHash};
  constexpr size_t kPoint = 12;  // bytes
  auto points = [&] {
    return (build(lb, hosts.entries)->memory() -
            build(policy(LbPolicy::kRandom), hosts.entries)->memory()) /
           kPoint;
  };
  CHECK(points() >= 1090);  // 1 % of 1024 is 10.24, and 11 whole points of it make 1100
  CHECK(points() <= 1110);
  lb.ringMax = 50;
  lb.ringMin = 10;
  CHECK(points() <= 60);
  lb.ringMin = lb.ringMax = 1;
  CHECK(picks(*build(lb, hosts.entries), hosts.entries, 100)[4] == 0);
}

TEST_CASE("ring hash: shares by weight, as near as the number of points lets them be") {
  TestHosts hosts({1, 1, 1, 1, 2, 4});
  spec::Lb lb{.policy = LbPolicy::kRingHash, .ringMin = 100'000};
  auto counts = picks(*build(lb, hosts.entries), hosts.entries, 250'000, key);
  for (size_t i = 0; i < 6; i++) {
    double share = double(hosts.entries[i].weight) / 10;
    // The arcs of n points have a sum of relative deviation 1 / sqrt(n).
    double tolerance = 4 / std::sqrt(share * 100'000) + 0.01;
    CHECK(std::abs(double(counts[i]) / 1e6 / share - 1) < tolerance);
  }
}

TEST_CASE("ring hash: only what was on the host that left moves, and what new points take") {
  TestHosts hosts(std::vector<uint32_t>(16, 1));
  // 64 points each with 16 hosts, 69 with 15: 5 of 69 are new, and 14 of 15 of their keys come from
  // another host.
  Moved m = moved({.policy = LbPolicy::kRingHash}, hosts, 5);
  CHECK(m.gone == doctest::Approx(1.0 / 16).epsilon(0.3));
  CHECK(m.other < 1.5 * 5.0 / 69);
  // With as many points before and after, nothing else moves at all.
  m = moved({.policy = LbPolicy::kRingHash, .ringMin = 1, .ringMax = 16}, hosts, 5);
  CHECK(m.other == 0);
}

TEST_CASE("Maglev: every host has its part of the table, one apart at most") {
  TestHosts hosts(std::vector<uint32_t>(100, 1));
  auto balancer = build(policy(LbPolicy::kMaglev), hosts.entries);
  std::vector<uint64_t> parts(100);
  PickState state(1);
  for (uint64_t slot = 0; slot < 65'537; slot++) {
    parts[size_t(balancer->pick({.hash = slot}, state, hosts.entries) - hosts.entries.data())]++;
  }
  CHECK(*std::max_element(parts.begin(), parts.end()) -
            *std::min_element(parts.begin(), parts.end()) <=
        1);
  TestHosts weighted({1, 2, 5, 0, 92});
  balancer = build(policy(LbPolicy::kMaglev), weighted.entries);
  parts.assign(5, 0);
  for (uint64_t slot = 0; slot < 65'537; slot++) {
    parts[size_t(balancer->pick({.hash = slot}, state, weighted.entries) -
                 weighted.entries.data())]++;
  }
  for (size_t i = 0; i < 5; i++) {
    CHECK(std::abs(double(parts[i]) - 655.37 * weighted.entries[i].weight) <= 2);
  }
}

TEST_CASE("Maglev: keys of all workers go where the table says, by weight") {
  TestHosts hosts({1, 2, 3});
  auto counts =
      picks(*build(policy(LbPolicy::kMaglev), hosts.entries), hosts.entries, 100'000, key);
  CHECK(fits(counts, {1, 2, 3}));
}

TEST_CASE("Maglev: a host that leaves moves its own keys and few others") {
  TestHosts hosts(std::vector<uint32_t>(20, 1));
  Moved m = moved(policy(LbPolicy::kMaglev), hosts, 7);
  CHECK(m.gone == doctest::Approx(0.05).epsilon(0.05));
  CHECK(m.other < 0.03);
}

TEST_CASE("Maglev: the table does not depend on where hosts stand") {
  TestHosts hosts(std::vector<uint32_t>(7, 1));
  auto turned = hosts.entries;
  std::rotate(turned.begin(), turned.begin() + 3, turned.end());
  auto a = build(policy(LbPolicy::kMaglev), hosts.entries);
  auto b = build(policy(LbPolicy::kMaglev), turned);
  for (uint64_t i = 0; i < 5000; i++) {
    CHECK(hosts.entries[picked(*a, hosts.entries, i)].host == turned[picked(*b, turned, i)].host);
  }
}

TEST_CASE("hashing: a key of metadata, or the hostname, stands for the host") {
  TestHosts hosts({1, 1});
  HostMetadata first({"hash_key", "\"one\""}), second({"hash_key", "\"two\""});
  hosts.entries[0].metadata = &first;
  hosts.entries[1].metadata = &second;
  spec::Lb lb{.policy = LbPolicy::kRingHash};
  CHECK(hashKey(lb, hosts.entries[0]) == "one");
  auto before = build(lb, hosts.entries);
  // Other addresses, same keys: nothing moves.
  TestHosts others({0, 0, 1, 1});
  others.entries[2].metadata = &first;
  others.entries[3].metadata = &second;
  auto after = build(lb, others.entries);
  for (uint64_t i = 0; i < 1000; i++) {
    CHECK(picked(*before, hosts.entries, i) + 2 == picked(*after, others.entries, i));
  }
  Host named(1, 0, *Address::ip("127.0.0.1", 1), {}, "a.example", 1);
  HostEntry entry{.host = &named};
  CHECK(hashKey(lb, entry) == "127.0.0.1:1");
  lb.hashHostname = true;
  CHECK(hashKey(lb, entry) == "a.example");
}

TEST_CASE(
    "bounded load: a hot key overflows, and no host has more than its factor of the average") {
  for (LbPolicy p : {LbPolicy::kRingHash, LbPolicy::kMaglev}) {
    TestHosts hosts({1, 1, 1, 1, 2});
    spec::Lb lb{.policy = p, .hashBalanceFactor = 150};
    auto balancer = build(lb, hosts.entries);
    PickState state(1);
    std::vector<double> active(5);
    for (uint32_t i = 0; i < 600; i++) {
      state.active = i;
      size_t at = size_t(balancer->pick({.hash = 42}, state, hosts.entries) - hosts.entries.data());
      hosts.entries[at].host->requestBegins();
      active[at]++;
      CHECK(active[at] <= std::ceil(1.5 * (i + 1) * hosts.entries[at].weight / 6));
    }
    // An idle cluster sends the key to its own host.
    TestHosts idle({1, 1, 1, 1, 2});
    PickState fresh(1);
    auto plain = build(policy(p), idle.entries);
    CHECK(build(lb, idle.entries)->pick({.hash = 42}, fresh, idle.entries) ==
          plain->pick({.hash = 42}, fresh, idle.entries));
  }
}

TEST_CASE("hashing: localities weigh their hosts; priorities are kept by the hash") {
  std::vector<spec::Locality> localities{{.weight = 3}, {.weight = 1}};
  TestHosts hosts;
  hosts.add(1, 0, Health::kHealthy, 0);
  hosts.add(1, 0, Health::kHealthy, 0);
  hosts.add(1, 0, Health::kHealthy, 1);
  spec::Lb lb{.policy = LbPolicy::kMaglev, .localityWeighted = true};
  CHECK(fits(picks(*build(lb, hosts.entries, localities), hosts.entries, 100'000, key),
             {1.5, 1.5, 1}));

  TestHosts two;
  two.add(1, 0);
  two.add(1, 0, Health::kUnhealthy);
  two.add(1, 1);
  auto balancer = build(policy(LbPolicy::kMaglev), two.entries);
  CHECK(fits(picks(*balancer, two.entries, 100'000, key), {70, 0, 30}));
  for (uint64_t i = 0; i < 100; i++) {
    CHECK(picked(*balancer, two.entries, i) == picked(*balancer, two.entries, i));
  }
}
