#include "proxy/retry_policy.h"

#include <utility>

#include "base/ascii.h"
#include "proxy/token_list.h"

namespace millrace {
namespace {

struct Condition {
  std::string_view name;
  uint32_t bit;
};

constexpr Condition kHttpConditions[] = {
    {"5xx", retry_on::k5xx},
    {"gateway-error", retry_on::kGatewayError},
    {"reset", retry_on::kReset},
    {"reset-before-request", retry_on::kResetBeforeRequest},
    {"connect-failure", retry_on::kConnectFailure},
    {"envoy-ratelimited", retry_on::kEnvoyRateLimited},
    {"retriable-4xx", retry_on::kRetriable4xx},
    {"refused-stream", retry_on::kRefusedStream},
    {"retriable-status-codes", retry_on::kStatusCodes},
    {"retriable-headers", retry_on::kHeaders},
    {"http3-post-connect-failure", retry_on::kHttp3PostConnectFailure},
};

constexpr Condition kGrpcConditions[] = {
    {"cancelled", retry_on::kGrpcCancelled},
    {"deadline-exceeded", retry_on::kGrpcDeadlineExceeded},
    {"internal", retry_on::kGrpcInternal},
    {"resource-exhausted", retry_on::kGrpcResourceExhausted},
    {"unavailable", retry_on::kGrpcUnavailable},
};

template <size_t kSize>
uint32_t parse(std::string_view list, const Condition (&conditions)[kSize]) {
  uint32_t bits = 0;
  forEachToken(list, [&](std::string_view token) {
    for (const Condition& condition : conditions) {
      if (token == condition.name) bits |= condition.bit;
    }
    return true;
  });
  return bits;
}

Status compileMatchers(std::vector<spec::HeaderMatcher>& specs, const std::string& where,
                       std::vector<HeaderMatcher>& into) {
  for (size_t i = 0; i < specs.size(); i++) {
    Result<HeaderMatcher> matcher =
        HeaderMatcher::compile(std::move(specs[i]), where + "[" + std::to_string(i) + "]");
    if (!matcher) return matcher.error();
    into.push_back(std::move(*matcher));
  }
  return Status();
}

void addPredicate(spec::HostPredicate& spec, RetryPolicy& policy) {
  switch (spec.kind) {
    case spec::HostPredicate::Kind::kPreviousHosts:
      policy.notToPreviousHosts = true;
      return;
    case spec::HostPredicate::Kind::kOmitCanary:
      policy.omitCanary = true;
      return;
    case spec::HostPredicate::Kind::kOmitMetadata:
      if (spec.metadata.size() < 2) return;  // nothing that could match
      auto& pairs = policy.omitMetadata.emplace_back();
      for (size_t i = 0; i + 1 < spec.metadata.size(); i += 2) {
        pairs.emplace_back(std::move(spec.metadata[i]), std::move(spec.metadata[i + 1]));
      }
      return;
  }
}

}  // namespace

uint32_t parseRetryOn(std::string_view list) {
  return parse(list, kHttpConditions);
}

uint32_t parseRetryGrpcOn(std::string_view list) {
  return parse(list, kGrpcConditions);
}

const RetryPolicy& RetryPolicy::none() {
  static const RetryPolicy policy;
  return policy;
}

Result<RetryPolicy> RetryPolicy::compile(spec::RetryPolicy spec, const std::string& where) {
  RetryPolicy policy;
  policy.on = parseRetryOn(spec.on) | parseRetryGrpcOn(spec.on);
  policy.retries = spec.retries;
  policy.baseIntervalMs = spec.baseInterval;
  policy.maxIntervalMs = spec.maxInterval;
  if (spec.maxInterval != 0 && spec.maxInterval < spec.baseInterval) {
    return Error{"ERR_MILLRACE_ROUTES", where + ".maxInterval: is less than baseInterval"};
  }
  policy.resetMaxMs = spec.resetMaxInterval;
  policy.perTryTimeoutMs = spec.perTryTimeout;
  policy.perTryIdleTimeoutMs = spec.perTryIdleTimeout;
  policy.statusCodes = std::move(spec.statusCodes);
  policy.hostSelectionAttempts = spec.hostSelectionAttempts;
  policy.previousPriorities = spec.previousPriorities;
  for (spec::HostPredicate& predicate : spec.predicates) addPredicate(predicate, policy);
  for (spec::ResetHeader& header : spec.resetHeaders) {
    policy.resetHeaders.push_back(
        {lowered(header.name), header.format == spec::ResetHeader::Format::kUnixTimestamp});
  }
  Status status =
      compileMatchers(spec.responseHeaders, where + ".responseHeaders", policy.responseHeaders);
  if (status) {
    status = compileMatchers(spec.requestHeaders, where + ".requestHeaders", policy.requestHeaders);
  }
  if (!status) return status.error();
  return policy;
}

}  // namespace millrace
