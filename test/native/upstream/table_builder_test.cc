// Tables that take long are built on a thread of their own, and published in order.
#include "upstream/table_builder.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>

#include "upstream/cluster.h"

using namespace millrace;

namespace {

spec::Host host(uint64_t id, Health health = Health::kHealthy) {
  return {.id = id, .address = {.ip = "127.0.0.1", .port = uint16_t(id + 1)}, .health = health};
}

struct Registry {
  std::atomic<int> done{0};
  StatsRegistry stats;
  ClusterRegistry clusters{stats, 1, [this] { done++; }};
  int taken = 0;

  std::unique_ptr<ClusterSnapshot> build(spec::LbPolicy policy, const std::string& name = "web") {
    spec::Cluster c;
    c.name = name;
    c.lb.policy = policy;
    for (uint64_t id = 0; id < 10; id++) c.hosts.push_back(host(id));
    return std::move(*clusters.build(1, c));
  }
  bool update(std::vector<spec::Host> set, std::vector<uint64_t> remove) {
    return *clusters.update(1, {std::move(set), std::move(remove)}) != nullptr;
  }
  // What the next build that ends brings.
  std::vector<std::unique_ptr<ClusterSnapshot>> next() {
    for (int i = 0; i < 10'000 && done <= taken; i++) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    REQUIRE(done > taken);
    taken++;
    return clusters.takeBuilt();
  }
};

size_t hostsOf(const ClusterSnapshot& snapshot) {
  size_t n = 0;
  for (const HostEntry& entry : snapshot.hosts()) n += entry.host != nullptr;
  return n;
}

}  // namespace

TEST_CASE("a long table is built beside the main thread; changes meanwhile become one more") {
  Registry r;
  auto first = r.build(spec::LbPolicy::kMaglev);
  REQUIRE(first != nullptr);  // the first one is not waited for by anybody
  CHECK_FALSE(r.update({}, {0}));
  CHECK_FALSE(r.update({}, {1}));
  CHECK_FALSE(r.update({}, {2}));
  auto second = r.next();
  REQUIRE(second.size() == 1);
  CHECK(hostsOf(*second[0]) == 9);
  auto third = r.next();
  REQUIRE(third.size() == 1);
  CHECK(hostsOf(*third[0]) == 7);
  CHECK(r.clusters.takeBuilt().empty());
  // Nothing of it is lost on the way.
  std::vector<uint64_t> removed;
  HostHistory::walk(&first->history(), &third[0]->history(),
                    [&](const HostChange& change) { removed.push_back(change.host->id()); });
  CHECK(removed == std::vector<uint64_t>{0, 1, 2});
  PickState state(1);
  for (int i = 0; i < 100; i++) CHECK(third[0]->pick({}, state)->host->id() > 2);
}

TEST_CASE("a change that needs no long table any more comes with the build before it") {
  Registry r;
  r.build(spec::LbPolicy::kMaglev);
  CHECK_FALSE(r.update({}, {0}));
  CHECK(r.build(spec::LbPolicy::kRoundRobin) == nullptr);
  auto both = r.next();
  REQUIRE(both.size() == 2);
  CHECK(hostsOf(*both[0]) == 9);
  CHECK(hostsOf(*both[1]) == 10);
  CHECK(r.update({}, {4}));  // at once again
}

TEST_CASE("what was being built for a cluster that is gone, or another one now, is dropped") {
  Registry r;
  auto first = r.build(spec::LbPolicy::kMaglev);
  CHECK_FALSE(r.update({host(3, Health::kUnhealthy)}, {0}));
  r.clusters.forget(1);
  CHECK(r.next().empty());
  CHECK(first->hosts()[0].host->id() == 0);

  first = r.build(spec::LbPolicy::kMaglev);
  CHECK_FALSE(r.update({}, {0}));
  auto other = r.build(spec::LbPolicy::kMaglev, "other");
  REQUIRE(other != nullptr);
  CHECK(r.next().empty());
  CHECK_FALSE(r.update({}, {5}));
  CHECK(hostsOf(*r.next().at(0)) == 9);
}

TEST_CASE("a registry ends while tables are being built") {
  for (int i = 0; i < 20; i++) {
    Registry r;
    r.build(spec::LbPolicy::kMaglev);
    r.update({}, {uint64_t(i % 10)});
    r.update({}, {uint64_t((i + 1) % 10)});
  }
}
