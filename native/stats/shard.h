// What one worker counts: cells that it alone writes, by plain relaxed stores, and that the main
// thread sums up.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/assert.h"
#include "stats/histogram.h"

namespace millrace {

// A counter or gauge: an index of cells, the same in every shard. Given out by StatsRegistry.
using StatId = uint32_t;
struct BlockId {
  StatId first = 0;
  bool operator==(const BlockId&) const = default;
};
struct HistogramId {
  uint32_t index = 0;
};

// One number of one worker. Gauges are counted up and down by whoever holds what they count, each
// in its own shard; their sum, modulo 2^64, is what is shown, so a worker's own share may be
// "negative".
class StatCell {
 public:
  // Relaxed load and store, no read-modify-write: there is one writer, and a reader may see the
  // number a moment late.
  void add(uint64_t n) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void sub(uint64_t n) { add(~n + 1); }
  void set(uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  void operator++() { add(1); }
  void operator--() { sub(1); }
  // Any thread.
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// A block's cells in one shard: `block[kRqTotal].add(1)` with the enum that the block's table of
// names goes by. Valid as long as the shard, and as the block is not released. The shard's thread.
class StatBlock {
 public:
  StatBlock() = default;
  StatCell& operator[](size_t index) const { return cells_[index]; }
  explicit operator bool() const { return cells_ != nullptr; }

 private:
  friend class StatsShard;
  explicit StatBlock(StatCell* cells) : cells_(cells) {}
  StatCell* cells_ = nullptr;
};

// One for each worker and one for the main thread, made by StatsRegistry::addShard(). Everything
// public belongs to its one thread (which may be another one before the worker starts). Memory is
// allocated when a cell's chunk is first touched, so a cluster that a worker never uses costs it
// nothing; an id must be registered before it reaches the worker.
class StatsShard {
 public:
  static constexpr uint32_t kCellsPerChunk = 256;  // 2 KiB; the most that one block can hold
  static constexpr uint32_t kMaxCells = 256 * 256 * kCellsPerChunk;
  static constexpr uint32_t kMaxHistograms = 256 * 256;

  StatsShard() = default;
  StatsShard(const StatsShard&) = delete;
  StatsShard& operator=(const StatsShard&) = delete;

  // For paths that are not hot, and to get what a hot path then keeps.
  StatCell& cell(StatId id) { return chunks_.make(id / kCellsPerChunk).cells[id % kCellsPerChunk]; }
  HistogramCells& histogram(HistogramId id) { return histograms_.make(id.index); }
  StatBlock block(BlockId id) { return StatBlock(&cell(id.first)); }

  void add(StatId id, uint64_t n = 1) { cell(id).add(n); }
  void sub(StatId id, uint64_t n = 1) { cell(id).sub(n); }
  void set(StatId id, uint64_t n) {
    cell(id).set(n);
  }  // main thread's shard: it alone may know the whole
  void record(HistogramId id, uint64_t value) { histogram(id).record(value); }

 private:
  friend class StatsRegistry;
  struct Chunk {
    StatCell cells[kCellsPerChunk];
  };
  // 256 pointers, twice: what an index of 16 bits leads to. A pointer is stored once, by the
  // shard's thread, and stays. Release and acquire: what it leads to is seen as it was made.
  template <typename T>
  class Directory {
   public:
    Directory() = default;
    ~Directory();
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    // Any thread; null where the shard has not been yet.
    T* find(uint32_t index) const {
      Page* page = pages_[index >> 8].load(std::memory_order_acquire);
      return page == nullptr ? nullptr : page->items[index & 255].load(std::memory_order_acquire);
    }
    // The shard's thread.
    T& make(uint32_t index) {
      T* item = find(index);
      return __builtin_expect(item != nullptr, 1) ? *item : add(index);
    }

   private:
    struct Page {
      std::atomic<T*> items[256] = {};
    };
    T& add(uint32_t index);
    std::atomic<Page*> pages_[256] = {};
  };

  Directory<Chunk> chunks_;
  Directory<HistogramCells> histograms_;
};

}  // namespace millrace
