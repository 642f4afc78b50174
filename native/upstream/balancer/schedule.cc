#include "upstream/balancer/schedule.h"

#include <algorithm>
#include <numeric>
#include <queue>

namespace millrace {

namespace {

std::vector<uint32_t> scaled(std::span<const uint32_t> weights) {
  uint64_t sum = 0, divisor = 0;
  for (uint32_t w : weights) {
    sum += w;
    divisor = std::gcd(divisor, uint64_t(w));
  }
  std::vector<uint32_t> out(weights.begin(), weights.end());
  if (divisor > 1) {
    for (uint32_t& w : out) w = uint32_t(w / divisor);
    sum /= divisor;
  }
  uint64_t most = std::max(kMaxScheduleLength, kMaxPlaces * weights.size());
  if (sum > most) {
    for (uint32_t& w : out) {
      if (w == 0) continue;
      w = std::max(1u, uint32_t(double(w) * double(most) / double(sum)));
    }
  }
  return out;
}

}  // namespace

std::vector<uint32_t> weightedSchedule(std::span<const uint32_t> weights) {
  std::vector<uint32_t> left = scaled(weights);
  // Entry k of one with weight w is due at (k + 1/2) / w of the round.
  struct Due {
    double at;
    uint32_t index;
    bool operator>(const Due& other) const {
      return at != other.at ? at > other.at : index > other.index;
    }
  };
  std::priority_queue<Due, std::vector<Due>, std::greater<>> queue;
  size_t length = 0;
  for (uint32_t i = 0; i < left.size(); i++) {
    if (left[i] == 0) continue;
    length += left[i];
    queue.push({0.5 / left[i], i});
  }
  std::vector<uint32_t> given(left.size(), 0), schedule;
  schedule.reserve(length);
  while (!queue.empty()) {
    Due due = queue.top();
    queue.pop();
    schedule.push_back(due.index);
    if (++given[due.index] < left[due.index]) {
      queue.push({(given[due.index] + 0.5) / left[due.index], due.index});
    }
  }
  return schedule;
}

AliasTable::AliasTable(std::span<const double> weights) {
  double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (sum <= 0) return;
  std::vector<double> share(weights.size());
  std::vector<uint32_t> poor, rich;
  for (uint32_t i = 0; i < weights.size(); i++) {
    share[i] = weights[i] / sum * double(weights.size());
    (share[i] < 1 ? poor : rich).push_back(i);
  }
  columns_.resize(weights.size());
  auto part = [](double p) { return p >= 1 ? UINT32_MAX : uint32_t(p * 4294967296.0); };
  while (!poor.empty() && !rich.empty()) {
    uint32_t from = rich.back(), to = poor.back();
    poor.pop_back();
    columns_[to] = {part(share[to]), from};
    share[from] -= 1 - share[to];
    if (share[from] < 1) {
      rich.pop_back();
      poor.push_back(from);
    }
  }
  // What is left is 1 but for rounding.
  for (uint32_t i : rich) columns_[i] = {UINT32_MAX, i};
  for (uint32_t i : poor) {
    // One without weight is never its own column's, whatever rounding left.
    columns_[i] = {UINT32_MAX, i};
    if (weights[i] == 0) {
      columns_[i].other =
          uint32_t(std::max_element(weights.begin(), weights.end()) - weights.begin());
      columns_[i].own = 0;
    }
  }
}

}  // namespace millrace
