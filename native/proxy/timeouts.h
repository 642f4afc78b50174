// The timeouts of one forwarded request: what the route says, and what the request may say instead
// (x-envoy-upstream-rq-timeout-ms and the like).
//
// Thread rule: pure functions on a head of the calling loop.
#pragma once

#include <cstdint>

#include "http/headers.h"
#include "proxy/route.h"

namespace millrace {

// Milliseconds; 0: none.
struct RequestTimeouts {
  uint64_t globalMs = 0;  // from the end of the request to the end of the response
  uint64_t perTryMs = 0;  // below globalMs
  uint64_t perTryIdleMs = 0;
  uint16_t status = 504;  // of a request that timed out
  bool hedge = false;     // a per-try timeout begins another attempt, and gives up none
};

// Reads the timeouts and removes what of the request said so. `internal`: the request may use names
// that are taken from others on receipt.
RequestTimeouts requestTimeouts(const ForwardAction& action, bool internal, HeaderList& headers);

// grpc-timeout of a request, ms, rounded up; -1: it has none, or one that is not to be understood
// (PROTOCOL-HTTP2.md of gRPC: up to eight digits and a unit).
int64_t grpcTimeoutMs(const HeaderList& headers);

// The route's limit to the duration of a stream: -1: it says nothing; 0: unlimited.
int64_t streamDurationMs(const ForwardAction& action, const HeaderList& headers);

// What the upstream may be told to expect, `elapsedMs` after the request was complete; 0: nothing.
uint64_t expectedTimeoutMs(const RequestTimeouts& timeouts, uint64_t elapsedMs);

}  // namespace millrace
