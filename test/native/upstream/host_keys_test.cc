// The hosts of an on-demand cluster, by key.
#include "upstream/host_keys.h"

#include <doctest/doctest.h>

#include <map>
#include <random>

#include "upstream/cluster.h"

using namespace millrace;

namespace {

std::unique_ptr<Host> host(uint64_t id, const std::string& hostname) {
  auto address = Address::ip("127.0.0.1", uint16_t(1 + id % 65'535));
  return std::make_unique<Host>(id, uint32_t(id), *address, std::vector<Address>(), hostname, 1);
}

}  // namespace

TEST_CASE("a host is found by its name, or by its address when it has none") {
  HostKeysBuilder builder;
  auto named = host(8079, "example.com:80");
  auto bare = host(8080, "");
  builder.add(*named);
  builder.add(*bare);
  auto index = builder.take();
  CHECK(index->find("example.com:80") == named.get());
  CHECK(index->find("127.0.0.1:8081") == bare.get());
  CHECK(index->find("127.0.0.1:8080") == nullptr);
  CHECK(index->find("") == nullptr);
  builder.remove(*named);
  CHECK(builder.take()->find("example.com:80") == nullptr);
  CHECK(index->find("example.com:80") == named.get());  // the older one is as it was
  CHECK(HostKeysBuilder().take()->find("example.com:80") == nullptr);
}

TEST_CASE("thousands of hosts that come and go are found as long as they are there") {
  HostKeysBuilder builder;
  std::map<std::string, std::unique_ptr<Host>> there;
  std::mt19937 random(7);
  for (int step = 0; step < 300; step++) {
    for (int i = 0; i < 40; i++) {
      std::string name = "h" + std::to_string(random() % 4000) + ":80";
      auto it = there.find(name);
      if (it == there.end()) {
        auto added = host(uint64_t(random()), name);
        builder.add(*added);
        there.emplace(name, std::move(added));
      } else {
        builder.remove(*it->second);
        there.erase(it);
      }
    }
    auto index = builder.take();
    int wrong = 0;
    for (int i = 0; i < 4000; i++) {
      std::string name = "h" + std::to_string(i) + ":80";
      auto it = there.find(name);
      const Host* expected = it == there.end() ? nullptr : it->second.get();
      if (index->find(name) != expected) wrong++;
    }
    REQUIRE(wrong == 0);
  }
}

TEST_CASE("a snapshot of an on-demand cluster has its hosts by key, through every change") {
  StatsRegistry stats;
  ClusterRegistry registry(stats, 1);
  spec::Cluster cluster;
  cluster.name = "any";
  cluster.onDemand.emplace();
  cluster.hosts.push_back({.id = 1, .address = {.ip = "10.0.0.1", .port = 80}});
  auto first = std::move(*registry.build(1, cluster));
  REQUIRE(first->find("10.0.0.1:80") != nullptr);
  CHECK(first->find("10.0.0.1:80")->host->id() == 1);
  PickState state(1);
  CHECK(first->pick({}, state) == nullptr);  // nothing to choose among

  spec::HostDelta delta;
  delta.remove = {1};
  delta.set.push_back({.id = 2, .address = {.ip = "::1", .port = 81}});
  delta.set.push_back({.id = 3, .address = {.ip = "10.0.0.3", .port = 1}, .hostname = "c:80"});
  auto second = std::move(*registry.update(1, delta));
  CHECK(second->find("10.0.0.1:80") == nullptr);
  CHECK(second->find("[::1]:81")->host->id() == 2);
  CHECK(second->find("c:80")->host->id() == 3);
  CHECK(first->find("10.0.0.1:80")->host->id() == 1);

  // Another address of the same name is another host under the same key.
  delta = {};
  delta.set.push_back({.id = 3, .address = {.ip = "10.0.0.4", .port = 1}, .hostname = "c:80"});
  auto third = std::move(*registry.update(1, delta));
  CHECK(third->find("c:80")->host->addressText() == "10.0.0.4:1");
  CHECK(second->find("c:80")->host->addressText() == "10.0.0.3:1");
}
