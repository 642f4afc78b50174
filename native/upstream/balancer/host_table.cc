#include "upstream/balancer/host_table.h"

#include <algorithm>
#include <cmath>

#include "base/clock.h"

namespace millrace {

uint32_t below(uint64_t random, uint32_t bound) {
  return uint32_t((random >> 32) * bound >> 32);
}

void PickState::grow(uint32_t index) {
  while (positions_.size() <= index) positions_.push_back(random.next() >> 32);
}

void BuildCounts::Hashed::count(std::span<const uint64_t> byHost) {
  *this = {.least = UINT64_MAX};
  for (uint64_t n : byHost) {
    entries += n;
    least = std::min(least, n);
    most = std::max(most, n);
  }
}

bool equalWeights(const std::vector<WeightedPlace>& places) {
  return std::all_of(places.begin(), places.end(),
                     [&](const WeightedPlace& p) { return p.weight == places[0].weight; });
}

std::string_view hashKey(const spec::Lb& lb, const HostEntry& entry) {
  if (entry.metadata != nullptr) {
    // JSON text: the key is a string.
    std::string_view key = entry.metadata->first("hash_key");
    if (key.size() > 2 && key.front() == '"') return key.substr(1, key.size() - 2);
  }
  if (lb.hashHostname && !entry.host->hostname().empty()) return entry.host->hostname();
  return entry.host->addressText();
}

std::unique_ptr<const HostTable> makeTable(TableContext& context,
                                           std::vector<WeightedPlace> places) {
  if (places.empty()) return nullptr;
  switch (context.lb.policy) {
    case spec::LbPolicy::kRoundRobin:
      return makeRoundRobin(context, std::move(places));
    case spec::LbPolicy::kLeastRequest:
      return makeLeastRequest(context, std::move(places));
    case spec::LbPolicy::kRandom:
      return makeRandom(context, std::move(places));
    case spec::LbPolicy::kRingHash:
    case spec::LbPolicy::kMaglev:
      break;
  }
  bool ring = context.lb.policy == spec::LbPolicy::kRingHash;
  if (context.lb.hashBalanceFactor == 0) {
    return ring ? makeRingHash(context, std::move(places)) : makeMaglev(context, std::move(places));
  }
  auto inner = ring ? makeRingHash(context, places) : makeMaglev(context, places);
  return makeBoundedLoad(context, std::move(places), std::move(inner));
}

// ---- Slow start ---------------------------------------------------------------------------------

SlowStart::SlowStart(const spec::SlowStart& spec)
    : windowNs_(spec.window * kNsPerMs),
      exponent_(1 / spec.aggression),
      least_(spec.minWeightPercent / 100) {}

double SlowStart::factor(uint64_t sinceNs, uint64_t nowNs) const {
  uint64_t age = nowNs > sinceNs ? nowNs - sinceNs : 0;
  if (age >= windowNs_) return 1;
  // Envoy counts whole seconds, and the first one from its begin.
  double part = double(std::max(age, kNsPerSec)) / double(windowNs_);
  if (exponent_ != 1) part = std::pow(part, exponent_);
  return std::clamp(part, least_, 1.0);
}

SlowStart::Warming SlowStart::warming(std::span<const HostEntry> hosts,
                                      const std::vector<WeightedPlace>& places) const {
  Warming warming;
  if (!active() || places.empty()) return warming;
  warming.oldestNs = UINT64_MAX;
  for (const WeightedPlace& p : places) {
    uint64_t since = hosts[p.place].healthySinceNs;
    warming.oldestNs = std::min(warming.oldestNs, since);
    warming.untilNs = std::max(warming.untilNs, since == 0 ? 0 : since + windowNs_);
  }
  return warming;
}

bool SlowStart::accepts(const Warming& warming, const HostEntry& host, PickState& state) const {
  double most = factor(warming.oldestNs, state.nowNs);
  double own = factor(host.healthySinceNs, state.nowNs);
  return own >= most || double(state.random.next() >> 11) * 0x1p-53 * most < own;
}

}  // namespace millrace
