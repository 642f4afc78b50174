#include "proxy/retry_state.h"

#include <algorithm>

#include "base/clock.h"
#include "proxy/request_fields.h"
#include "proxy/token_list.h"

namespace millrace {
namespace {

using namespace retry_on;

// RFC 9110 and gRPC status codes that conditions name.
// Names of a request's x-envoy-retriable-header-names that count: each is looked for among all
// fields of a response, so that a long list from one side costs no more than a long head from the
// other.
constexpr uint32_t kHeaderNames = 100;
constexpr uint16_t kConflict = 409, kBadGateway = 502, kGatewayTimeout = 504;
constexpr uint64_t kGrpcStatusCancelled = 1, kGrpcStatusDeadlineExceeded = 4,
                   kGrpcStatusResourceExhausted = 8, kGrpcStatusInternal = 13,
                   kGrpcStatusUnavailable = 14;

uint32_t grpcCondition(uint64_t status) {
  switch (status) {
    case kGrpcStatusCancelled:
      return kGrpcCancelled;
    case kGrpcStatusDeadlineExceeded:
      return kGrpcDeadlineExceeded;
    case kGrpcStatusResourceExhausted:
      return kGrpcResourceExhausted;
    case kGrpcStatusInternal:
      return kGrpcInternal;
    case kGrpcStatusUnavailable:
      return kGrpcUnavailable;
    default:
      return 0;
  }
}

bool matchesResponse(const HeaderMatcher& matcher, const ResponseHead& head) {
  RequestFields fields;
  fields.headers = &head.headers;
  return matcher.matches(fields);
}

}  // namespace

RetryState::RetryState(const RetryPolicy* policy, const RequestFields& request,
                       uint64_t baseIntervalMs)
    : policy_(policy != nullptr ? policy : &RetryPolicy::none()),
      on_(policy_->on),
      left_(policy_->retries),
      step_(policy_->baseIntervalMs != 0 ? policy_->baseIntervalMs : baseIntervalMs) {
  if (step_ == 0) step_ = 1;
  maxStep_ =
      policy_->maxIntervalMs != 0 ? policy_->maxIntervalMs : step_ * RetryPolicy::kMaxIntervals;
  const HeaderList& headers = *request.headers;
  on_ |= parseRetryOn(headers.value(HeaderId::kXEnvoyRetryOn));
  on_ |= parseRetryGrpcOn(headers.value(HeaderId::kXEnvoyRetryGrpcOn));
  if (!policy_->requestHeaders.empty()) {
    bool any = false;
    for (const HeaderMatcher& matcher : policy_->requestHeaders) any |= matcher.matches(request);
    if (!any) on_ = 0;
  }
  if (on_ != 0) parseNumber(headers.value(HeaderId::kXEnvoyMaxRetries), left_);
  moreStatusCodes_ = headers.value(HeaderId::kXEnvoyRetriableStatusCodes);
  moreHeaderNames_ = headers.value(HeaderId::kXEnvoyRetriableHeaderNames);
}

bool RetryState::wouldRetry(const ResponseHead& head) const {
  // An upstream proxy that limits the rate has decided on purpose.
  if (head.headers.has(HeaderId::kXEnvoyRatelimited)) return (on_ & kEnvoyRateLimited) != 0;
  const uint16_t status = head.status;
  if ((on_ & k5xx) != 0 && status >= 500 && status < 600) return true;
  if ((on_ & kGatewayError) != 0 && status >= kBadGateway && status <= kGatewayTimeout) return true;
  if ((on_ & kRetriable4xx) != 0 && status == kConflict) return true;
  if ((on_ & kStatusCodes) != 0 && statusListed(status)) return true;
  if ((on_ & kHeaders) != 0 && headerListed(head)) return true;
  if ((on_ & kAnyGrpc) == 0) return false;
  uint64_t grpc = 0;
  return parseNumber(head.headers.value(HeaderId::kGrpcStatus), grpc) &&
         (on_ & grpcCondition(grpc)) != 0;
}

bool RetryState::wouldRetry(ResetReason reason, bool started) const {
  if (reason == ResetReason::kOverflow) return false;  // more load is what it does not need
  bool connect = reason == ResetReason::kConnectFailed || reason == ResetReason::kConnectTimeout;
  if (connect && (on_ & kConnectFailure) != 0) return true;
  if (!started && (on_ & kResetBeforeRequest) != 0) return true;
  if (reason == ResetReason::kRefusedStream && (on_ & kRefusedStream) != 0) return true;
  return (on_ & (kReset | k5xx | kGatewayError)) != 0;
}

bool RetryState::statusListed(uint16_t status) const {
  if (std::ranges::find(policy_->statusCodes, status) != policy_->statusCodes.end()) return true;
  bool found = false;
  forEachToken(moreStatusCodes_, [&](std::string_view token) {
    uint64_t code = 0;
    found = parseNumber(token, code) && code == status;
    return !found;
  });
  return found;
}

bool RetryState::headerListed(const ResponseHead& head) const {
  for (const HeaderMatcher& matcher : policy_->responseHeaders) {
    if (matchesResponse(matcher, head)) return true;
  }
  bool found = false;
  uint32_t names = 0;
  forEachToken(moreHeaderNames_, [&](std::string_view token) {
    found = head.headers.find(token) != nullptr;
    return !found && ++names < kHeaderNames;
  });
  return found;
}

uint64_t RetryState::nextBackOff(uint64_t random) {
  uint64_t step = step_;
  step_ = step_ < maxStep_ / 2 ? step_ * 2 : maxStep_;
  return random % step;
}

bool RetryState::rateLimitedBackOff(const ResponseHead& head, uint64_t wallUs, uint64_t random,
                                    uint64_t& waitMs) const {
  constexpr uint64_t kMsPerSec = 1000, kUsPerSec = 1'000'000;
  for (const RetryPolicy::ResetHeader& header : policy_->resetHeaders) {
    const Header* field = head.headers.find(header.name);
    uint64_t seconds = 0;
    if (field == nullptr || !parseNumber(field->value, seconds)) continue;
    if (header.unixTimestamp) {
      uint64_t now = wallUs / kUsPerSec;
      if (seconds < now) continue;
      seconds -= now;
    }
    if (seconds > policy_->resetMaxMs / kMsPerSec) continue;
    uint64_t ms = seconds * kMsPerSec;
    if (ms <= 1) return false;  // at once: the exponential back-off is the longer one
    waitMs = ms + random % (ms / 2);
    return true;
  }
  return false;
}

}  // namespace millrace
