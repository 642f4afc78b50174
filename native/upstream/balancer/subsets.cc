#include "upstream/balancer/subsets.h"

#include <algorithm>
#include <array>
#include <map>

#include "upstream/balancer/hash.h"

namespace millrace {

namespace {

// More keys than any selector has here are never matched.
constexpr size_t kMaxKeys = 32;

template <typename Values>
uint64_t hashOf(const Values& values) {
  uint64_t hash = 0;
  for (const auto& value : values) hash = xxHash64(value, hash + 1);
  return hash;
}

}  // namespace

// A view of some of a request's criteria, in order of the keys. On the stack.
class Subsets::Wanted {
 public:
  explicit Wanted(const HostCriteria& criteria) {
    for (const auto& [key, value] : criteria) {
      if (size_ == kMaxKeys) break;
      keys_[size_] = key;
      values_[size_++] = value;
    }
    overflow_ = criteria.size() > kMaxKeys;
  }
  // Those of `other` that are among `keys`.
  Wanted(const Wanted& other, const std::vector<std::string>& keys) {
    for (size_t i = 0; i < other.size_; i++) {
      if (!std::binary_search(keys.begin(), keys.end(), other.keys_[i])) continue;
      keys_[size_] = other.keys_[i];
      values_[size_++] = other.values_[i];
    }
  }
  // Whether these are the keys, no more and no fewer.
  bool hasExactly(const std::vector<std::string>& keys) const {
    return !overflow_ && keys.size() == size_ &&
           std::equal(keys.begin(), keys.end(), keys_.begin());
  }
  bool hasAll(const std::vector<std::string>& keys) const {
    return std::includes(keys_.begin(), keys_.begin() + long(size_), keys.begin(), keys.end());
  }
  std::span<const std::string_view> values() const { return {values_.data(), size_}; }
  size_t size() const { return size_; }

