// The names behind the numbers, and the sums over all workers. Main thread only.
//
// A name is registered once, on the main thread, before its id reaches a worker; the same name with
// the same tags is the same id, so counters survive a reload that registers the new before it
// releases the old.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "stats/shard.h"

namespace millrace {

enum class StatKind : uint8_t { kCounter, kGauge };

using StatTags = std::vector<std::pair<std::string, std::string>>;

// What names have in common: {"cluster.web.", "cluster.", {{"envoy.cluster_name", "web"}}}.
// `prefix` goes before a name in /stats, `taggedPrefix` where tags are shown as labels
// (Prometheus). Both empty: the name stands alone.
struct StatScope {
  std::string prefix;
  std::string taggedPrefix;
  StatTags tags;
  // Of a part of what has these names: {"http.in.", …}.within("filter.") is "http.in.filter.".
  StatScope within(const std::string& inner) const {
    return {prefix + inner, taggedPrefix + inner, tags};
  }
};

// A row of a block's table, which is a constant array beside the enum that indexes it.
struct StatLeaf {
  const char* name;
  StatKind kind = StatKind::kCounter;
  bool onlyUsed = false;  // not enumerated while it is 0
};

// How a number is called when it is enumerated. Views into the registry.
struct StatName {
  std::string_view prefix;
  std::string_view taggedPrefix;
  std::string_view name;
  const StatTags& tags;
};

class StatVisitor {
 public:
  virtual ~StatVisitor() = default;
  virtual void counter(const StatName& name, uint64_t value) = 0;
  virtual void gauge(const StatName& name, int64_t value) = 0;
  virtual void histogram(const StatName& name, HistogramUnit unit, const HistogramData& data) = 0;
};

class StatsRegistry {
 public:
  StatsRegistry();
  ~StatsRegistry();
  StatsRegistry(const StatsRegistry&) = delete;
  StatsRegistry& operator=(const StatsRegistry&) = delete;

  // Single numbers, which are never released: those of the process.
  StatId counter(std::string_view name, StatTags tags = {});
  StatId gauge(std::string_view name, StatTags tags = {});

  // A contiguous run of cells, one for each leaf (at the most StatsShard::kCellsPerChunk). `leaves`
  // must live as long as the registry: a constant array. Every call is one use.
  BlockId block(const StatScope& scope, std::span<const StatLeaf> leaves);
  HistogramId histogram(const StatScope& scope, std::string_view name, HistogramUnit unit);

  // Gives one use back, when no worker can write through it any more: typically in the destructor
  // of the snapshot that carried the id, which runs on the main thread after every worker has let
  // go of it. With the last use the names vanish and the memory is free for others, at once.
  void release(BlockId id);
  void release(HistogramId id);

  // The shard of a new worker. The registry owns it.
  StatsShard* addShard();
  // What a stopped worker counted is added to the main thread's shard; the shard is gone.
  void removeShard(StatsShard* shard);
  StatsShard& mainShard() { return *shards_.front(); }

  // Sums over all shards, now.
  uint64_t value(StatId id) const;
  HistogramData read(HistogramId id) const;
  // Counters and histograms are shown from zero on (POST /reset_counters); gauges stay. The cells
  // have one writer each and go on: what they hold now is subtracted from then on.
  void resetCounters();
  // Every name with its number, blocks in the order of registration.
  void visit(StatVisitor& visitor) const;

 private:
  struct Block {
    StatScope scope;
    std::span<const StatLeaf> leaves;
    std::string key;
    StatId first = 0;
    uint32_t uses = 0;
    std::string ownName;  // of a single number: what ownLeaf, and so `leaves`, points to
    StatLeaf ownLeaf;
    uint32_t size() const { return static_cast<uint32_t>(leaves.size()); }
  };
  struct Histogram {
    StatScope scope;
    std::string name;
    std::string key;
    HistogramUnit unit = HistogramUnit::kNone;
    uint32_t uses = 0;
    std::unique_ptr<HistogramData> baseline;  // what it was at resetCounters(); null: nothing
  };
  using Sums = std::array<uint64_t, StatsShard::kCellsPerChunk>;

  static std::string keyOf(const StatScope& scope, std::string_view name);
  StatId single(std::string_view name, StatTags tags, StatKind kind);
  Block& newBlock(std::string key, uint32_t cells);
  StatId allocateCells(uint32_t count);
  void sum(const Block& block, Sums& sums) const;
  void clearCells(StatId first, uint32_t count);
  HistogramData total(HistogramId id) const;
  void checkThread() const;

  const std::thread::id thread_;
  std::vector<std::unique_ptr<StatsShard>> shards_;  // the first is the main thread's
  std::map<uint64_t, Block> blocks_;                 // by order of registration
  std::unordered_map<std::string, uint64_t> blockByKey_;
  std::unordered_map<StatId, uint64_t> blockByCell_;
  uint64_t nextOrder_ = 0;
  StatId nextCell_ = 0;
  std::unordered_map<uint32_t, std::vector<StatId>> freeCells_;  // by length of the run
  std::vector<uint64_t> baselines_;   // by cell, what counters were at resetCounters()
  std::deque<Histogram> histograms_;  // by index; uses 0: free
  std::unordered_map<std::string, uint32_t> histogramByKey_;
  std::vector<uint32_t> freeHistograms_;
};

}  // namespace millrace
