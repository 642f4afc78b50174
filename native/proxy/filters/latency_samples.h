// How long requests of one worker took, for a quantile over all workers. The worker writes; whoever
// computes reads meanwhile, a moment late. Samples belong to an epoch: with the first one of a
// later epoch, those before are forgotten, so that nobody has to clear what another thread writes.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>

#include "stats/histogram.h"

namespace millrace {

class alignas(64) LatencySamples {
 public:
  // The worker's thread.
  void add(uint32_t epoch, uint64_t us) {
    if (epoch_.load(std::memory_order_relaxed) != epoch) {
      for (auto& bucket : buckets_) bucket.store(0, std::memory_order_relaxed);
      count_.store(0, std::memory_order_relaxed);
      // Release: who sees the epoch sees no bucket of an earlier one.
      epoch_.store(epoch, std::memory_order_release);
    }
    HistogramLayout::Bucket at = HistogramLayout::bucketOf(us);
    bump(buckets_[at.row * HistogramLayout::kBucketsPerRow + at.column]);
    bump(count_);
  }

  // Any thread.
  uint32_t count(uint32_t epoch) const {
    bool now = epoch_.load(std::memory_order_acquire) == epoch;
    return now ? count_.load(std::memory_order_relaxed) : 0;
  }
  // The quantile `q` (0 to 1) of the samples that `all` have of this epoch, µs, by interpolation
  // within a bucket; `count`: how many there are. Any thread.
  static double quantile(std::span<const LatencySamples> all, uint32_t epoch, double q,
                         uint64_t& count);

 private:
  static constexpr size_t kBuckets = HistogramLayout::kRows * HistogramLayout::kBucketsPerRow;
  // One writer.
  static void bump(std::atomic<uint32_t>& n) {
    n.store(n.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }

  std::atomic<uint32_t> epoch_{0};
  std::atomic<uint32_t> count_{0};
  std::array<std::atomic<uint32_t>, kBuckets> buckets_{};
};

}  // namespace millrace
