// Buckets, quantiles, and counts up to a bound.
#include "stats/histogram.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

namespace millrace {

namespace {

using Bucket = HistogramLayout::Bucket;

uint64_t nextRandom(uint64_t& state) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

HistogramData dataOf(const std::vector<uint64_t>& values) {
  HistogramCells cells;
  for (uint64_t value : values) cells.record(value);
  HistogramData data;
  data.merge(cells);
  return data;
}

}  // namespace

TEST_CASE("every value falls into the bucket whose bounds hold it") {
  uint64_t state = 7;
  std::vector<uint64_t> values;
  for (uint64_t power = 1; power <= 100'000'000'000; power *= 10) {
    for (uint64_t digit = 1; digit <= 99; digit++) {
      values.push_back(power * digit - 1);
      values.push_back(power * digit);
      values.push_back(power * digit + 1);
    }
  }
  for (int i = 0; i < 100'000; i++) values.push_back(nextRandom(state) % (1ull << (i % 39 + 1)));
  uint64_t wrong = 0;
  for (uint64_t value : values) {
    if (value > 1'000'000'000'000) continue;
    Bucket bucket = HistogramLayout::bucketOf(value);
    uint64_t lower = HistogramLayout::lowerBound(bucket);
    uint64_t upper = HistogramLayout::upperBound(bucket);
    bool held = value <= upper && (value > lower || value == 0);
    bool narrow = upper <= 11 ? upper - lower <= 1 : (upper - lower) * 10 <= lower;
    wrong += !held || !narrow || bucket.row >= HistogramLayout::kRows ||
             bucket.column >= HistogramLayout::kBucketsPerRow;
  }
  CHECK(wrong == 0);
}

TEST_CASE("what is larger than the last bucket counts there") {
  Bucket last = HistogramLayout::bucketOf(1'000'000'000'000);
  CHECK(last.row == HistogramLayout::kRows - 1);
  CHECK(last.column == HistogramLayout::kBucketsPerRow - 1);
  Bucket more = HistogramLayout::bucketOf(~uint64_t(0));
  CHECK(more.row == last.row);
  CHECK(more.column == last.column);
  HistogramData data = dataOf({5'000'000'000'000});
  CHECK(data.max() == 5'000'000'000'000);
  CHECK(data.sum() == 5'000'000'000'000);
  CHECK(data.count() == 1);
}

TEST_CASE("nothing recorded is zero everywhere") {
  HistogramData data;
  CHECK(data.count() == 0);
  CHECK(data.min() == 0);
  CHECK(data.max() == 0);
  CHECK(data.quantile(0.99) == 0);
  CHECK(data.countUpTo(1000) == 0);
}

TEST_CASE("small values are exact") {
  HistogramData data = dataOf({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  CHECK(data.quantile(0) == 0);
  CHECK(data.quantile(0.5) == 5);
  CHECK(data.quantile(1) == 10);
  CHECK(data.countUpTo(0) == 1);
  CHECK(data.countUpTo(7) == 8);
  CHECK(data.sum() == 55);
  CHECK(data.min() == 0);
  CHECK(data.max() == 10);
}

TEST_CASE("a quantile is at the most 5 % off, over all of the range") {
  uint64_t state = 99;
  double worst = 0;
  for (int bits = 4; bits < 39; bits++) {
    std::vector<uint64_t> values;
    for (int i = 0; i < 997; i++) values.push_back(nextRandom(state) % (1ull << bits));
    HistogramData data = dataOf(values);
    std::sort(values.begin(), values.end());
    for (double q : {0.5, 0.9, 0.99, 0.999}) {
      size_t rank = static_cast<size_t>(std::ceil(q * 997)) - 1;
      double exact = static_cast<double>(values[rank]);
      if (exact == 0) continue;
      worst = std::max(worst, std::abs(data.quantile(q) - exact) / exact);
    }
  }
  CHECK(worst > 0);
  CHECK(worst <= 0.05);
}

TEST_CASE("a quantile never leaves what was recorded") {
  HistogramData data = dataOf({101, 101, 101});
  CHECK(data.quantile(0.5) == 101);
  CHECK(data.quantile(0.99) == 101);
}

TEST_CASE("counts up to Envoy's bounds are exact, and include the bound") {
  uint64_t state = 5;
  std::vector<uint64_t> values;
  for (int i = 0; i < 20'000; i++) values.push_back(nextRandom(state) % (1ull << (i % 33)));
  for (uint64_t bound : kDefaultBoundsUs) {
    values.push_back(bound - 1);
    values.push_back(bound);
    values.push_back(bound + 1);
  }
  HistogramData data = dataOf(values);
  for (uint64_t bound : kDefaultBoundsUs) {
    auto exact = std::count_if(values.begin(), values.end(),
                               [bound](uint64_t value) { return value <= bound; });
    CHECK(data.countUpTo(bound) == static_cast<uint64_t>(exact));
  }
  CHECK(data.countUpTo(~uint64_t(0)) == values.size());
  // Between a bucket's bounds: in proportion.
  CHECK(dataOf({101, 102, 103, 104, 105, 106, 107, 108, 109, 110}).countUpTo(105) == 5);
}

TEST_CASE("histograms of several workers add up, and what is earlier can be taken away") {
  HistogramCells first, second;
  first.record(10);
  second.record(1000);
  second.record(20);
  HistogramData data;
  data.merge(first);
  data.merge(second);
  CHECK(data.count() == 3);
  CHECK(data.sum() == 1030);
  CHECK(data.min() == 10);
  CHECK(data.max() == 1000);

  first.record(500);
  HistogramData later;
  later.merge(first);
  later.merge(second);
  later.subtract(data);
  CHECK(later.count() == 1);
  CHECK(later.sum() == 500);
  CHECK(later.quantile(0.5) == doctest::Approx(500).epsilon(0.05));
  CHECK(later.min() >= 491);
  CHECK(later.max() == 500);

  HistogramCells kept;
  kept.record(7);
  data.addTo(kept);
  HistogramData all;
  all.merge(kept);
  CHECK(all.count() == 4);
  CHECK(all.sum() == 1037);
  CHECK(all.min() == 7);
  CHECK(all.max() == 1000);
}

}  // namespace millrace
