// A table of one balancing policy over one set of hosts: those of a priority that are healthy, say,
// or of a locality of it. Built off the workers, then immutable; pick() takes no lock and allocates
// nothing. One file for each policy.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "upstream/cluster_spec.h"
#include "upstream/host_set.h"

namespace millrace {

// Of a host that may be picked: its place among the snapshot's entries, and its weight there or,
// for hashing balancers, its part of the whole.
struct WeightedPlace {
  uint32_t place;
  double weight;  // more than 0
};

// What one worker remembers of one cluster's balancing. Worker's thread.
class PickState {
 public:
  explicit PickState(uint64_t seed) : random(seed) {}
  Random random;
  uint64_t nowNs = 0;   // of this turn, for slow start
  uint32_t active = 0;  // requests to the cluster on all workers, for bounded load
  uint32_t events = 0;  // PickEvent bits of the last pick, for statistics
  // The count of picks from round-robin table `index`; each begins somewhere else on each worker.
  // Allocates when a table is used for the first time.
  uint64_t& position(uint32_t index) {
    if (index >= positions_.size()) grow(index);
    return positions_[index];
  }

 private:
  void grow(uint32_t index);
  std::vector<uint64_t> positions_;
};

enum PickEvent : uint32_t {
  kPickPanic = 1,            // lb_healthy_panic
  kPickZoneSampled = 2,      // lb_zone_routing_sampled
  kPickZoneCross = 4,        // lb_zone_routing_cross_zone
  kPickZoneLocal = 8,        // lb_zone_routing_all_directly
  kPickLocalNotOk = 16,      // lb_local_cluster_not_ok
  kPickSubset = 32,          // lb_subsets_selected
  kPickFallback = 64,        // lb_subsets_fallback
  kPickFallbackPanic = 128,  // lb_subsets_fallback_panic
  kPickZoneFull = 256,       // lb_zone_no_capacity_left
};

// What building tables found out, for statistics.
struct BuildCounts {
  uint32_t zonesComputed = 0;  // lb_recalculate_zone_structures
  uint32_t localNotOk = 0;     // lb_local_cluster_not_ok
  uint32_t zoneTooSmall = 0;   // lb_zone_cluster_too_small
  // Of the hashing table that was built last: its entries, and how many a host has.
  struct Hashed {
    uint64_t entries = 0, least = 0, most = 0;
    void count(std::span<const uint64_t> byHost);
  } hashed;
};

struct PickInput {
  std::span<const HostEntry> hosts;
  PickState& state;
  uint64_t hash;     // the request's, or random
  uint32_t attempt;  // 0, and more when a filter rejected what came before
};

// When a host is new, it gets less: Envoy's SlowStartConfig.
class SlowStart {
 public:
  explicit SlowStart(const spec::SlowStart& spec);
  bool active() const { return windowNs_ != 0; }
  // What part of its weight a host that became healthy at `sinceNs` has at `nowNs`.
  double factor(uint64_t sinceNs, uint64_t nowNs) const;
  // The hosts of one table, to look at slow start only while one of them is in it.
  struct Warming {
    uint64_t untilNs = 0;   // of the last one
    uint64_t oldestNs = 0;  // when the first of them became healthy; 0: long ago
  };
  Warming warming(std::span<const HostEntry> hosts, const std::vector<WeightedPlace>& places) const;
  // False for a part of the picks of a host in slow start, so that it gets its part of the load.
  bool accepts(const Warming& warming, const HostEntry& host, PickState& state) const;
  // Then the last pick stands.
  static constexpr int kTries = 32;

 private:
  uint64_t windowNs_;
  double exponent_, least_;
};

class HostTable {
 public:
  static constexpr uint32_t kNone = ~0u;
  virtual ~HostTable() = default;
  // The place of a host; the table has at least one.
  virtual uint32_t pick(const PickInput& in) const = 0;
  // Bytes.
  virtual size_t memory() const = 0;
};

struct LocalZones;

// What all tables of a balancer are made of.
struct TableContext {
  const spec::Lb& lb;
  std::span<const HostEntry> hosts;
  std::span<const spec::Locality> localities = {};
  const LocalZones* zones = nullptr;  // null: zones do not matter
  uint32_t positions = 0;             // given out so far
  BuildCounts counts = {};
};

// Null when `places` is empty.
std::unique_ptr<const HostTable> makeTable(TableContext& context,
                                           std::vector<WeightedPlace> places);
std::unique_ptr<const HostTable> makeRoundRobin(TableContext& context,
                                                std::vector<WeightedPlace> places);
std::unique_ptr<const HostTable> makeRandom(TableContext& context,
                                            std::vector<WeightedPlace> places);
std::unique_ptr<const HostTable> makeLeastRequest(TableContext& context,
                                                  std::vector<WeightedPlace> places);
std::unique_ptr<const HostTable> makeRingHash(TableContext& context,
                                              std::vector<WeightedPlace> places);
std::unique_ptr<const HostTable> makeMaglev(TableContext& context,
                                            std::vector<WeightedPlace> places);
// As `inner` picks, but never one that has more than its share of the load.
std::unique_ptr<const HostTable> makeBoundedLoad(TableContext& context,
                                                 std::vector<WeightedPlace> places,
                                                 std::unique_ptr<const HostTable> inner);

inline bool hashes(spec::LbPolicy policy) {
  return policy == spec::LbPolicy::kRingHash || policy == spec::LbPolicy::kMaglev;
}
// Whether every host weighs the same.
bool equalWeights(const std::vector<WeightedPlace>& places);
// What a hashing balancer hashes of a host: `hash_key` of its metadata, its hostname if asked for,
// or its address.
std::string_view hashKey(const spec::Lb& lb, const HostEntry& host);
uint32_t below(uint64_t random, uint32_t bound);

}  // namespace millrace
