// A route's retry policy, compiled: which failures are worth another attempt, how many there may
// be, and how long to wait between them (RetryPolicy of route_components.proto).
//
// Built on the main thread as a part of a RouteTable; then immutable, read by every worker.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "proxy/header_matcher.h"
#include "proxy/resilience_spec.h"

namespace millrace {

// Conditions of retry_on, a bit each.
namespace retry_on {
enum RetryOn : uint32_t {
  k5xx = 1 << 0,
  kGatewayError = 1 << 1,
  kReset = 1 << 2,
  kResetBeforeRequest = 1 << 3,
  kConnectFailure = 1 << 4,
  kEnvoyRateLimited = 1 << 5,
  kRetriable4xx = 1 << 6,
  kRefusedStream = 1 << 7,
  kStatusCodes = 1 << 8,
  kHeaders = 1 << 9,
  kHttp3PostConnectFailure = 1 << 10,  // accepted; there is no HTTP/3 that could fail so
  kGrpcCancelled = 1 << 11,
  kGrpcDeadlineExceeded = 1 << 12,
  kGrpcInternal = 1 << 13,
  kGrpcResourceExhausted = 1 << 14,
  kGrpcUnavailable = 1 << 15,
};
inline constexpr uint32_t kAnyGrpc = kGrpcCancelled | kGrpcDeadlineExceeded | kGrpcInternal |
                                     kGrpcResourceExhausted | kGrpcUnavailable;
}  // namespace retry_on

// The conditions in a list such as "5xx, connect-failure"; names that are none are skipped.
uint32_t parseRetryOn(std::string_view list);
uint32_t parseRetryGrpcOn(std::string_view list);

class RetryPolicy {
 public:
  static constexpr uint64_t kBaseIntervalMs = 25;
  static constexpr uint64_t kMaxIntervals = 10;  // the longest back-off, in base intervals

  struct ResetHeader {
    std::string name;  // lower case
    bool unixTimestamp = false;
  };

  // Envoy's defaults, for requests that ask for retries where the route has no policy.
  static const RetryPolicy& none();
  // `where`: the policy's path in the configuration, for errors.
  static Result<RetryPolicy> compile(spec::RetryPolicy spec, const std::string& where);

  uint32_t on = 0;  // retry_on bits
  uint32_t retries = 1;
  uint64_t baseIntervalMs = 0;  // 0: the runtime's, or kBaseIntervalMs
  uint64_t maxIntervalMs = 0;   // 0: kMaxIntervals times the base
  uint64_t resetMaxMs = 300'000;
  uint64_t perTryTimeoutMs = 0;      // 0: none
  uint64_t perTryIdleTimeoutMs = 0;  // 0: none
  // Whether attempts differ in where they may go.
  bool choosesHosts() const {
    return notToPreviousHosts || omitCanary || !omitMetadata.empty() || previousPriorities != 0;
  }
  bool notToPreviousHosts = false;
  bool omitCanary = false;
  std::vector<std::vector<std::pair<std::string, std::string>>> omitMetadata;  // any of them
  uint32_t hostSelectionAttempts = 1;
  uint32_t previousPriorities = 0;  // 0: no
  std::vector<uint16_t> statusCodes;
  std::vector<ResetHeader> resetHeaders;
  std::vector<HeaderMatcher> responseHeaders;
  std::vector<HeaderMatcher> requestHeaders;
};

}  // namespace millrace
