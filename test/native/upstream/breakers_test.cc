// Circuit breakers: what they admit, and what they show.
#include <doctest/doctest.h>

#include <map>

#include "upstream/cluster.h"

using namespace millrace;

namespace {

struct Gauges : StatVisitor {
  std::map<std::string, int64_t> values;
  void counter(const StatName&, uint64_t) override {}
  void gauge(const StatName& n, int64_t value) override {
    values[std::string(n.prefix) + std::string(n.name)] = value;
  }
  void histogram(const StatName&, HistogramUnit, const HistogramData&) override {}
};

spec::Cluster oneHost() {
  spec::Cluster c;
  c.name = "web";
  c.hosts.push_back({.address = {.ip = "127.0.0.1", .port = 80}});
  return c;
}

}  // namespace

TEST_CASE("without a budget, max_retries limits the retries under way") {
  Resources resources;
  spec::Breaker limits{.maxRetries = 2};
  CHECK(resources.tryTakeRetry(limits));
  CHECK(resources.tryTakeRetry(limits));
  CHECK_FALSE(resources.tryTakeRetry(limits));
  resources.retries.give();
  CHECK(resources.tryTakeRetry(limits));
}

TEST_CASE("a retry budget is a part of active and pending requests, and replaces max_retries") {
  Resources resources;
  spec::Breaker limits{.maxRetries = 0, .retryBudget = spec::RetryBudget{25, 3}};
  CHECK(resources.maxRetries(limits) == 3);  // never fewer than the minimum
  for (int i = 0; i < 15; i++) resources.requests.take();
  for (int i = 0; i < 4; i++) resources.pendingRequests.take();
  CHECK(resources.maxRetries(limits) == 4);  // 19 × 25 %, rounded down
  resources.pendingRequests.take();
  CHECK(resources.maxRetries(limits) == 5);
  for (int i = 0; i < 5; i++) CHECK(resources.tryTakeRetry(limits));
  CHECK_FALSE(resources.tryTakeRetry(limits));
}

TEST_CASE("a limit for each host counts its connections on all workers") {
  StatsRegistry stats;
  ClusterRegistry registry(stats, 2);
  auto spec = oneHost();
  spec.breakers.normal.maxConnectionsPerHost = 2;
  auto snapshot = std::move(*registry.build(1, spec));
  const Host& host = *snapshot->hosts()[0].host;
  CHECK(snapshot->tryTakeConnection(host, Priority::kDefault));
  bump(host.local(0).cxActive);
  CHECK(snapshot->tryTakeConnection(host, Priority::kDefault));
  bump(host.local(1).cxActive);
  CHECK_FALSE(snapshot->tryTakeConnection(host, Priority::kDefault));
  CHECK(snapshot->tryTakeConnection(host, Priority::kHigh));  // has no limit of its own
  CHECK(snapshot->identity().resources(Priority::kDefault).connections.taken() == 2);
}

TEST_CASE("open breakers show as gauges, and what is left when track_remaining says so") {
  StatsRegistry stats;
  ClusterRegistry registry(stats, 1);
  auto spec = oneHost();
  spec.breakers.normal.trackRemaining = true;
  spec.breakers.normal.maxConnections = 5;
  spec.breakers.normal.maxRetries = 2;
  spec.breakers.high.trackRemaining = true;
  spec.breakers.high.retryBudget = spec::RetryBudget{};
  auto snapshot = std::move(*registry.build(1, spec));
  Resources& normal = snapshot->identity().resources(Priority::kDefault);
  for (int i = 0; i < 6; i++) normal.connections.take();  // more than allowed: a worker's first
  normal.retries.take();
  Gauges gauges;
  registry.visitGauges(gauges);
  auto at = [&](const std::string& name) {
    auto found = gauges.values.find("cluster.web.circuit_breakers." + name);
    return found == gauges.values.end() ? int64_t(-1) : found->second;
  };
  CHECK(at("default.cx_open") == 1);
  CHECK(at("default.remaining_cx") == 0);
  CHECK(at("default.remaining_retries") == 1);
  CHECK(at("default.remaining_rq") == 1024);
  CHECK(at("default.remaining_pending") == 1024);
  CHECK(at("default.remaining_cx_pools") == spec::Breaker::kUnlimited);
  CHECK(at("default.rq_retry_open") == 0);
  CHECK(at("default.cx_pool_open") == 0);
  CHECK(at("high.remaining_cx") == 1024);
  CHECK(at("high.remaining_retries") == -1);  // a budget is not tracked

  spec.breakers.normal.trackRemaining = false;
  snapshot = std::move(*registry.build(1, spec));
  gauges.values.clear();
  registry.visitGauges(gauges);
  CHECK(at("default.cx_open") == 1);
  CHECK(at("default.remaining_cx") == -1);
}
