#include "upstream/balancer.h"

#include <algorithm>
#include <numeric>
#include <queue>

namespace millrace {

namespace {

std::vector<uint32_t> scaled(const std::vector<uint32_t>& weights) {
  uint64_t sum = 0, divisor = 0;
  for (uint32_t w : weights) {
    sum += w;
    divisor = std::gcd(divisor, uint64_t(w));
  }
  std::vector<uint32_t> out = weights;
  if (divisor > 1) {
    for (uint32_t& w : out) w = uint32_t(w / divisor);
    sum /= divisor;
  }
  if (sum > kMaxScheduleLength) {
    for (uint32_t& w : out) {
      if (w != 0) w = uint32_t(std::max<uint64_t>(1, w * kMaxScheduleLength / sum));
    }
  }
  return out;
}

}  // namespace

std::vector<uint32_t> weightedSchedule(const std::vector<uint32_t>& weights) {
  std::vector<uint32_t> left = scaled(weights);
  // Entry k of a host of weight w is due at (k + 1/2) / w of the round.
  struct Due {
    double at;
    uint32_t host;
    bool operator>(const Due& other) const {
      return at != other.at ? at > other.at : host > other.host;
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
    schedule.push_back(due.host);
    if (++given[due.host] < left[due.host]) {
      queue.push({(given[due.host] + 0.5) / left[due.host], due.host});
    }
  }
  return schedule;
}

std::unique_ptr<const Balancer> Balancer::build(const spec::Lb& lb,
                                                std::span<const HostEntry> hosts) {
  uint64_t total = 0, healthy = 0;
  for (const HostEntry& entry : hosts) {
    if (entry.host == nullptr || entry.excluded) continue;
    total++;
    healthy += entry.health != Health::kUnhealthy;
  }
  // With fewer healthy hosts than this, health says more about the checks than about the hosts.
  bool panic = double(healthy) * 100 < double(total) * lb.panicThreshold;
  std::vector<uint32_t> weights(hosts.size(), 0);
  for (size_t i = 0; i < hosts.size(); i++) {
    const HostEntry& entry = hosts[i];
    if (entry.host == nullptr) continue;
    weights[i] = entry.health != Health::kUnhealthy || panic ? entry.weight : 0;
  }
  auto balancer = std::make_unique<Balancer>();
  balancer->schedule_ = weightedSchedule(weights);
  return balancer;
}

const HostEntry* Balancer::choose(PickState& state, std::span<const HostEntry> hosts) const {
  return schedule_.empty() ? nullptr : &hosts[schedule_[state.position++ % schedule_.size()]];
}

const HostEntry* Balancer::pick(const PickContext& context, PickState& state,
                                std::span<const HostEntry> hosts) const {
  const HostEntry* host = choose(state, hosts);
  if (context.filter == nullptr) return host;
  for (uint32_t left = context.attempts; host != nullptr && left != 0; left--) {
    if (!context.filter->rejects(*host)) return host;
    host = choose(state, hosts);
  }
  return host;
}

}  // namespace millrace
