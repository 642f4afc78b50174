// Zone-aware routing: requests stay in the zone of this proxy as far as the hosts there can take
// what the proxies there send; the rest goes where hosts have room. What a zone of proxies sends is
// judged by how many there are, which the cluster of the proxies themselves says
// (`local_cluster_name`).
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "upstream/balancer/host_table.h"
#include "upstream/balancer/priority_loads.h"
#include "upstream/cluster_spec.h"
#include "upstream/host_set.h"

namespace millrace {

// Envoy compares whole localities.
struct ZoneName {
  std::string region, zone, subZone;
  auto operator<=>(const ZoneName&) const = default;
};

// The proxies of the local cluster, counted: its hosts of the first priority. Immutable; any
// thread.
struct LocalZones {
  std::optional<ZoneName> own;               // of this proxy; none: not configured
  std::map<ZoneName, uint32_t> hosts;        // by zone, whatever their health
  std::map<ZoneName, uint32_t> healthy;      // by zone; only where there is one
  PriorityHealth health;                     // of all of them
  bool operator==(const LocalZones&) const;  // by what routing depends on
  static LocalZones count(std::optional<ZoneName> own, std::span<const spec::Locality> localities,
                          std::span<const HostEntry> hosts);
};

// The zones of some hosts, numbered: that of this proxy first, if one of them is there, then in
// order of the names.
class ZoneIndex {
 public:
  ZoneIndex(const LocalZones& local, std::span<const spec::Locality> localities,
            std::span<const HostEntry> hosts, std::span<const uint32_t> members);
  size_t size() const { return names_.size(); }
  bool hasOwn() const { return hasOwn_; }
  const ZoneName& name(size_t zone) const { return names_[zone]; }
  // The number of a member's zone.
  uint32_t of(const HostEntry& host) const { return byLocality_[host.locality]; }

 private:
  std::vector<ZoneName> names_;
  std::vector<uint32_t> byLocality_;
  bool hasOwn_ = false;
};

// Where requests to the hosts of one priority go. Immutable; any thread.
class ZoneRouting {
 public:
  static constexpr uint32_t kAnywhere = ~0u;
  static constexpr uint32_t kNowhere = kAnywhere - 1;

  // `healthy`: how many hosts each zone of `zones` has that are. Null: zones do not matter, because
  // there are too few of them or of hosts, or because nothing is known of this one; `counts` says
  // which.
  static std::unique_ptr<const ZoneRouting> build(TableContext& context, const ZoneIndex& zones,
                                                  std::span<const uint64_t> healthy);

  // The number of a zone, kAnywhere, or kNowhere (`fail_traffic_on_panic`).
  uint32_t choose(PickState& state) const;
  size_t memory() const { return sizeof *this + upTo_.capacity() * sizeof upTo_[0]; }  // bytes

 private:
  void share(const LocalZones& local, const ZoneIndex& zones, std::span<const uint64_t> healthy);

  uint32_t enabledPercent_ = 100;
  bool localPanic_ = false, failOnPanic_ = false;
  bool direct_ = false;         // everything stays
  uint64_t stay_ = 0;           // else so many of 10,000
  std::vector<uint64_t> upTo_;  // room of the zones, summed up in their order
};

}  // namespace millrace
