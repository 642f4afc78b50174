// Hosts and priorities that further attempts avoid.
#include "proxy/retry_hosts.h"

#include <doctest/doctest.h>

#include <set>

using namespace millrace;

namespace {

struct Hosts {
  // A host for each priority in the list; the second of them is a canary, the third has metadata.
  explicit Hosts(const std::vector<uint8_t>& priorities) {
    for (size_t i = 0; i < priorities.size(); i++) {
      hosts.push_back(std::make_unique<Host>(i + 1, uint32_t(i), *Address::ip("127.0.0.1", 80),
                                             std::vector<Address>(), "", 1));
      HostEntry& entry = entries.emplace_back();
      entry.host = hosts.back().get();
      entry.priority = priorities[i];
      entry.canary = i == 1;
      if (i == 2) entry.metadata = &metadata;
    }
    balancer = Balancer::build(lb, {}, entries);
  }
  // What a number of picks gave: ids.
  std::set<uint64_t> picks(RetryHosts& retry, int n = 200) {
    std::set<uint64_t> ids;
    for (int i = 0; i < n; i++) {
      const HostEntry* entry = balancer->pick(retry.context(*balancer, {}), state, entries);
      REQUIRE(entry != nullptr);
      ids.insert(entry->host->id());
    }
    return ids;
  }
  spec::Lb lb;
  HostMetadata metadata{{"stage", "\"test\"", "zone", "\"a\""}};
  std::vector<std::unique_ptr<Host>> hosts;
  std::vector<HostEntry> entries;
  std::unique_ptr<const Balancer> balancer;
  PickState state{1};
};

RetryPolicy policy(spec::RetryPolicy spec) {
  return std::move(*RetryPolicy::compile(std::move(spec), "retry"));
}

using Kind = spec::HostPredicate::Kind;

}  // namespace

TEST_CASE("hosts that were tried are avoided while there are others") {
  Hosts hosts({0, 0, 0});
  RetryPolicy p =
      policy({.predicates = {{.kind = Kind::kPreviousHosts}}, .hostSelectionAttempts = 5});
  RetryHosts retry(p);
  retry.tried(1, 0);
  CHECK(hosts.picks(retry) == std::set<uint64_t>{2, 3});
  retry.tried(3, 0);
  CHECK(hosts.picks(retry) == std::set<uint64_t>{2});
  retry.tried(2, 0);
  // When nothing else is left, one that was tried does.
  CHECK_FALSE(hosts.picks(retry).empty());
}

TEST_CASE("canaries and hosts with certain metadata are avoided") {
  Hosts hosts({0, 0, 0});
  RetryPolicy canary =
      policy({.predicates = {{.kind = Kind::kOmitCanary}}, .hostSelectionAttempts = 5});
  RetryHosts one(canary);
  CHECK(hosts.picks(one) == std::set<uint64_t>{1, 3});
  auto omitting = [](std::vector<std::string> pairs) {
    return policy({.predicates = {{.kind = Kind::kOmitMetadata, .metadata = std::move(pairs)}},
                   .hostSelectionAttempts = 5});
  };
  RetryPolicy stage = omitting({"stage", "\"test\""});
  RetryHosts two(stage);
  CHECK(hosts.picks(two) == std::set<uint64_t>{1, 2});
  RetryPolicy both = omitting({"stage", "\"test\"", "zone", "\"b\""});
  RetryHosts three(both);
  CHECK(hosts.picks(three) == std::set<uint64_t>{1, 2, 3});
}

TEST_CASE("priorities that were tried get no load, as often as the policy says") {
  Hosts hosts({0, 0, 1, 2});
  RetryPolicy p = policy({.previousPriorities = 1});
  RetryHosts retry(p);
  CHECK(hosts.picks(retry) == std::set<uint64_t>{1, 2});
  retry.tried(1, 0);
  CHECK(hosts.picks(retry) == std::set<uint64_t>{3});
  retry.tried(3, 1);
  CHECK(hosts.picks(retry) == std::set<uint64_t>{4});
  retry.tried(4, 2);
  CHECK(hosts.picks(retry) == std::set<uint64_t>{1, 2});  // all were tried

  RetryPolicy second = policy({.previousPriorities = 2});
  RetryHosts slower(second);
  slower.tried(1, 0);
  CHECK(hosts.picks(slower) == std::set<uint64_t>{1, 2});
  slower.tried(2, 0);
  CHECK(hosts.picks(slower) == std::set<uint64_t>{3});
}
