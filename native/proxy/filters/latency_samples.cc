#include "proxy/filters/latency_samples.h"

namespace millrace {

double LatencySamples::quantile(std::span<const LatencySamples> all, uint32_t epoch, double q,
                                uint64_t& count) {
  std::array<uint64_t, kBuckets> sums{};
  count = 0;
  for (const LatencySamples& one : all) {
    if (one.epoch_.load(std::memory_order_acquire) != epoch) continue;
    for (size_t i = 0; i < kBuckets; i++) {
      uint64_t n = one.buckets_[i].load(std::memory_order_relaxed);
      sums[i] += n;
      count += n;
    }
  }
  double wanted = q * double(count), below = 0;
  for (size_t i = 0; i < kBuckets; i++) {
    double here = double(sums[i]);
    if (here == 0 || below + here < wanted) {
      below += here;
      continue;
    }
    HistogramLayout::Bucket bucket{uint8_t(i / HistogramLayout::kBucketsPerRow),
                                   uint8_t(i % HistogramLayout::kBucketsPerRow)};
    double low = double(HistogramLayout::lowerBound(bucket));
    double high = double(HistogramLayout::upperBound(bucket));
    return low + (high - low) * (wanted - below) / here;
  }
  return 0;
}

}  // namespace millrace