 private:
  std::array<std::string_view, kMaxKeys> keys_, values_;
  size_t size_ = 0;
  bool overflow_ = false;
};

// ---- Build --------------------------------------------------------------------------------------

namespace {

// The weights of localities as a subset sees them: scaled, if asked, by what part of a locality's
// hosts is in it.
std::vector<double> weightsOf(const TableContext& context, const spec::SubsetLb& spec,
                              std::span<const double> weights, std::span<const uint32_t> all,
                              std::span<const uint32_t> members) {
  if (!spec.localityWeightAware) return {};
  std::vector<double> own(weights.begin(), weights.end());
  if (!spec.scaleLocalityWeight) return own;
  auto count = [&](std::span<const uint32_t> places) {
    std::vector<double> counts(weights.size());
    for (uint32_t place : places) {
      uint32_t locality = context.hosts[place].locality;
      if (locality < counts.size()) counts[locality]++;
    }
    return counts;
  };
  std::vector<double> total = count(all), in = count(members);
  for (size_t i = 0; i < own.size(); i++) own[i] *= total[i] == 0 ? 0 : in[i] / total[i];
  return own;
}

std::unique_ptr<const PriorityBalancer> balancerOf(TableContext& context,
                                                   std::span<const double> localityWeights,
                                                   std::span<const uint32_t> all,
                                                   std::span<const uint32_t> members) {
  const spec::SubsetLb& spec = *context.lb.subsets;
  return PriorityBalancer::build(context, members,
                                 weightsOf(context, spec, localityWeights, all, members));
}

std::vector<std::string> inOrder(std::vector<std::string> keys) {
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

// Every combination of values that a host has of the keys: a key may have several.
void combine(const HostMetadata& metadata, const std::vector<std::string>& keys, uint32_t place,
             std::vector<std::string>& values,
             std::map<std::vector<std::string>, std::vector<uint32_t>>& groups) {
  if (values.size() == keys.size()) {
    groups[values].push_back(place);
    return;
  }
  const std::string& key = keys[values.size()];
  for (const auto& [name, value] : metadata.sorted()) {
    if (name != key) continue;
    values.push_back(value);
    combine(metadata, keys, place, values, groups);
    values.pop_back();
  }
}

}  // namespace

void Subsets::add(TableContext& context, const spec::SubsetSelector& spec,
                  std::span<const uint32_t> members, std::span<const double> localityWeights) {
  Selector selector{
      inOrder(spec.keys), spec.singleHost, spec.fallback, inOrder(spec.fallbackKeys), {}};
  bool known = std::any_of(selectors_.begin(), selectors_.end(),
                           [&](const Selector& other) { return other.keys == selector.keys; });
  if (known || selector.keys.empty()) return;  // the first one of these keys counts
  std::map<std::vector<std::string>, std::vector<uint32_t>> groups;
  std::vector<std::string> values;
  for (uint32_t place : members) {
    const HostMetadata* metadata = context.hosts[place].metadata;
    if (metadata != nullptr) combine(*metadata, selector.keys, place, values, groups);
  }
  for (auto& [key, places] : groups) {
    places.erase(std::unique(places.begin(), places.end()), places.end());
    Subset subset{key, places[0], nullptr};
    if (spec.singleHost) {
      duplicates_ += places.size() - 1;
    } else {
      subset.balancer = balancerOf(context, localityWeights, members, places);
    }
    uint64_t hash = hashOf(key);
    ids_.push_back(hash ^ hashOf(selector.keys) * 3);
    selector.subsets[hash].push_back(std::move(subset));
  }
  selectors_.push_back(std::move(selector));
}

std::unique_ptr<const Subsets> Subsets::build(TableContext& context,
                                              std::span<const uint32_t> members,
                                              std::span<const double> localityWeights) {
  const spec::SubsetLb& spec = *context.lb.subsets;
  auto subsets = std::make_unique<Subsets>();
  subsets->fallback_ = spec.fallback;
  subsets->panicModeAny_ = spec.panicModeAny;
  subsets->fallbackList_ = spec.fallbackList;
  subsets->allowRedundantKeys_ = spec.allowRedundantKeys;
  for (const spec::SubsetSelector& s : spec.selectors) {
    subsets->add(context, s, members, localityWeights);
  }
  std::sort(subsets->ids_.begin(), subsets->ids_.end());
  bool wantsDefault = spec.fallback == spec::SubsetLb::Fallback::kDefault ||
                      std::any_of(spec.selectors.begin(), spec.selectors.end(), [](const auto& s) {
                        return s.fallback == spec::SubsetSelector::Fallback::kDefault;
                      });
  if (wantsDefault) {
    std::vector<uint32_t> places;
    for (uint32_t place : members) {
      const HostMetadata* metadata = context.hosts[place].metadata;
      bool in = true;
      for (size_t i = 0; i + 1 < spec.defaultSubset.size(); i += 2) {
        in = in && metadata != nullptr &&
             metadata->has(spec.defaultSubset[i], spec.defaultSubset[i + 1]);
      }
      if (in) places.push_back(place);
    }
    subsets->default_ = balancerOf(context, localityWeights, members, places);
  }
  return subsets;
}

size_t Subsets::memory() const {
  size_t bytes = sizeof *this + (default_ == nullptr ? 0 : default_->memory());
  for (const Selector& selector : selectors_) {
    for (const auto& [hash, same] : selector.subsets) {
      for (const Subset& subset : same) {
        bytes += sizeof subset + (subset.balancer == nullptr ? 0 : subset.balancer->memory());
      }
    }
  }
  return bytes;
}

// ---- On a worker --------------------------------------------------------------------------------

const Subsets::Subset* Subsets::Selector::find(std::span<const std::string_view> values) const {
  auto it = subsets.find(hashOf(values));
  if (it == subsets.end()) return nullptr;
  for (const Subset& subset : it->second) {
    if (std::equal(values.begin(), values.end(), subset.values.begin(), subset.values.end())) {
      return &subset;
    }
  }
  return nullptr;
}

// The selector of exactly these keys; if not `exact`, of the most of them.
const Subsets::Selector* Subsets::selectorOf(const Wanted& wanted, bool exact) const {
  const Selector* best = nullptr;
  for (const Selector& selector : selectors_) {
    if (exact ? wanted.hasExactly(selector.keys)
              : wanted.hasAll(selector.keys) &&
                    (best == nullptr || selector.keys.size() > best->keys.size())) {
      best = &selector;
      if (exact) break;
    }
  }
  return best;
}

const HostEntry* Subsets::pick(const PriorityBalancer& whole, const PickContext& context,
                               PickState& state, std::span<const HostEntry> hosts) const {
  if (context.match == nullptr) return pickOnce(whole, nullptr, context, state, hosts);
  if (fallbackList_ && !context.match->variants.empty()) {
    for (const HostCriteria& variant : context.match->variants) {
      Wanted wanted(variant);
      const HostEntry* host = pickOnce(whole, &wanted, context, state, hosts);
      if (host != nullptr) return host;
    }
    return nullptr;
  }
  Wanted wanted(context.match->criteria);
  return pickOnce(whole, &wanted, context, state, hosts);
}

const HostEntry* Subsets::pickOnce(const PriorityBalancer& whole, const Wanted* wanted,
                                   const PickContext& context, PickState& state,
                                   std::span<const HostEntry> hosts) const {
  if (wanted == nullptr || wanted->size() == 0) return fallBack(whole, context, state, hosts);
  const Selector* selector = selectorOf(*wanted, !allowRedundantKeys_);
  if (selector == nullptr) return fallBack(whole, context, state, hosts);
  Wanted own(*wanted, selector->keys);
  if (const Subset* subset = selector->find(own.values())) {
    if (subset->balancer != nullptr) {
      state.events |= kPickSubset;
      return subset->balancer->pick(context, state, hosts);
    }
    if (hosts[subset->single].health != Health::kUnhealthy) {
      state.events |= kPickSubset;
      return &hosts[subset->single];
    }
  }
  switch (selector->fallback) {
    case spec::SubsetSelector::Fallback::kNotDefined:
      break;
    case spec::SubsetSelector::Fallback::kNone:
      return nullptr;
    case spec::SubsetSelector::Fallback::kAny:
      state.events |= kPickFallback;
      return whole.pick(context, state, hosts);
    case spec::SubsetSelector::Fallback::kDefault:
      state.events |= kPickFallback;
      return default_->pick(context, state, hosts);
    case spec::SubsetSelector::Fallback::kKeys: {
      // Fewer keys each time, so this ends.
      Wanted fewer(*wanted, selector->fallbackKeys);
      return fewer.size() < wanted->size() ? pickOnce(whole, &fewer, context, state, hosts)
                                           : nullptr;
    }
  }
  return fallBack(whole, context, state, hosts);
}

const HostEntry* Subsets::fallBack(const PriorityBalancer& whole, const PickContext& context,
                                   PickState& state, std::span<const HostEntry> hosts) const {
  if (fallback_ == spec::SubsetLb::Fallback::kNone) return nullptr;
  const PriorityBalancer& to = fallback_ == spec::SubsetLb::Fallback::kAny ? whole : *default_;
  if (const HostEntry* host = to.pick(context, state, hosts)) {
    state.events |= kPickFallback;
    return host;
  }
  if (!panicModeAny_) return nullptr;
  const HostEntry* host = whole.pick(context, state, hosts);
  if (host != nullptr) state.events |= kPickFallbackPanic;
  return host;
}

}  // namespace millrace
