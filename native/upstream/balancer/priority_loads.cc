#include "upstream/balancer/priority_loads.h"

#include <algorithm>

namespace millrace {

namespace {

// What part of the load a priority can take, percent.
uint32_t availability(uint64_t hosts, const PriorityHealth& p, uint32_t overprovisioning) {
  uint64_t counted = p.hosts - p.excluded;
  if (counted == 0) return 0;
  return uint32_t(std::min(100.0, double(overprovisioning) * double(hosts) / double(counted)));
}

// Gives each priority what it can take of what is left of 100; what remains, and the first priority
// that can take anything (-1: none).
int distribute(std::vector<uint8_t>& load, const std::vector<uint32_t>& available, uint32_t total,
               uint32_t& left) {
  int first = -1;
  for (size_t i = 0; i < available.size(); i++) {
    if (first < 0 && available[i] > 0) first = int(i);
    uint32_t part = std::min(left, available[i] * 100 / total);
    load[i] = uint8_t(part);
    left -= part;
  }
  return first;
}

// Nothing is healthy anywhere: by the number of hosts.
void spreadByHosts(const std::vector<PriorityHealth>& priorities, std::vector<uint8_t>& load) {
  uint64_t total = 0;
  for (const PriorityHealth& p : priorities) total += p.hosts;
  if (total == 0) return;
  uint32_t left = 100;
  int first = -1;
  for (size_t i = 0; i < priorities.size(); i++) {
    if (first < 0 && priorities[i].hosts > 0) first = int(i);
    load[i] = uint8_t(double(priorities[i].hosts) * 100 / double(total));
    left -= load[i];
  }
  load[size_t(first)] = uint8_t(load[size_t(first)] + left);
}

}  // namespace

bool inPanic(const PriorityHealth& hosts, double panicThreshold) {
  double counted = double(hosts.hosts - hosts.excluded);
  double good = counted == 0 ? 0 : double(hosts.healthy + hosts.degraded) * 100 / counted;
  return good < panicThreshold;
}

PriorityShares sharesOf(const std::vector<PriorityHealth>& given, uint32_t overprovisioning,
                        double panicThreshold, const std::vector<bool>& without) {
  std::vector<PriorityHealth> priorities = given;
  for (size_t i = 0; i < without.size() && i < priorities.size(); i++) {
    if (without[i]) priorities[i] = {};
  }
  size_t n = priorities.size();
  PriorityShares shares{{std::vector<uint8_t>(n), std::vector<uint8_t>(n)}, std::vector<bool>(n)};
  std::vector<uint32_t> healthy, degraded;
  uint32_t total = 0;
  for (const PriorityHealth& p : priorities) {
    healthy.push_back(availability(p.healthy, p, overprovisioning));
    degraded.push_back(availability(p.degraded, p, overprovisioning));
    total += healthy.back() + degraded.back();
  }
  total = std::min(total, 100u);
  if (total == 0) {
    if (panicThreshold > 0) {
      shares.panic.assign(n, true);
      spreadByHosts(priorities, shares.loads.healthy);
    }
    return shares;
  }
  if (total < 100) {
    for (size_t i = 0; i < n; i++) {
      shares.panic[i] = inPanic(priorities[i], panicThreshold);
    }
  }
  uint32_t left = 100;
  int first = distribute(shares.loads.healthy, healthy, total, left);
  int firstDegraded = distribute(shares.loads.degraded, degraded, total, left);
  // Rounding left something over.
  if (first >= 0) {
    shares.loads.healthy[size_t(first)] = uint8_t(shares.loads.healthy[size_t(first)] + left);
  } else if (firstDegraded >= 0) {
    uint8_t& load = shares.loads.degraded[size_t(firstDegraded)];
    load = uint8_t(load + left);
  }
  return shares;
}

}  // namespace millrace
