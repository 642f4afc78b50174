// Histograms: log-linear buckets, written by one worker each, merged by the main thread.
//
// Buckets have two significant decimal digits: (10, 11], (11, 12], to (99, 100], (100, 110] and so
// on up to 10^12. A bucket is at the most 10 % of its lower bound wide and a quantile is reported
// as the middle of its bucket: at the most 5 % off. Values up to 10 are exact. Upper bounds belong
// to the bucket, as Prometheus' `le` wants it, and each of Envoy's default bounds is the bound of a
// bucket: counts up to one of them are exact.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>

namespace millrace {

// What record() is given, and what the main thread divides by to report it.
enum class HistogramUnit : uint8_t {
  kNone,
  kBytes,
  kMicroseconds,  // reported in milliseconds, as Envoy does
};

struct HistogramLayout {
  static constexpr size_t kRows = 12;  // 0..10 exactly, then one row for each decade up to 10^12
  static constexpr size_t kBucketsPerRow = 90;  // 10..99 of each decade
  struct Bucket {
    uint8_t row;
    uint8_t column;
  };
  // Larger values count in the last bucket (their sum and maximum stay exact).
  static Bucket bucketOf(uint64_t value);
  // The largest value of the bucket.
  static uint64_t upperBound(Bucket bucket);
  // All values of the bucket are greater than this (row 0, column 0 holds 0 alone).
  static uint64_t lowerBound(Bucket bucket);
};

// One histogram of one worker. record() on the worker's thread; the rest reads from the main thread
// while it does. A row is allocated when its first value comes, so a histogram costs what its range
// of values needs.
class HistogramCells {
 public:
  HistogramCells() = default;
  ~HistogramCells();
  HistogramCells(const HistogramCells&) = delete;
  HistogramCells& operator=(const HistogramCells&) = delete;
  void record(uint64_t value);

 private:
  friend class HistogramData;
  friend class StatsRegistry;
  static constexpr uint64_t kNoMinimum = std::numeric_limits<uint64_t>::max();
  struct Row {
    std::atomic<uint64_t> counts[HistogramLayout::kBucketsPerRow] = {};
  };
  Row* addRow(size_t row);
  void add(size_t row, size_t column, uint64_t count);
  void addSummary(uint64_t sum, uint64_t min, uint64_t max);
  void clear();  // main thread, when no worker writes any more
  std::atomic<Row*> rows_[HistogramLayout::kRows] = {};
  std::atomic<uint64_t> sum_{0};
  std::atomic<uint64_t> min_{kNoMinimum};
  std::atomic<uint64_t> max_{0};
};

// The sum over workers. Main thread. All values are in the unit recorded.
class HistogramData {
 public:
  void merge(const HistogramCells& cells);
  // Takes away what had been counted at an earlier time: what is left came since. Minimum and
  // maximum are then known as well as buckets are.
  void subtract(const HistogramData& earlier);
  // Adds this to `cells`, whose writer must be the calling thread: what a worker counted outlives
  // it.
  void addTo(HistogramCells& cells) const;
  uint64_t count() const { return count_; }
  uint64_t sum() const { return sum_; }
  uint64_t min() const { return min_ == kNoMinimum ? 0 : min_; }
  uint64_t max() const { return max_; }
  // q in 0..1: 0.5, 0.9, 0.99, 0.999. 0 when nothing was recorded.
  double quantile(double q) const;
  // How many values were <= bound; exact where bound has at most two significant digits, else by
  // interpolation.
  uint64_t countUpTo(uint64_t bound) const;

 private:
  static constexpr uint64_t kNoMinimum = HistogramCells::kNoMinimum;
  static HistogramLayout::Bucket bucketAt(size_t index);
  static uint64_t smallest(HistogramLayout::Bucket bucket);
  std::array<uint64_t, HistogramLayout::kRows * HistogramLayout::kBucketsPerRow> counts_{};
  uint64_t count_ = 0;
  uint64_t sum_ = 0;
  uint64_t min_ = kNoMinimum;
  uint64_t max_ = 0;
};

// Envoy's default upper bounds, 0.5 ms to one hour, in microseconds
// (source/common/stats/histogram_impl.cc, ConstSupportedBuckets).
constexpr uint64_t kDefaultBoundsUs[] = {
    500,        1'000,       5'000,       10'000,        25'000,       50'000,     100'000,
    250'000,    500'000,     1'000'000,   2'500'000,     5'000'000,    10'000'000, 30'000'000,
    60'000'000, 300'000'000, 600'000'000, 1'800'000'000, 3'600'000'000};

}  // namespace millrace
