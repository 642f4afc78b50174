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
  Address address;
  std::string hostname;  // for `auto` host rewriting; empty: none
  uint32_t weight = 1;
  bool healthy = true;
};

// TCP keep-alive of upstream connections, seconds.
struct Keepalive {
  uint32_t idle = 7200;
  uint32_t interval = 75;
  uint32_t probes = 9;
};

struct Cluster {
  std::string name;
  std::string statName;  // `alt_stat_name`, or the name
  std::vector<Host> hosts;
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
  std::optional<Address> bind;         // local address of upstream connections
};

}  // namespace millrace::spec
