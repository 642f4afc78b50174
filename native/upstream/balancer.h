// How a worker chooses a host of a cluster. A Balancer is a table made beside a snapshot, off the
// workers; pick() only reads it, with what the request says (PickContext) and what this worker
// remembers of the cluster (PickState). No lock, no allocation.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/random.h"
#include "upstream/cluster_spec.h"
#include "upstream/host_set.h"

namespace millrace {

// What a request has against hosts: a retry that should go elsewhere.
class HostFilter {
 public:
  virtual bool rejects(const HostEntry& host) = 0;

 protected:
  ~HostFilter() = default;
};

// What one request tells the balancer. Everything may be left out.
struct PickContext {
  // Of what the route's hash policies name. Balancers that do not hash ignore it; those that do
  // take a random one where it is absent.
  std::optional<uint64_t> hash;
  // A host that it rejects is picked only when `attempts` further picks brought no other
  // (`host_selection_retry_max_attempts`).
  HostFilter* filter = nullptr;
  uint32_t attempts = 1;
};

// What one worker remembers of one cluster's balancing. Worker's thread.
struct PickState {
  explicit PickState(uint64_t seed) : random(seed), position(random.next()) {}
  Random random;
  uint64_t position;  // of round robin: each worker begins somewhere else
};

// The order of one weighted round over `weights` (0: never), by earliest deadline first. Sums above
// kMaxScheduleLength are scaled down; a host that has any weight keeps at least one place.
inline constexpr uint64_t kMaxScheduleLength = 64 * 1024;  // 256 KiB a cluster at the most
std::vector<uint32_t> weightedSchedule(const std::vector<uint32_t>& weights);

// Immutable; any thread.
class Balancer {
 public:
  // `hosts` are the entries that pick() will be given.
  static std::unique_ptr<const Balancer> build(const spec::Lb& lb,
                                               std::span<const HostEntry> hosts);

  // Null when there is no host to be had.
  const HostEntry* pick(const PickContext& context, PickState& state,
                        std::span<const HostEntry> hosts) const;

 private:
  const HostEntry* choose(PickState& state, std::span<const HostEntry> hosts) const;

  std::vector<uint32_t> schedule_;  // places of hosts, in the order of round robin
};

}  // namespace millrace
