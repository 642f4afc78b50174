// What a route does about failure, as the main thread states it: src/native/resilience.ts, field by
// field. Part of spec.h; the defaults are Envoy's. Durations are milliseconds. Plain data; any
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/match_spec.h"

namespace millrace::spec {

// A response header that says when to come back.
struct ResetHeader {
  enum class Format : uint8_t { kSeconds, kUnixTimestamp };
  std::string name;
  Format format = Format::kSeconds;
};

// Hosts that further attempts avoid.
struct HostPredicate {
  enum class Kind : uint8_t { kPreviousHosts, kOmitCanary, kOmitMetadata };
  Kind kind = Kind::kPreviousHosts;
  std::vector<std::string> metadata;  // kOmitMetadata: key, value, …; all of them; values as JSON
};

// RetryPolicy of route_components.proto.
struct RetryPolicy {
  std::string on;             // "5xx,reset,unavailable": HTTP and gRPC conditions
  uint32_t retries = 1;       // beyond the first attempt
  uint64_t baseInterval = 0;  // of the back-off; 0: the runtime's, or 25
  uint64_t maxInterval = 0;   // 0: ten times the base
  std::vector<ResetHeader> resetHeaders;
  uint64_t resetMaxInterval = 300'000;
  std::vector<uint16_t> statusCodes;           // for "retriable-status-codes"
  std::vector<HeaderMatcher> responseHeaders;  // for "retriable-headers"; any
  std::vector<HeaderMatcher> requestHeaders;   // one of them must match, if there is any
  std::vector<HostPredicate> predicates;
  uint32_t hostSelectionAttempts = 1;  // further picks when a predicate rejects a host
  uint32_t previousPriorities = 0;     // after so many attempts their priorities are avoided; 0: no
  uint64_t perTryTimeout = 0;          // 0: none
  uint64_t perTryIdleTimeout = 0;      // 0: none
};

// RouteAction.RequestMirrorPolicy.
struct Mirror {
  std::string cluster;  // empty when `header` names it
  SlotId slot = 0;
  std::string header;                // lower case
  std::optional<Fraction> fraction;  // absent: every request
  bool keepHost = false;             // else "-shadow" is added to it
};

// InternalRedirectPolicy.
struct InternalRedirect {
  uint32_t most = 1;                    // redirects that are followed for one request
  std::vector<uint16_t> statuses{302};  // 301, 302, 303, 307, 308
  bool crossScheme = false;
  std::vector<std::string> copiedHeaders;  // of the response, into the request; lower case
  bool notToPreviousRoutes = false;
  bool safeCrossScheme = false;  // from https to http, but not the other way
  // Names of the routes that may be led to.
  std::optional<std::vector<std::string>> allowedRoutes;
};

// RouteAction.MaxStreamDuration. -1: not said.
struct StreamDuration {
  int64_t most = -1;       // 0: unlimited, whatever the connection manager says
  int64_t grpcMost = -1;   // grpc-timeout counts, up to this; 0: whatever it says
  int64_t grpcOffset = 0;  // taken off grpc-timeout
};

}  // namespace millrace::spec
