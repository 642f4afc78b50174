// Names, identities, sums, removal, resets.
#include "stats/registry.h"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

namespace millrace {

namespace {

enum ClusterStat { kRqTotal, kRqActive, kCxTotal };
constexpr StatLeaf kClusterLeaves[] = {
    {"upstream_rq_total"}, {"upstream_rq_active", StatKind::kGauge}, {"upstream_cx_total"}};

StatScope clusterScope(const std::string& name) {
  return {"cluster." + name + ".", "cluster.", {{"envoy.cluster_name", name}}};
}

// Everything that visit() tells, by name as /stats shows it.
class Everything : public StatVisitor {
 public:
  explicit Everything(const StatsRegistry& registry) { registry.visit(*this); }
  void counter(const StatName& name, uint64_t value) override {
    counters[plain(name)] = value;
    order.push_back(plain(name));
    labels[plain(name)] = std::string(name.taggedPrefix) + std::string(name.name);
    for (const auto& [tag, text] : name.tags) labels[plain(name)] += "," + tag + "=" + text;
  }
  void gauge(const StatName& name, int64_t value) override { gauges[plain(name)] = value; }
  void histogram(const StatName& name, HistogramUnit unit, const HistogramData& data) override {
    histograms[plain(name)] = data.count();
    units[plain(name)] = unit;
  }
  std::map<std::string, uint64_t> counters;
  std::map<std::string, int64_t> gauges;
  std::map<std::string, uint64_t> histograms;
  std::map<std::string, HistogramUnit> units;
  std::map<std::string, std::string> labels;
  std::vector<std::string> order;

