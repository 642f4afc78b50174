// Subsets of a cluster's hosts by their metadata: each has a balancer of its own, and a request
// goes to the one that its route's `metadata_match` names, or else where the fallback says (Envoy's
// LbSubsetConfig).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "upstream/balancer/priority_balancer.h"

namespace millrace {

// Immutable; any thread.
class Subsets {
 public:
  // `context.lb.subsets` is there. `members`, `localityWeights`: as PriorityBalancer::build().
  static std::unique_ptr<const Subsets> build(TableContext& context,
                                              std::span<const uint32_t> members,
                                              std::span<const double> localityWeights);

  // `whole` is the balancer of all hosts. Null when the request gets none.
  const HostEntry* pick(const PriorityBalancer& whole, const PickContext& context, PickState& state,
                        std::span<const HostEntry> hosts) const;
  size_t memory() const;  // bytes
  // What tells one subset from another, ascending; the same as long as keys and values are.
  const std::vector<uint64_t>& ids() const { return ids_; }
  // Hosts that a subset of a single host leaves out.
  uint64_t duplicates() const { return duplicates_; }

 private:
  struct Subset {
    std::vector<std::string> values;                   // of the selector's keys, in their order
    uint32_t single = HostTable::kNone;                // of a selector with single hosts
    std::unique_ptr<const PriorityBalancer> balancer;  // else
  };
  struct Selector {
    std::vector<std::string> keys;  // in order
    bool singleHost;
    spec::SubsetSelector::Fallback fallback;
    std::vector<std::string> fallbackKeys;                      // in order
    std::unordered_map<uint64_t, std::vector<Subset>> subsets;  // by the hash of their values

    const Subset* find(std::span<const std::string_view> values) const;
  };
  // The values of some keys, in order of the keys: those that a request brings, or some of them.
  class Wanted;

  void add(TableContext& context, const spec::SubsetSelector& spec,
           std::span<const uint32_t> members, std::span<const double> localityWeights);
  const Selector* selectorOf(const Wanted& wanted, bool exact) const;
  const HostEntry* pickOnce(const PriorityBalancer& whole, const Wanted* wanted,
                            const PickContext& context, PickState& state,
                            std::span<const HostEntry> hosts) const;
  const HostEntry* fallBack(const PriorityBalancer& whole, const PickContext& context,
                            PickState& state, std::span<const HostEntry> hosts) const;

  spec::SubsetLb::Fallback fallback_ = spec::SubsetLb::Fallback::kNone;
  bool panicModeAny_ = false, fallbackList_ = false, allowRedundantKeys_ = false;
  std::vector<Selector> selectors_;
  std::vector<uint64_t> ids_;
  uint64_t duplicates_ = 0;
  std::unique_ptr<const PriorityBalancer> default_;
};

}  // namespace millrace
