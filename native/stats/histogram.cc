// Where a value falls, and what is made of the counts.
#include "stats/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace millrace {

namespace {

constexpr std::array<uint64_t, 20> kPowersOf10 = [] {
  std::array<uint64_t, 20> powers{};
  uint64_t power = 1;
  for (uint64_t& p : powers) {
    p = power;
    power *= 10;
  }
  return powers;
}();
constexpr uint64_t kExact = 10;  // values up to this have a bucket each
constexpr uint64_t kLargest = kPowersOf10[HistogramLayout::kRows];

// n > 0
uint32_t log10Floor(uint64_t n) {
  // 1233 / 4096 is log10(2) from below: the guess is right or one too high.
  uint32_t guess = static_cast<uint32_t>(std::bit_width(n)) * 1233 >> 12;
  return guess - (n < kPowersOf10[guess]);
}

// One writer: no read-modify-write is needed.
void addTo(std::atomic<uint64_t>& n, uint64_t more) {
  n.store(n.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
}

}  // namespace

HistogramLayout::Bucket HistogramLayout::bucketOf(uint64_t value) {
  if (value <= kExact) return {0, static_cast<uint8_t>(value)};
  // Upper bounds belong to their bucket.
  uint64_t below = std::min(value, kLargest) - 1;
  uint32_t decade = log10Floor(below);
  uint64_t step = kPowersOf10[decade - 1];
  // 32 bits, which nearly every value fits in, divide faster.
  uint64_t digits = below <= UINT32_MAX ? static_cast<uint32_t>(below) / static_cast<uint32_t>(step)
                                        : below / step;
  return {static_cast<uint8_t>(decade), static_cast<uint8_t>(digits - 10)};
}

uint64_t HistogramLayout::lowerBound(Bucket bucket) {
  if (bucket.row == 0) return bucket.column == 0 ? 0 : bucket.column - uint64_t(1);
  return (bucket.column + uint64_t(10)) * kPowersOf10[bucket.row - size_t(1)];
}

uint64_t HistogramLayout::upperBound(Bucket bucket) {
  if (bucket.row == 0) return bucket.column;
  return (bucket.column + uint64_t(11)) * kPowersOf10[bucket.row - size_t(1)];
}

HistogramCells::~HistogramCells() {
  for (std::atomic<Row*>& row : rows_) {
    std::unique_ptr<Row> owned(row.load(std::memory_order_relaxed));
  }
}

void HistogramCells::record(uint64_t value) {
  HistogramLayout::Bucket bucket = HistogramLayout::bucketOf(value);
  add(bucket.row, bucket.column, 1);
  addSummary(value, value, value);
}

void HistogramCells::add(size_t row, size_t column, uint64_t count) {
  // Relaxed: this thread stored it.
  Row* counts = rows_[row].load(std::memory_order_relaxed);
  if (counts == nullptr) counts = addRow(row);
  addTo(counts->counts[column], count);
}

void HistogramCells::addSummary(uint64_t sum, uint64_t min, uint64_t max) {
  addTo(sum_, sum);
  if (min < min_.load(std::memory_order_relaxed)) min_.store(min, std::memory_order_relaxed);
  if (max > max_.load(std::memory_order_relaxed)) max_.store(max, std::memory_order_relaxed);
}

HistogramCells::Row* HistogramCells::addRow(size_t row) {
  Row* counts = std::make_unique<Row>().release();
  // Release: the main thread sees the row as it was made.
  rows_[row].store(counts, std::memory_order_release);
  return counts;
}

void HistogramCells::clear() {
  for (std::atomic<Row*>& pointer : rows_) {
    Row* row = pointer.load(std::memory_order_acquire);
    if (row == nullptr) continue;
    for (std::atomic<uint64_t>& count : row->counts) count.store(0, std::memory_order_relaxed);
  }
  sum_.store(0, std::memory_order_relaxed);
  min_.store(kNoMinimum, std::memory_order_relaxed);
  max_.store(0, std::memory_order_relaxed);
}

void HistogramData::merge(const HistogramCells& cells) {
  for (size_t r = 0; r < HistogramLayout::kRows; r++) {
    const HistogramCells::Row* row = cells.rows_[r].load(std::memory_order_acquire);
    if (row == nullptr) continue;
    for (size_t c = 0; c < HistogramLayout::kBucketsPerRow; c++) {
      uint64_t count = row->counts[c].load(std::memory_order_relaxed);
      counts_[r * HistogramLayout::kBucketsPerRow + c] += count;
      count_ += count;
    }
  }
  // The writer may be between a count and its sum; each is right by itself, and both are a moment
  // later.
  sum_ += cells.sum_.load(std::memory_order_relaxed);
  min_ = std::min(min_, cells.min_.load(std::memory_order_relaxed));
  max_ = std::max(max_, cells.max_.load(std::memory_order_relaxed));
}

void HistogramData::subtract(const HistogramData& earlier) {
  count_ = 0;
  min_ = kNoMinimum;
  uint64_t max = 0;
  for (size_t i = 0; i < counts_.size(); i++) {
    counts_[i] -= std::min(counts_[i], earlier.counts_[i]);
    if (counts_[i] == 0) continue;
    count_ += counts_[i];
    HistogramLayout::Bucket bucket = bucketAt(i);
    if (min_ == kNoMinimum) min_ = std::min(max_, smallest(bucket));
    max = std::min(max_, HistogramLayout::upperBound(bucket));
  }
  max_ = max;
  sum_ -= std::min(sum_, earlier.sum_);
}

void HistogramData::addTo(HistogramCells& cells) const {
  for (size_t i = 0; i < counts_.size(); i++) {
    HistogramLayout::Bucket bucket = bucketAt(i);
    if (counts_[i] != 0) cells.add(bucket.row, bucket.column, counts_[i]);
  }
  if (count_ != 0) cells.addSummary(sum_, min_, max_);
}

double HistogramData::quantile(double q) const {
  if (count_ == 0) return 0;
  uint64_t rank = static_cast<uint64_t>(std::ceil(q * static_cast<double>(count_)));
  rank = std::clamp<uint64_t>(rank, 1, count_);
  uint64_t passed = 0;
  for (size_t i = 0; i < counts_.size(); i++) {
    passed += counts_[i];
    if (passed < rank) continue;
    HistogramLayout::Bucket bucket = bucketAt(i);
    double middle = static_cast<double>(smallest(bucket)) / 2 +
                    static_cast<double>(HistogramLayout::upperBound(bucket)) / 2;
    return std::max(std::min(middle, static_cast<double>(max())), static_cast<double>(min()));
  }
  return static_cast<double>(max());
}

uint64_t HistogramData::countUpTo(uint64_t bound) const {
  HistogramLayout::Bucket bucket = HistogramLayout::bucketOf(bound);
  size_t index = size_t(bucket.row) * HistogramLayout::kBucketsPerRow + bucket.column;
  uint64_t count = 0;
  for (size_t i = 0; i < index; i++) count += counts_[i];
  uint64_t lower = HistogramLayout::lowerBound(bucket);
  uint64_t upper = HistogramLayout::upperBound(bucket);
  if (bound >= upper) return count + counts_[index];
  double share = static_cast<double>(bound - lower) / static_cast<double>(upper - lower);
  return count + static_cast<uint64_t>(share * static_cast<double>(counts_[index]));
}

HistogramLayout::Bucket HistogramData::bucketAt(size_t index) {
  return {static_cast<uint8_t>(index / HistogramLayout::kBucketsPerRow),
          static_cast<uint8_t>(index % HistogramLayout::kBucketsPerRow)};
}

uint64_t HistogramData::smallest(HistogramLayout::Bucket bucket) {
  uint64_t lower = HistogramLayout::lowerBound(bucket);
  return bucket.row == 0 && bucket.column == 0 ? 0 : lower + 1;
}

}  // namespace millrace
