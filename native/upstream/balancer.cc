#include "upstream/balancer.h"

#include <algorithm>

namespace millrace {

std::unique_ptr<const Balancer> Balancer::build(const spec::Lb& lb,
                                                std::span<const spec::Locality> localities,
                                                std::span<const HostEntry> hosts,
                                                const LocalZones* zones) {
  TableContext context{lb, hosts, localities, zones};
  std::vector<uint32_t> members;
  members.reserve(hosts.size());
  for (uint32_t place = 0; place < hosts.size(); place++) {
    if (hosts[place].host != nullptr) members.push_back(place);
  }
  std::vector<double> weights;
  weights.reserve(localities.size());
  for (const spec::Locality& locality : localities) weights.push_back(locality.weight);
  auto balancer = std::make_unique<Balancer>();
  balancer->whole_ = PriorityBalancer::build(context, members, weights);
  if (lb.subsets) balancer->subsets_ = Subsets::build(context, members, weights);
  balancer->counts_ = context.counts;
  return balancer;
}

uint64_t Balancer::work(const spec::Lb& lb, std::span<const HostEntry> hosts) {
  uint64_t work = hosts.size() / 16;
  // Hosts are sorted into the subsets of each selector, and each subset has its tables.
  if (lb.subsets) work += hosts.size() * (4 * lb.subsets->selectors.size() + 1);
  if (lb.policy == spec::LbPolicy::kMaglev) return work + lb.maglevTableSize;
  uint32_t least = UINT32_MAX, most = 0;
  uint64_t sum = 0;
  for (const HostEntry& host : hosts) {
    if (host.host == nullptr || host.weight == 0) continue;
    least = std::min(least, host.weight);
    most = std::max(most, host.weight);
    sum += host.weight;
  }
  if (sum == 0) return work;
  if (lb.policy == spec::LbPolicy::kRingHash) {
    return work + std::min(lb.ringMax, std::max(lb.ringMin, sum / least));
  }
  if (least == most && !lb.localityWeighted) return work;
  return work + (lb.policy == spec::LbPolicy::kRoundRobin
                     ? std::min(sum, kMaxPlaces * hosts.size() + kMaxScheduleLength)
                     : hosts.size());
}

size_t Balancer::memory() const {
  return sizeof *this + whole_->memory() + (subsets_ == nullptr ? 0 : subsets_->memory());
}

}  // namespace millrace
