// Who the client is, and what a request may claim about itself: x-forwarded-*, x-envoy-* and
// x-request-id, as Envoy's ConnectionManagerUtility::mutateRequestHeaders treats them ("HTTP header
// manipulation" and "HTTP header sanitizing" in its documentation).
//
//   edge request      useRemoteAddress, and not internal: nothing that it claims is believed
//   internal request  its only address in x-forwarded-for (or, with useRemoteAddress, the peer's
//   when there was no such
//                     field) is in one of the internal ranges
//
// Rules are built on the main thread; then immutable, read by every worker.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "http/headers.h"
#include "net/address.h"
#include "proxy/spec.h"

namespace millrace {

class ForwardingRules {
 public:
  // `where`: the connection manager's path in the configuration, for errors.
  static Result<ForwardingRules> compile(const spec::HttpManager& spec, const std::string& where);

  bool isInternal(const Address& address) const;

  bool useRemoteAddress = false;
  bool skipXffAppend = false;
  bool appendXForwardedPort = false;
  bool generateRequestId = true;
  bool preserveExternalRequestId = false;
  bool addUserAgent = false;
  uint32_t xffTrustedHops = 0;
  std::string schemeOverwrite;
  std::string via;

 private:
  struct Range {
    std::array<uint8_t, 16> prefix{};  // an IPv4 range is ::ffff:a.b.c.d/(96 + bits)
    uint8_t bits = 0;
  };
  std::vector<Range> internal_;
};

// What the request itself does not say.
struct ForwardedInput {
  const Address& peer;     // of the socket
  uint16_t localPort = 0;  // that the client connected to; 0: none (unix)
  bool tls = false;
};

struct ForwardedResult {
  Address remote;  // the trusted client address
  std::string_view
      scheme;          // "http" or "https"; valid as long as the head, the rules, and static text
  bool https = false;  // what x-forwarded-proto says now: what requireTls asks
  bool internal = false;
  bool edge = false;
  // The target was an https URL, but the connection has no TLS: answer 400. Else a client could
  // claim for itself what requireTls is there to ensure.
  bool refused = false;
};

// Brings the fields of `head` into the state in which filters, routes and upstreams may believe
// them; head.scheme too. New text lies in the head's arena; no heap. Once for each request, before
// routing. `random`: the worker's.
//
// Two deliberate differences from Envoy: a loopback peer is appended to x-forwarded-for as it is
// (Envoy writes an address of its own host instead), and add_user_agent writes "millrace" where
// there is no user-agent (Envoy: the name of its own service cluster).
ForwardedResult applyForwarding(const ForwardingRules& rules, const ForwardedInput& input,
                                RequestHead& head, Random& random);

// The internal_only_headers of a route table (lower case): for requests that are not internal, when
// the table is known.
void removeInternalOnly(const std::vector<std::string>& names, HeaderList& headers);

// A random UUID (RFC 9562 §5.4), 36 characters at `out`. Its first digit of the third group, the
// version, is also where Envoy keeps the reason for tracing: 4, "not traced".
void writeRequestId(Random& random, char* out);

}  // namespace millrace
