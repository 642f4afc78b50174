// A cluster as the main thread states it: `NativeCluster` of src/native/, field by field.
// Complete and checked: the defaults here are Envoy's, for tests. Durations are milliseconds, sizes
// bytes. Plain data; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/address_spec.h"

namespace millrace::spec {

// How many retries may be under way, as a part of what is: Envoy's RetryBudget.
struct RetryBudget {
  double percent = 20;          // of active and pending requests
  uint32_t minConcurrency = 3;  // never fewer than this
};

// Limits of one priority, shared by all workers.
struct Breaker {
  static constexpr uint32_t kUnlimited = UINT32_MAX;
  uint32_t maxConnections = 1024;
  uint32_t maxPendingRequests = 1024;
  uint32_t maxRequests = 1024;
  uint32_t maxRetries = 3;
  uint32_t maxConnectionPools = kUnlimited;
  uint32_t maxConnectionsPerHost = kUnlimited;  // `per_host_thresholds`
  std::optional<RetryBudget> retryBudget;       // present: instead of maxRetries
  bool trackRemaining = false;                  // show what is left of each limit
};

struct Breakers {
  Breaker normal;  // src/native/: `default`, a keyword here
  Breaker high;
};

struct Host {
  enum class Health : uint8_t { kHealthy, kDegraded, kUnhealthy };
  // Envoy's HealthStatus, in its order: finer than what balancers go by.
  enum class Status : uint8_t { kUnknown, kHealthy, kUnhealthy, kDraining, kTimeout, kDegraded };
  uint64_t id = 0;  // the cluster manager's: same id, same host
  Address address;
  std::vector<Address> additionalAddresses;  // others of the same host, tried after the first
  std::string hostname;                      // for `auto` host rewriting; empty: none
  uint32_t weight = 1;                       // 0: gets nothing
  uint8_t priority = 0;                      // at most kMaxPriority
  uint32_t locality = 0;                     // index into Cluster::localities
  Health health = Health::kHealthy;
  std::optional<Status> status;       // absent: as `health` says
  bool excluded = false;              // left out of counting for panic and spill-over
  bool canary = false;                // `envoy.lb` canary
  std::vector<std::string> metadata;  // `envoy.lb`, flat: key, value, …; a key may repeat

  Status statusNow() const {
    if (status) return *status;
    if (health == Health::kUnhealthy) return Status::kUnhealthy;
    return health == Health::kDegraded ? Status::kDegraded : Status::kUnknown;
  }
};

inline constexpr uint8_t kMaxPriority = 128;  // endpoint_components.proto

// Where hosts are: a region, zone and sub-zone at one priority.
struct Locality {
  std::string region, zone, subZone;
  uint32_t weight = 0;  // of all its hosts together, for locality-weighted balancing
  uint8_t priority = 0;
};

// Hosts that are added as requests name them, instead of chosen by a balancer.
struct OnDemand {
  enum class Kind : uint8_t {
    kOriginalDst,   // where the client's connection was meant to go
    kForwardProxy,  // what the request's authority names
  };
  static constexpr uint16_t kHttpPort = 80;  // of an authority without a port

