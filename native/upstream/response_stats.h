// Responses of a cluster by status code, and by where the request came from: Envoy's dynamic HTTP
// statistics. Only what was ever counted is shown.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "stats/registry.h"
#include "upstream/cluster_spec.h"

namespace millrace {

// What the responses of one block have in common; its name goes before the leaf's.
enum class ResponseGroup : uint8_t {
  kAll,       // codes alone: classes are in the cluster's block
  kRetried,   // "retry.": thrown away for another attempt; codes alone
  kExternal,  // "external."
  kInternal,  // "internal.": the request came from an internal address
  kCanary,    // "canary.": the host is one
};
inline constexpr size_t kResponseGroups = 5;

// The main thread's side: the names. Part of a cluster's identity.
class ResponseStatNames {
 public:
  ResponseStatNames(const StatScope& cluster, StatsRegistry& stats);
  ~ResponseStatNames();
  ResponseStatNames(const ResponseStatNames&) = delete;
  ResponseStatNames& operator=(const ResponseStatNames&) = delete;
  BlockId block(ResponseGroup group) const { return blocks_[size_t(group)]; }

 private:
  StatsRegistry& stats_;
  std::array<BlockId, kResponseGroups> blocks_;
};

// As ResponseStatNames, of responses from hosts of each zone: "zone.<this proxy's>.<the host's>.".
// Part of snapshots; made and destroyed on the main thread.
class ZoneStatNames {
 public:
  // Null where the proxy's zone has no name, or none of the localities'.
  static std::shared_ptr<const ZoneStatNames> make(const StatScope& cluster, std::string_view own,
                                                   std::span<const spec::Locality> localities,
                                                   StatsRegistry& stats);
  explicit ZoneStatNames(StatsRegistry& stats) : stats_(stats) {}
  ~ZoneStatNames();
  ZoneStatNames(const ZoneStatNames&) = delete;
  ZoneStatNames& operator=(const ZoneStatNames&) = delete;
  // Of the zone of that locality; null: it has no name. Any thread.
  const BlockId* block(uint32_t locality) const {
    return locality < blocks_.size() && blocks_[locality] ? &*blocks_[locality] : nullptr;
  }

 private:
  StatsRegistry& stats_;
  std::vector<std::optional<BlockId>> blocks_;  // by locality
};

// A worker's side: its cells, which it has from the first response on.
class ResponseStats {
 public:
  ResponseStats(const ResponseStatNames& names, StatsShard& shard) : names_(names), shard_(shard) {}
  struct Response {
    uint16_t status;
    bool retried, internal, canary;
  };
  void count(const Response& response);
  // Once more, for its zone.
  void countZone(const BlockId& zone, uint16_t status);

 private:
  StatBlock& block(ResponseGroup group);
  const ResponseStatNames& names_;
  StatsShard& shard_;
  std::array<StatBlock, kResponseGroups> blocks_;
};

}  // namespace millrace
