// The hosts of a cluster on the main thread: changes by id, places, and what older snapshots keep.
#include "upstream/host_set.h"

#include <doctest/doctest.h>

#include "upstream/cluster.h"

using namespace millrace;

namespace {

spec::Host host(uint64_t id, uint16_t port = 80) {
  return {.id = id, .address = {.ip = "127.0.0.1", .port = port}};
}

struct Registry {
  StatsRegistry stats;
  ClusterRegistry clusters{stats, 2};

  std::unique_ptr<ClusterSnapshot> build(std::vector<spec::Host> hosts) {
    spec::Cluster c;
    c.name = "web";
    c.hosts = std::move(hosts);
    return std::move(*clusters.build(1, c));
  }
  std::unique_ptr<ClusterSnapshot> update(std::vector<spec::Host> set,
                                          std::vector<uint64_t> remove) {
    return std::move(*clusters.update(1, {std::move(set), std::move(remove)}));
  }
};

std::vector<std::pair<uint64_t, HostChange::Kind>> changes(const ClusterSnapshot& from,
                                                           const ClusterSnapshot& to) {
  std::vector<std::pair<uint64_t, HostChange::Kind>> all;
  HostHistory::walk(&from.history(), &to.history(), [&](const HostChange& change) {
    all.emplace_back(change.host->id(), change.kind);
  });
  return all;
}

}  // namespace

TEST_CASE("a delta sets and removes by id, and leaves the others where they are") {
  Registry r;
  auto first = r.build({host(1), host(2, 81), host(3, 82)});
  auto changed = host(3, 82);
  changed.weight = 7;
  changed.canary = true;
  auto second = r.update({changed, host(4, 83)}, {1, 99});
  REQUIRE(second->hosts().size() == 3);
  CHECK(second->hosts()[0].host->id() == 4);  // the place that became free
  CHECK(second->hosts()[1].host == first->hosts()[1].host);
  CHECK(second->hosts()[2].host == first->hosts()[2].host);
  CHECK(second->hosts()[2].weight == 7);
  CHECK(second->hosts()[2].canary);
  CHECK(first->hosts()[2].weight == 1);
  CHECK(second->entry(*first->hosts()[0].host) == nullptr);
  CHECK(second->entry(*first->hosts()[1].host) == &second->hosts()[1]);
}

TEST_CASE("the history says what was removed and what failed, over every snapshot skipped") {
  Registry r;
  auto first = r.build({host(1), host(2, 81)});
  auto second = r.update({}, {1});
  auto sick = host(2, 81);
  sick.health = Health::kUnhealthy;
  auto third = r.update({sick}, {});
  auto fourth = r.update({host(2, 81), host(5, 85)}, {});
  using Kind = HostChange::Kind;
  CHECK(changes(*first, *second) == std::vector<std::pair<uint64_t, Kind>>{{1, Kind::kRemoved}});
  CHECK(changes(*second, *third) == std::vector<std::pair<uint64_t, Kind>>{{2, Kind::kFailed}});
  CHECK(changes(*first, *fourth) ==
        std::vector<std::pair<uint64_t, Kind>>{{1, Kind::kRemoved}, {2, Kind::kFailed}});
  CHECK(changes(*third, *fourth).empty());
  CHECK(&third->history() == &fourth->history());  // nothing to keep, nothing to say
}

TEST_CASE("another address or hostname under a known id is another host") {
  Registry r;
  auto first = r.build({host(1), host(2, 81)});
  auto named = host(2, 81);
  named.hostname = "b";
  auto second = r.update({host(1, 90), named}, {});
  CHECK(second->hosts()[0].host != first->hosts()[0].host);
  CHECK(second->hosts()[1].host != first->hosts()[1].host);
  CHECK(changes(*first, *second).size() == 2);
  CHECK(first->hosts()[0].host->address().port() == 80);
  CHECK(second->hosts()[0].host->address().port() == 90);

  auto more = named;
  more.additionalAddresses = {{.ip = "::1", .port = 81}};
  auto third = r.update({more}, {});
  CHECK(third->hosts()[1].host->additionalAddresses().size() == 1);
  CHECK(third->hosts()[1].host != second->hosts()[1].host);
}

TEST_CASE("snapshots outlive the cluster with all they point to") {
  Registry r;
  auto with = host(1);
  with.metadata = {"stage", "\"prod\"", "stage", "\"test\"", "a", "1"};
  auto first = r.build({with, host(2, 81)});
  with.metadata = {"stage", "\"next\""};
  auto second = r.update({with}, {2});
  r.clusters.forget(1);
  CHECK(first->hosts()[0].metadata->has("stage", "\"test\""));
  CHECK(first->hosts()[0].metadata->has("a", "1"));
  CHECK_FALSE(first->hosts()[0].metadata->has("a", "2"));
  CHECK_FALSE(first->hosts()[0].metadata->has("b", "1"));
  CHECK(first->hosts()[1].host->addressText() == "127.0.0.1:81");
  CHECK(second->hosts()[0].metadata->has("stage", "\"next\""));
  second = nullptr;
  CHECK(first->hosts()[0].host->id() == 1);
}

TEST_CASE("a long chain of changes behind an old snapshot is freed without recursion") {
  Registry r;
  auto first = r.build({host(0)});
  std::unique_ptr<ClusterSnapshot> last;
  for (uint64_t id = 1; id < 200'000; id++) last = r.update({host(id)}, {id - 1});
  CHECK(changes(*first, *last).size() == 199'999);
  CHECK(last->hosts().size() == 1);
  first = nullptr;
}

TEST_CASE("a bad address in a delta changes nothing; a delta needs a cluster") {
  Registry r;
  auto first = r.build({host(1)});
  auto bad = host(7);
  bad.additionalAddresses = {{.ip = "example.com", .port = 1}};
  auto refused = r.clusters.update(1, {{host(6), bad}, {1}});
  REQUIRE_FALSE(refused.ok());
  CHECK(std::string_view(refused.error().code) == "ERR_MILLRACE_ADDRESS");
  auto next = r.update({}, {});
  CHECK(next->hosts()[0].host == first->hosts()[0].host);
  auto unknown = r.clusters.update(2, {});
  REQUIRE_FALSE(unknown.ok());
  CHECK(std::string_view(unknown.error().code) == "ERR_MILLRACE_CLUSTER");
}