 private:
  static std::string plain(const StatName& name) {
    return std::string(name.prefix) + std::string(name.name);
  }
};

}  // namespace

TEST_CASE("the same name with the same tags is the same id") {
  StatsRegistry registry;
  StatId a = registry.counter("server.live");
  CHECK(registry.counter("server.live") == a);
  CHECK(registry.counter("server.live", {{"zone", "a"}}) != a);
  CHECK(registry.counter("server.live", {{"zone", "a"}}) ==
        registry.counter("server.live", {{"zone", "a"}}));
  CHECK(registry.gauge("server.other") != a);
  BlockId web = registry.block(clusterScope("web"), kClusterLeaves);
  CHECK(registry.block(clusterScope("web"), kClusterLeaves).first == web.first);
  CHECK(registry.block(clusterScope("api"), kClusterLeaves).first != web.first);
  HistogramId time =
      registry.histogram(clusterScope("web"), "upstream_rq_time", HistogramUnit::kMicroseconds);
  CHECK(registry.histogram(clusterScope("web"), "upstream_rq_time", HistogramUnit::kMicroseconds)
            .index == time.index);
}

TEST_CASE("the numbers of all shards are summed") {
  StatsRegistry registry;
  StatId total = registry.counter("total");
  StatsShard* first = registry.addShard();
  StatsShard* second = registry.addShard();
  first->add(total);
  second->add(total, 40);
  registry.mainShard().add(total, 1);
  CHECK(registry.value(total) == 42);
  CHECK(Everything(registry).counters.at("total") == 42);
}

TEST_CASE("a gauge counted up in one shard and down in another is their sum") {
  StatsRegistry registry;
  StatId active = registry.gauge("active");
  StatsShard* first = registry.addShard();
  StatsShard* second = registry.addShard();
  first->add(active, 3);
  second->sub(active, 2);
  CHECK(Everything(registry).gauges.at("active") == 1);
  first->sub(active, 4);
  CHECK(Everything(registry).gauges.at("active") == -3);
  registry.mainShard().set(active, 10);
  CHECK(Everything(registry).gauges.at("active") == 7);
}

TEST_CASE("a block is reached through one pointer, by its enum") {
  StatsRegistry registry;
  BlockId id = registry.block(clusterScope("web"), kClusterLeaves);
  StatsShard* shard = registry.addShard();
  StatBlock block = shard->block(id);
  block[kRqTotal].add(2);
  ++block[kRqActive];
  ++block[kRqActive];
  --block[kRqActive];
  ++block[kCxTotal];
  Everything all(registry);
  CHECK(all.counters.at("cluster.web.upstream_rq_total") == 2);
  CHECK(all.gauges.at("cluster.web.upstream_rq_active") == 1);
  CHECK(all.counters.at("cluster.web.upstream_cx_total") == 1);
  CHECK(all.labels.at("cluster.web.upstream_rq_total") ==
        "cluster.upstream_rq_total,envoy.cluster_name=web");
}

TEST_CASE("many blocks do not run into each other") {
  StatsRegistry registry;
  StatsShard* shard = registry.addShard();
  constexpr uint64_t kBlocks = 5000;
  for (uint64_t i = 0; i < kBlocks; i++) {
    BlockId id = registry.block(clusterScope(std::to_string(i)), kClusterLeaves);
    StatBlock block = shard->block(id);
    block[kRqTotal].add(i);
    block[kCxTotal].add(2 * i);
    registry.counter("between." + std::to_string(i));
  }
  Everything all(registry);
  uint64_t wrong = 0;
  for (uint64_t i = 0; i < kBlocks; i++) {
    std::string prefix = "cluster." + std::to_string(i) + ".";
    wrong += all.counters.at(prefix + "upstream_rq_total") != i;
    wrong += all.counters.at(prefix + "upstream_cx_total") != 2 * i;
    wrong += all.gauges.at(prefix + "upstream_rq_active") != 0;
    wrong += all.counters.at("between." + std::to_string(i)) != 0;
  }
  CHECK(wrong == 0);
  CHECK(all.order.front() == "cluster.0.upstream_rq_total");  // in the order of registration
}

TEST_CASE("counters survive a reload that takes the new use before it gives back the old") {
  StatsRegistry registry;
  StatsShard* shard = registry.addShard();
  BlockId old = registry.block(clusterScope("web"), kClusterLeaves);
  shard->block(old)[kRqTotal].add(5);
  BlockId now = registry.block(clusterScope("web"), kClusterLeaves);
  registry.release(old);
  CHECK(Everything(registry).counters.at("cluster.web.upstream_rq_total") == 5);
  registry.release(now);
  CHECK(Everything(registry).counters.count("cluster.web.upstream_rq_total") == 0);
}

TEST_CASE("released numbers vanish, and what takes their place starts from zero") {
  StatsRegistry registry;
  StatsShard* shard = registry.addShard();
  BlockId old = registry.block(clusterScope("old"), kClusterLeaves);
  HistogramId oldTime =
      registry.histogram(clusterScope("old"), "time", HistogramUnit::kMicroseconds);
  shard->block(old)[kRqTotal].add(5);
  shard->record(oldTime, 1000);
  registry.resetCounters();
  shard->block(old)[kRqTotal].add(5);
  registry.release(old);
  registry.release(oldTime);
  CHECK(Everything(registry).histograms.empty());

  BlockId now = registry.block(clusterScope("new"), kClusterLeaves);
  HistogramId nowTime = registry.histogram(clusterScope("new"), "size", HistogramUnit::kBytes);
  CHECK(now.first == old.first);  // the memory is used again
  CHECK(nowTime.index == oldTime.index);
  Everything all(registry);
  CHECK(all.counters.at("cluster.new.upstream_rq_total") == 0);
  CHECK(all.histograms.at("cluster.new.size") == 0);
  CHECK(all.units.at("cluster.new.size") == HistogramUnit::kBytes);
  shard->block(now)[kRqTotal].add(1);
  shard->record(nowTime, 3);
  CHECK(registry.value(now.first) == 1);
  CHECK(registry.read(nowTime).max() == 3);
}

TEST_CASE("a reset shows counters and histograms from zero on, and leaves gauges") {
  StatsRegistry registry;
  StatsShard* shard = registry.addShard();
  StatId counter = registry.counter("counter");
  StatId gauge = registry.gauge("gauge");
  HistogramId time = registry.histogram({}, "time", HistogramUnit::kMicroseconds);
  shard->add(counter, 10);
  shard->add(gauge, 10);
  shard->record(time, 5);
  registry.resetCounters();
  CHECK(registry.value(counter) == 0);
  CHECK(registry.value(gauge) == 10);
  CHECK(registry.read(time).count() == 0);
  shard->add(counter, 2);
  shard->record(time, 9);
  StatId later = registry.counter("later");
  shard->add(later, 3);
  Everything all(registry);
  CHECK(all.counters.at("counter") == 2);
  CHECK(all.counters.at("later") == 3);
  CHECK(all.gauges.at("gauge") == 10);
  CHECK(all.histograms.at("time") == 1);
  CHECK(registry.read(time).min() == 9);
}

TEST_CASE("what a worker counted outlives it") {
  StatsRegistry registry;
  StatId counter = registry.counter("counter");
  HistogramId time = registry.histogram({}, "time", HistogramUnit::kMicroseconds);
  BlockId block = registry.block(clusterScope("web"), kClusterLeaves);
  for (uint64_t i = 1; i <= 3; i++) {
    StatsShard* shard = registry.addShard();
    shard->add(counter, i);
    shard->block(block)[kCxTotal].add(i);
    shard->record(time, i * 100);
    registry.removeShard(shard);
  }
  CHECK(registry.value(counter) == 6);
  CHECK(registry.value(block.first + kCxTotal) == 6);
  HistogramData data = registry.read(time);
  CHECK(data.count() == 3);
  CHECK(data.sum() == 600);
  CHECK(data.max() == 300);
}

}  // namespace millrace
