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
  uint64_t perTryTimeout = 0;                  // 0: none
  uint64_t perTryIdleTimeout = 0;              // 0: none
};

}  // namespace millrace::spec