  Kind kind = Kind::kOriginalDst;
  uint64_t waitMs = 5000;      // how long a request waits for its host to be added
  uint32_t maxWaiting = 1024;  // requests and connections of all workers that may wait
  // kOriginalDst: a request header that names the destination instead, lower case; empty: none.
  std::string header;
  uint16_t port = 0;  // kOriginalDst: instead of the destination's own; 0: that
};

// Which cluster is that of the proxies themselves, and where this one of them is: for zone-aware
// routing.
struct LocalCluster {
  uint32_t slot = 0;             // 0, which no cluster has: none
  std::optional<Locality> node;  // absent: not known
};

// A change of some hosts of a cluster.
struct HostDelta {
  std::vector<Host> set;         // added, or changed
  std::vector<uint64_t> remove;  // ids; first
};

enum class LbPolicy : uint8_t { kRoundRobin, kLeastRequest, kRandom, kRingHash, kMaglev };

// A host that became healthy gets less than its weight says for a while.
struct SlowStart {
  uint64_t window = 0;  // 0: off
  double aggression = 1;
  double minWeightPercent = 10;
};

// Envoy's ZoneAwareLbConfig; without a local cluster nobody asks.
struct ZoneAware {
  uint32_t enabledPercent = 100;  // of picks
  uint64_t minClusterSize = 6;    // healthy hosts of the first priority
};

// Round robin by weights that hosts report themselves: Envoy's ClientSideWeightedRoundRobin.
struct ClientWeights {
  uint64_t blackout = 10'000;     // so long a host must have reported
  uint64_t expiration = 180'000;  // so long a report is good
  double errorPenalty = 1;
};

// A part of a cluster's hosts for each combination of values of these keys of their metadata.
struct SubsetSelector {
  enum class Fallback : uint8_t { kNotDefined, kNone, kAny, kDefault, kKeys };
  std::vector<std::string> keys;
  bool singleHost = false;  // each subset is one host, at whatever priority; `keys` is one
  Fallback fallback = Fallback::kNotDefined;
  std::vector<std::string> fallbackKeys;  // with kKeys: some of `keys`
};

// Envoy's LbSubsetConfig.
struct SubsetLb {
  enum class Fallback : uint8_t { kNone, kAny, kDefault };
  Fallback fallback = Fallback::kNone;
  std::vector<std::string> defaultSubset;  // flat: key, value, …
  std::vector<SubsetSelector> selectors;
  bool allowRedundantKeys = false;
  bool localityWeightAware = false;
  bool scaleLocalityWeight = false;
  bool panicModeAny = false;
  bool fallbackList = false;  // metadata_fallback_policy: FALLBACK_LIST
};

// How hosts are chosen.
struct Lb {
  LbPolicy policy = LbPolicy::kRoundRobin;
  // Priorities.
  uint32_t overprovisioning = 140;  // percent
  double panicThreshold = 50;  // percent of hosts; with fewer healthy ones health is not looked at
  bool failTrafficOnPanic = false;
  bool weightedPriorityHealth = false;  // counts weights instead of hosts
  bool localityWeighted = false;
  ZoneAware zoneAware;                         // round robin, least request, random
  SlowStart slowStart;                         // round robin, least request
  std::optional<ClientWeights> clientWeights;  // round robin
  // Least request.
  uint32_t choiceCount = 2;
  double activeRequestBias = 1;
  bool fullScan = false;
  // Hashing.
  uint64_t ringMin = 1024, ringMax = 8'388'608;
  bool murmur = false;                // MURMUR_HASH_2 instead of XX_HASH
  uint32_t maglevTableSize = 65'537;  // prime
  bool hashHostname = false;
  uint32_t hashBalanceFactor = 0;  // percent; 0: off
  // Hosts that requests may ask for (`override_host_status`): bits by Host::Status.
  uint8_t overrideStatuses = 1 << int(Host::Status::kUnknown) | 1 << int(Host::Status::kHealthy) |
                             1 << int(Host::Status::kDegraded);
  std::optional<SubsetLb> subsets;
  // Of requests, dropped before a host is chosen (`drop_overloads`), and the most that is.
  uint32_t dropPerMillion = 0, dropLimitPerMillion = kMillion;
  // Of requests, answered in the cluster's place while it is in maintenance.
  uint32_t maintenancePerMillion = 0;
  static constexpr uint32_t kMillion = 1'000'000;
};

// How many failures in a row are told to the main thread (outlier_detection.proto). 0: never.
struct Outlier {
  uint32_t consecutive5xx = 5;
  uint32_t consecutiveGatewayFailure = 5;
  uint32_t consecutiveLocalOriginFailure = 5;  // only when errors are split
  bool splitExternalLocalOriginErrors = false;
};

// TCP keep-alive of upstream connections, seconds.
struct Keepalive {
  uint32_t idle = 7200;
  uint32_t interval = 75;
  uint32_t probes = 9;
};

// For setsockopt(2); see net/socket.h.
struct SocketOption {
  int32_t level = 0;
  int32_t name = 0;
  std::vector<uint8_t> value;
};

enum class ProxyProtocol : uint8_t { kNone, kV1, kV2 };
enum class AddressFamily : uint8_t { kAny, kV4, kV6 };

// How connections to hosts are made, and which are made ahead of requests.
struct Connect {
  std::vector<Address> bind;  // local addresses, at most one of each family; empty: the system's
  bool freebind = false;
  std::vector<SocketOption> socketOptions;
  ProxyProtocol proxyProtocol = ProxyProtocol::kNone;
  // Of a host with several addresses (happy eyeballs): which family is tried first (kAny: that of
  // the first address), and how many of it before one of the other.
  AddressFamily firstFamily = AddressFamily::kAny;
  uint32_t firstFamilyCount = 1;
  double perUpstreamPreconnect = 1;  // preconnect_policy
  double predictivePreconnect = 1;
  bool poolPerDownstream = false;     // connection_pool_per_downstream_connection
  bool closeOnHealthFailure = false;  // close_connections_on_host_health_failure
};

struct Cluster {
  std::string name;
  std::string statName;  // `alt_stat_name`, or the name
  std::vector<Host> hosts;
  std::vector<Locality> localities;
  Lb lb;
  uint64_t connectTimeout = 5000;
  uint64_t idleTimeout = 3'600'000;       // of an idle pooled connection; 0: none
  uint64_t maxConnectionDuration = 0;     // 0: none
  uint32_t maxRequestsPerConnection = 0;  // 0: no limit
  uint32_t bufferLimit = 1 << 20;
  uint32_t maxResponseHeaderBytes = 80 * 1024;
  uint32_t maxResponseHeaders = 100;
  bool enableTrailers = false;
  Breakers breakers;
  std::optional<Keepalive> keepalive;  // absent: off
  std::optional<Outlier> outlier;      // absent: outcomes are not counted
  bool reportImmediateFail = false;    // x-envoy-immediate-health-check-fail of responses
  Connect connect;
  std::optional<OnDemand> onDemand;  // absent: the balancer chooses
};

}  // namespace millrace::spec
