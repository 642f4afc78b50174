// Names, cells and sums.
#include "stats/registry.h"

#include <algorithm>

namespace millrace {

StatsRegistry::StatsRegistry() : thread_(std::this_thread::get_id()) {
  shards_.push_back(std::make_unique<StatsShard>());
}

StatsRegistry::~StatsRegistry() = default;

void StatsRegistry::checkThread() const {
  MR_DASSERT(std::this_thread::get_id() == thread_);
}

std::string StatsRegistry::keyOf(const StatScope& scope, std::string_view name) {
  std::string key = scope.prefix;
  key += '\0';
  key += name;
  for (const auto& [tag, value] : scope.tags) {
    key += '\0';
    key += tag;
    key += '\0';
    key += value;
  }
  return key;
}

StatId StatsRegistry::counter(std::string_view name, StatTags tags) {
  return single(name, std::move(tags), StatKind::kCounter);
}

StatId StatsRegistry::gauge(std::string_view name, StatTags tags) {
  return single(name, std::move(tags), StatKind::kGauge);
}

StatId StatsRegistry::single(std::string_view name, StatTags tags, StatKind kind) {
  checkThread();
  StatScope scope{{}, {}, std::move(tags)};
  std::string key = keyOf(scope, name);
  auto known = blockByKey_.find(key);
  if (known != blockByKey_.end()) {
    Block& block = blocks_.at(known->second);
    MR_ASSERT(block.leaves[0].kind == kind);
    return block.first;
  }
  Block& block = newBlock(std::move(key), 1);
  block.scope = std::move(scope);
  block.ownName = name;
  block.ownLeaf = {block.ownName.c_str(), kind};
  block.leaves = {&block.ownLeaf, 1};
  return block.first;
}

BlockId StatsRegistry::block(const StatScope& scope, std::span<const StatLeaf> leaves) {
  checkThread();
  MR_ASSERT(!leaves.empty() && leaves.size() <= StatsShard::kCellsPerChunk);
  std::string key = keyOf(scope, leaves[0].name);
  auto known = blockByKey_.find(key);
  if (known != blockByKey_.end()) {
    Block& block = blocks_.at(known->second);
    MR_ASSERT(block.leaves.data() == leaves.data() && block.leaves.size() == leaves.size());
    block.uses++;
    return {block.first};
  }
  Block& block = newBlock(std::move(key), static_cast<uint32_t>(leaves.size()));
  block.scope = scope;
  block.leaves = leaves;
  return {block.first};
}

StatsRegistry::Block& StatsRegistry::newBlock(std::string key, uint32_t cells) {
  uint64_t order = nextOrder_++;
  Block& block = blocks_[order];
  block.first = allocateCells(cells);
  block.uses = 1;
  blockByKey_[key] = order;
  blockByCell_[block.first] = order;
  block.key = std::move(key);
  return block;
}

StatId StatsRegistry::allocateCells(uint32_t count) {
  std::vector<StatId>& free = freeCells_[count];
  if (!free.empty()) {
    StatId first = free.back();
    free.pop_back();
    return first;
  }
  // A run lies within one chunk; what does not fit behind the last run stays unused.
  uint32_t used = nextCell_ % StatsShard::kCellsPerChunk;
  if (used + count > StatsShard::kCellsPerChunk) nextCell_ += StatsShard::kCellsPerChunk - used;
  MR_ASSERT(nextCell_ + count <= StatsShard::kMaxCells);
  StatId first = nextCell_;
  nextCell_ += count;
  return first;
}

void StatsRegistry::release(BlockId id) {
  checkThread();
  auto order = blockByCell_.find(id.first);
  MR_ASSERT(order != blockByCell_.end());
  auto found = blocks_.find(order->second);
  Block& block = found->second;
  if (--block.uses > 0) return;
  clearCells(block.first, block.size());
  freeCells_[block.size()].push_back(block.first);
  blockByKey_.erase(block.key);
  blockByCell_.erase(order);
  blocks_.erase(found);
}

// No worker writes these cells any more, so the main thread may.
void StatsRegistry::clearCells(StatId first, uint32_t count) {
  uint32_t offset = first % StatsShard::kCellsPerChunk;
  for (const std::unique_ptr<StatsShard>& shard : shards_) {
    StatsShard::Chunk* chunk = shard->chunks_.find(first / StatsShard::kCellsPerChunk);
    if (chunk == nullptr) continue;
    for (uint32_t i = 0; i < count; i++) chunk->cells[offset + i].set(0);
  }
  for (StatId id = first; id < first + count && id < baselines_.size(); id++) baselines_[id] = 0;
}

HistogramId StatsRegistry::histogram(const StatScope& scope, std::string_view name,
                                     HistogramUnit unit) {
  checkThread();
  std::string key = keyOf(scope, name);
  auto known = histogramByKey_.find(key);
  if (known != histogramByKey_.end()) {
    Histogram& histogram = histograms_[known->second];
    MR_ASSERT(histogram.unit == unit);
    histogram.uses++;
    return {known->second};
  }
  uint32_t index = static_cast<uint32_t>(histograms_.size());
  if (freeHistograms_.empty()) {
    MR_ASSERT(index < StatsShard::kMaxHistograms);
    histograms_.emplace_back();
  } else {
    index = freeHistograms_.back();
    freeHistograms_.pop_back();
  }
  Histogram& histogram = histograms_[index];
  histogram.scope = scope;
  histogram.name = name;
  histogram.unit = unit;
  histogram.uses = 1;
  histogramByKey_[key] = index;
  histogram.key = std::move(key);
  return {index};
}

void StatsRegistry::release(HistogramId id) {
  checkThread();
  Histogram& histogram = histograms_[id.index];
  MR_ASSERT(histogram.uses > 0);
  if (--histogram.uses > 0) return;
  for (const std::unique_ptr<StatsShard>& shard : shards_) {
    HistogramCells* cells = shard->histograms_.find(id.index);
    if (cells != nullptr) cells->clear();
  }
  histogramByKey_.erase(histogram.key);
  histogram = Histogram();
  freeHistograms_.push_back(id.index);
}

StatsShard* StatsRegistry::addShard() {
  checkThread();
  shards_.push_back(std::make_unique<StatsShard>());
  return shards_.back().get();
}

void StatsRegistry::removeShard(StatsShard* shard) {
  checkThread();
  auto found =
      std::find_if(shards_.begin() + 1, shards_.end(),
                   [shard](const std::unique_ptr<StatsShard>& s) { return s.get() == shard; });
  MR_ASSERT(found != shards_.end());
  for (const auto& [order, block] : blocks_) {
    StatsShard::Chunk* chunk = shard->chunks_.find(block.first / StatsShard::kCellsPerChunk);
    if (chunk == nullptr) continue;
    for (StatId id = block.first; id < block.first + block.size(); id++) {
      mainShard().add(id, chunk->cells[id % StatsShard::kCellsPerChunk].value());
    }
  }
  for (uint32_t index = 0; index < histograms_.size(); index++) {
    const HistogramCells* cells = shard->histograms_.find(index);
    if (cells == nullptr) continue;
    HistogramData data;
    data.merge(*cells);
    data.addTo(mainShard().histogram({index}));
  }
  shards_.erase(found);
}

uint64_t StatsRegistry::value(StatId id) const {
  checkThread();
  uint64_t total = 0;
  for (const std::unique_ptr<StatsShard>& shard : shards_) {
    const StatsShard::Chunk* chunk = shard->chunks_.find(id / StatsShard::kCellsPerChunk);
    if (chunk != nullptr) total += chunk->cells[id % StatsShard::kCellsPerChunk].value();
  }
  return total - (id < baselines_.size() ? baselines_[id] : 0);
}

// Without the baselines.
void StatsRegistry::sum(const Block& block, Sums& sums) const {
  std::fill_n(sums.begin(), block.size(), 0);
  uint32_t offset = block.first % StatsShard::kCellsPerChunk;
  for (const std::unique_ptr<StatsShard>& shard : shards_) {
    const StatsShard::Chunk* chunk = shard->chunks_.find(block.first / StatsShard::kCellsPerChunk);
    if (chunk == nullptr) continue;
    for (uint32_t i = 0; i < block.size(); i++) sums[i] += chunk->cells[offset + i].value();
  }
}

HistogramData StatsRegistry::total(HistogramId id) const {
  HistogramData data;
  for (const std::unique_ptr<StatsShard>& shard : shards_) {
    const HistogramCells* cells = shard->histograms_.find(id.index);
    if (cells != nullptr) data.merge(*cells);
  }
  return data;
}

HistogramData StatsRegistry::read(HistogramId id) const {
  checkThread();
  HistogramData data = total(id);
  const HistogramData* baseline = histograms_[id.index].baseline.get();
  if (baseline != nullptr) data.subtract(*baseline);
  return data;
}

void StatsRegistry::resetCounters() {
  checkThread();
  baselines_.resize(nextCell_);
  Sums sums;
  for (const auto& [order, block] : blocks_) {
    sum(block, sums);
    for (uint32_t i = 0; i < block.size(); i++) {
      if (block.leaves[i].kind == StatKind::kCounter) baselines_[block.first + i] = sums[i];
    }
  }
  for (uint32_t index = 0; index < histograms_.size(); index++) {
    Histogram& histogram = histograms_[index];
    if (histogram.uses == 0) continue;
    histogram.baseline = std::make_unique<HistogramData>(total({index}));
  }
}

void StatsRegistry::visit(StatVisitor& visitor) const {
  checkThread();
  Sums sums;
  for (const auto& [order, block] : blocks_) {
    sum(block, sums);
    for (uint32_t i = 0; i < block.size(); i++) {
      const StatLeaf& leaf = block.leaves[i];
      StatName name{block.scope.prefix, block.scope.taggedPrefix, leaf.name, block.scope.tags};
      StatId id = block.first + i;
      if (leaf.onlyUsed && sums[i] == 0) continue;
      if (leaf.kind == StatKind::kCounter) {
        visitor.counter(name, sums[i] - (id < baselines_.size() ? baselines_[id] : 0));
      } else {
        visitor.gauge(name, static_cast<int64_t>(sums[i]));
      }
    }
  }
  for (uint32_t index = 0; index < histograms_.size(); index++) {
    const Histogram& histogram = histograms_[index];
    if (histogram.uses == 0) continue;
    StatName name{histogram.scope.prefix, histogram.scope.taggedPrefix, histogram.name,
                  histogram.scope.tags};
    visitor.histogram(name, histogram.unit, read({index}));
  }
}

}  // namespace millrace
