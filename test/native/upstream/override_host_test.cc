// Hosts that requests ask for by address: found in every snapshot, whatever came and went, and only
// in a state that allows it.
#include <doctest/doctest.h>

#include <atomic>
#include <random>
#include <thread>

#include "upstream/cluster.h"

using namespace millrace;

namespace {

spec::Host host(uint64_t id, std::string ip, uint16_t port = 80) {
  return {.id = id, .address = {.ip = std::move(ip), .port = port}};
}

// The id of the host that is picked; 0: none.
uint64_t pick(const ClusterSnapshot& snapshot, std::string_view address, bool strict) {
  PickState state(1);
  PickContext context;
  context.overrideHost = address;
  context.overrideStrict = strict;
  const HostEntry* picked = snapshot.pick(context, state);
  return picked == nullptr ? 0 : picked->host->id();
}

struct Registry {
  StatsRegistry stats;
  ClusterRegistry clusters{stats, 1};
  spec::Cluster cluster;

  Registry() { cluster.name = "web"; }
  std::unique_ptr<ClusterSnapshot> build() { return std::move(*clusters.build(1, cluster)); }
  std::unique_ptr<ClusterSnapshot> update(std::vector<spec::Host> set,
                                          std::vector<uint64_t> remove) {
    return std::move(*clusters.update(1, {std::move(set), std::move(remove)}));
  }
};

}  // namespace

TEST_CASE("a request gets the host that it asks for, ahead of the balancer") {
  Registry r;
  r.cluster.hosts = {host(1, "10.0.0.1"), host(2, "10.0.0.2"), host(3, "::1", 8080)};
  r.cluster.hosts[1].priority = 1;
  spec::Host path{.id = 4, .address = {.path = "/run/web.sock"}};
  path.metadata = {"stage", "test"};
  r.cluster.hosts.push_back(path);
  // Neither its priority nor the subset it is in keep it from being asked for.
  r.cluster.lb.subsets.emplace();
  auto snapshot = r.build();
  CHECK(pick(*snapshot, "10.0.0.1:80", true) == 1);
  CHECK(pick(*snapshot, "10.0.0.2:80", true) == 2);
  CHECK(pick(*snapshot, "[::1]:8080", true) == 3);
  CHECK(pick(*snapshot, "/run/web.sock", true) == 4);
}

TEST_CASE("a host that is not there is another one, or none when the request is strict") {
  Registry r;
  r.cluster.hosts = {host(1, "10.0.0.1")};
  auto snapshot = r.build();
  for (const char* address : {"10.0.0.1", "10.0.0.1:81", "10.0.0.9:80", "nonsense", ""}) {
    CHECK(pick(*snapshot, address, false) == 1);
    if (*address != 0) CHECK(pick(*snapshot, address, true) == 0);
  }
}

TEST_CASE("hosts are asked for in the states that the cluster says") {
  Registry r;
  r.cluster.lb.panicThreshold = 0;
  for (uint64_t i = 0; i < 6; i++) {
    auto& h = r.cluster.hosts.emplace_back(host(i + 1, "10.0.0." + std::to_string(i + 1)));
    h.status = HostStatus(i);
    if (h.status == HostStatus::kDegraded) h.health = Health::kDegraded;
    bool failed = *h.status >= HostStatus::kUnhealthy && *h.status <= HostStatus::kTimeout;
    if (failed) h.health = Health::kUnhealthy;
  }
  auto allowed = [&] {
    auto snapshot = r.build();
    std::vector<bool> found;
    for (const spec::Host& h : r.cluster.hosts) {
      found.push_back(pick(*snapshot, h.address.ip + ":80", true) == h.id);
    }
    return found;
  };
  // In the order of HostStatus: unknown, healthy, unhealthy, draining, timeout, degraded.
  CHECK(allowed() == std::vector<bool>{true, true, false, false, false, true});
  r.cluster.lb.overrideStatuses = 1 << int(HostStatus::kDraining) | 1 << int(HostStatus::kHealthy);
  CHECK(allowed() == std::vector<bool>{false, true, false, true, false, false});
  r.cluster.lb.overrideStatuses = 0;
  CHECK(allowed() == std::vector<bool>(6, false));
}

