// The retries of one request: what is still worth another attempt, how many are left, how long to
// wait. Pure logic, without clock, breakers or statistics; the router asks and acts.
// (source/common/router/retry_state_impl.cc of Envoy is what users know.)
//
// Ownership: in the arena of the stream, trivially destructible; points into the request's head and
// the pinned route table. Thread rule: the worker's loop.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/codec.h"
#include "proxy/retry_policy.h"

namespace millrace {

class RetryState {
 public:
  // Whether the policy (null: none) or the request asks for retries at all: cheap, for every
  // request.
  static bool wanted(const RetryPolicy* policy, const HeaderList& headers) {
    return (policy != nullptr && policy->on != 0) || headers.has(HeaderId::kXEnvoyRetryOn) ||
           headers.has(HeaderId::kXEnvoyRetryGrpcOn);
  }
  // Merges the policy (null: Envoy's defaults) and what the request says: x-envoy-retry-on,
  // x-envoy-retry-grpc-on, x-envoy-max-retries, x-envoy-retriable-status-codes,
  // x-envoy-retriable-header-names. Removes nothing. `baseIntervalMs`: of the runtime, for policies
  // that state none.
  RetryState(const RetryPolicy* policy, const RequestFields& request, uint64_t baseIntervalMs);

  // Whether this end of an attempt is one of those that are retried.
  bool wouldRetry(const ResponseHead& head) const;
  // `started`: the request's head was sent.
  bool wouldRetry(ResetReason reason, bool started) const;

  // Takes one retry from those left; false: there is none.
  bool spend() {
    if (left_ == 0) return false;
    left_--;
    return true;
  }
  uint64_t left() const { return left_; }

  // How long to wait before the next attempt, ms. Exponential: anything below a step of 1, 2, 4 …
  // base intervals, up to the longest. `random`: a fresh number.
  uint64_t nextBackOff(uint64_t random);
  // The response says when to come back, in a form that the policy knows: sets how long to wait,
  // ms, from that to one and a half times that. `wallUs`: now.
  bool rateLimitedBackOff(const ResponseHead& head, uint64_t wallUs, uint64_t random,
                          uint64_t& waitMs) const;

 private:
  bool statusListed(uint16_t status) const;
  bool headerListed(const ResponseHead& head) const;

  const RetryPolicy* policy_;
  std::string_view moreStatusCodes_, moreHeaderNames_;  // of the request
  uint32_t on_;
  uint64_t left_;
  uint64_t step_, maxStep_;  // ms
};

}  // namespace millrace
