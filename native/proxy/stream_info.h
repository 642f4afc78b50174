// The facts of one HTTP stream, or of one TCP connection, that access logs, header formatting and
// filters read. The connection manager and the TCP proxy write them as they happen; nothing is
// computed here.
//
// Ownership: nothing is owned. Views and pointers stay valid until the stream was logged: they
// point into the stream's arena, the connection, the pinned snapshot, or static text. Lives inside
// each pooled stream; reset() allocates nothing. Thread rule: the loop's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace millrace {

class Address;
class HeaderList;

// Why a response was what it was. Bit numbers follow Envoy's own order
// (envoy/stream_info/stream_info.h), which is the order in which several flags are printed:
// "UF,URX".
enum class ResponseFlag : uint8_t {
  kFailedLocalHealthCheck,
  kNoHealthyUpstream,
  kUpstreamRequestTimeout,
  kLocalReset,
  kUpstreamRemoteReset,
  kUpstreamConnectionFailure,
  kUpstreamConnectionTermination,
  kUpstreamOverflow,
  kNoRouteFound,
  kDelayInjected,
  kFaultInjected,
  kRateLimited,
  kUnauthorizedExternalService,
  kRateLimitServiceError,
  kDownstreamConnectionTermination,
  kUpstreamRetryLimitExceeded,
  kStreamIdleTimeout,
  kInvalidEnvoyRequestHeaders,
  kDownstreamProtocolError,
  kUpstreamMaxStreamDurationReached,
  kResponseFromCacheFilter,
  kNoFilterConfigFound,
  kDurationTimeout,
  kUpstreamProtocolError,
  kNoClusterFound,
  kOverloadManager,
  kDnsResolutionFailed,
  kDropOverload,
  kDownstreamRemoteReset,
  kUnconditionalDropOverload,
  kCount
};

struct ResponseFlagNames {
  std::string_view brief;  // as %RESPONSE_FLAGS% prints it
  std::string_view full;   // as %RESPONSE_FLAGS_LONG% prints it
};

// Indexed by ResponseFlag.
inline constexpr ResponseFlagNames kResponseFlagNames[] = {
    {"LH", "FailedLocalHealthCheck"},
    {"UH", "NoHealthyUpstream"},
    {"UT", "UpstreamRequestTimeout"},
    {"LR", "LocalReset"},
    {"UR", "UpstreamRemoteReset"},
    {"UF", "UpstreamConnectionFailure"},
    {"UC", "UpstreamConnectionTermination"},
    {"UO", "UpstreamOverflow"},
    {"NR", "NoRouteFound"},
    {"DI", "DelayInjected"},
    {"FI", "FaultInjected"},
    {"RL", "RateLimited"},
    {"UAEX", "UnauthorizedExternalService"},
    {"RLSE", "RateLimitServiceError"},
    {"DC", "DownstreamConnectionTermination"},
    {"URX", "UpstreamRetryLimitExceeded"},
    {"SI", "StreamIdleTimeout"},
    {"IH", "InvalidEnvoyRequestHeaders"},
    {"DPE", "DownstreamProtocolError"},
    {"UMSDR", "UpstreamMaxStreamDurationReached"},
    {"RFCF", "ResponseFromCacheFilter"},
    {"NFCF", "NoFilterConfigFound"},
    {"DT", "DurationTimeout"},
    {"UPE", "UpstreamProtocolError"},
    {"NC", "NoClusterFound"},
    {"OM", "OverloadManagerTerminated"},
    {"DF", "DnsResolutionFailed"},
    {"DO", "DropOverload"},
    {"DR", "DownstreamRemoteReset"},
    {"UDO", "UnconditionalDropOverload"},
};
static_assert(std::size(kResponseFlagNames) == size_t(ResponseFlag::kCount));

enum class Protocol : uint8_t { kNone, kHttp10, kHttp11, kHttp2, kHttp3 };

// Which event of a stream a log entry is about; %ACCESS_LOG_TYPE% prints Envoy's names for them.
enum class AccessLogType : uint8_t { kNotSet, kTcpConnectionEnd, kDownstreamEnd };

// Bytes of one side of a stream. `wire` counts all that the stream moved, head and framing
// included.
struct ByteCounts {
  uint64_t wireReceived = 0, wireSent = 0;
  uint64_t headerReceived = 0, headerSent = 0;
};

struct StreamInfo {
  // When it began on the wall, µs since the epoch.
  uint64_t startWallUs = 0;

  // Monotonic marks, ns; 0: has not happened. Downstream is the client's side: rx from it, tx to
  // it.
  uint64_t startNs = 0;  // the first byte of the request; for TCP, the accept
  uint64_t downstreamRxEndNs = 0;
  uint64_t upstreamConnectStartNs = 0;
  uint64_t upstreamConnectEndNs = 0;
  uint64_t upstreamTxBeginNs = 0;
  uint64_t upstreamTxEndNs = 0;
  uint64_t upstreamRxBeginNs = 0;
  uint64_t upstreamRxEndNs = 0;
  uint64_t downstreamTxBeginNs = 0;
  uint64_t downstreamTxEndNs = 0;
  uint64_t connectionStartNs = 0;  // of the client's connection
  uint64_t connectionEndNs = 0;
  uint64_t endNs = 0;  // the stream is complete; durations end here

  uint64_t bytesReceived = 0;  // body bytes from the client; for TCP all bytes
  uint64_t bytesSent = 0;      // body bytes to the client; for TCP all bytes
  ByteCounts downstream;
  ByteCounts upstream;

  uint64_t connectionId = 0;
  uint64_t upstreamConnectionId = 0;  // 0: none
  uint64_t streamId = 0;              // %STREAM_ID% where there is no x-request-id; 0: absent
  uint64_t responseFlags = 0;         // bit (1 << ResponseFlag)
  uint32_t attemptCount = 0;          // times an upstream was tried
  uint16_t responseCode = 0;          // 0: no response was begun
  Protocol protocol = Protocol::kNone;
  Protocol upstreamProtocol = Protocol::kNone;
  AccessLogType logType = AccessLogType::kNotSet;

  // The request as it is now (after rewrites); empty for TCP and before a request was understood.
  std::string_view method;
  std::string_view path;
  std::string_view authority;
  std::string_view scheme;
  const HeaderList* requestHeaders = nullptr;
  const HeaderList* requestTrailers = nullptr;
  const HeaderList* responseHeaders = nullptr;  // as sent to the client
  const HeaderList* responseTrailers = nullptr;

  std::string_view responseCodeDetails;  // static text such as "via_upstream", "route_not_found"
  std::string_view terminationDetails;   // why we ended the connection, for reasons of layer 4
  std::string_view upstreamFailure;      // transport failure reason
  std::string_view localReplyBody;       // what we answered ourselves
  std::string_view routeName;
  std::string_view virtualHostName;
  std::string_view clusterName;
  std::string_view filterChainName;
  std::string_view requestedServerName;  // of TLS; empty without

  bool internal = false;  // an internal request, as forwarded.h finds it

  const Address* upstreamHost = nullptr;  // configured address of the chosen host
  const Address* upstreamLocal = nullptr;
  const Address* downstreamLocal = nullptr;
  const Address* downstreamRemote = nullptr;        // the client as trusted headers name it
  const Address* downstreamDirectRemote = nullptr;  // the peer of the socket

  void reset() { *this = StreamInfo(); }
  void setFlag(ResponseFlag flag) { responseFlags |= uint64_t{1} << uint8_t(flag); }
  bool hasFlag(ResponseFlag flag) const { return (responseFlags >> uint8_t(flag)) & 1; }
};

}  // namespace millrace