TEST_CASE("without a status, health says which it is") {
  spec::Host h;
  CHECK(h.statusNow() == HostStatus::kUnknown);
  h.health = Health::kDegraded;
  CHECK(h.statusNow() == HostStatus::kDegraded);
  h.health = Health::kUnhealthy;
  CHECK(h.statusNow() == HostStatus::kUnhealthy);
}

TEST_CASE("the index follows changes, and older snapshots find no wrong host") {
  Registry r;
  r.cluster.hosts = {host(1, "10.0.0.1"), host(2, "10.0.0.2")};
  auto first = r.build();
  auto second = r.update({host(3, "10.0.0.3")}, {1});  // in the place of 1
  CHECK(pick(*second, "10.0.0.3:80", true) == 3);
  CHECK(pick(*second, "10.0.0.1:80", true) == 0);
  CHECK(pick(*first, "10.0.0.3:80", true) == 0);
  CHECK(pick(*first, "10.0.0.2:80", true) == 2);
  auto third = r.update({host(2, "10.0.0.22")}, {});  // another address
  CHECK(pick(*third, "10.0.0.22:80", true) == 2);
  CHECK(pick(*third, "10.0.0.2:80", true) == 0);
  // Two of one address: the other one is found when one has gone.
  auto twins = r.update({host(4, "10.0.0.3")}, {});
  CHECK(pick(*twins, "10.0.0.3:80", true) == 3);
  auto one = r.update({}, {3});
  CHECK(pick(*one, "10.0.0.3:80", true) == 4);
}

TEST_CASE("the index grows, and forgets who came and went") {
  Registry r;
  std::mt19937 random(7);
  std::vector<spec::Host> hosts;
  auto name = [](uint64_t id) {
    return "10." + std::to_string(id >> 16) + '.' + std::to_string(id >> 8 & 255) + '.' +
           std::to_string(id & 255);
  };
  auto snapshot = r.build();
  uint64_t next = 1;
  std::vector<uint64_t> present;
  for (int round = 0; round < 60; round++) {
    std::vector<spec::Host> set;
    std::vector<uint64_t> remove;
    for (int i = 0; i < 100; i++, next++) {
      set.push_back(host(next, name(next)));
      present.push_back(next);
    }
    for (int i = 0; i < 80; i++) {
      size_t at = random() % present.size();
      if (present[at] + 100 >= next) continue;
      remove.push_back(present[at]);
      present[at] = present.back();
      present.pop_back();
    }
    snapshot = r.update(std::move(set), remove);
    for (uint64_t gone : remove) REQUIRE(pick(*snapshot, name(gone) + ":80", true) == 0);
  }
  for (uint64_t id : present) REQUIRE(pick(*snapshot, name(id) + ":80", true) == id);
}

TEST_CASE("an index takes four bytes a cell, and at most eight cells a host") {
  HostIndex index(100'000);
  CHECK(index.memory() <= 8 * 4 * 100'000);
  for (uint32_t i = 0; i < 100'000; i++) REQUIRE(index.add(std::to_string(i), i));
}

TEST_CASE("workers look hosts up while the main thread changes the index") {
  HostIndex index(1000);
  for (uint32_t i = 0; i < 100; i++) index.add(std::to_string(i), i);
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> workers;
  for (int t = 0; t < 3; t++) {
    workers.emplace_back([&] {
      for (uint32_t i = 0; !stop; i = (i + 1) % 100) {
        uint32_t found = index.find(std::to_string(i), [i](uint32_t place) { return place == i; });
        if (found != i) wrong++;
      }
    });
  }
  for (uint32_t i = 1000; i < 1800; i++) {
    REQUIRE(index.add(std::to_string(i), i));
    if (i % 2 == 0) index.remove(std::to_string(i), i);
  }
  stop = true;
  for (std::thread& worker : workers) worker.join();
  CHECK(wrong == 0);
}
