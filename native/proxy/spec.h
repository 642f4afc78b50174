// Routes and listeners as the main thread states them: src/native/, field by field, for the
// binding and for tests. What arrives is complete and checked (defaults filled in, names resolved
// to slots, expressions compiled); the defaults here are Envoy's, so that tests state only what
// they are about. Durations are milliseconds, sizes bytes. Clusters are in upstream/cluster_spec.h.
// Plain data; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "net/address_spec.h"
#include "proxy/filter_spec.h"
#include "proxy/match_spec.h"
#include "proxy/resilience_spec.h"

namespace millrace::spec {

// ---- Formats ----------------------------------------------------------------------------------

// An operator by Envoy's name: %REQ(X?Y):Z% is {op "REQ", a "x", b "y", max Z}.
struct FormatOperator {
  std::string op;
  std::optional<std::string> a, b, c;
  std::optional<uint32_t> max;
};

// A literal, or an operator.
using FormatOp = std::variant<std::string, FormatOperator>;

struct JsonNode {
  enum class Kind : uint8_t { kObject, kList, kValue, kLiteral };
  JsonNode() noexcept;  // defined below: clang 14 cannot make it before the struct is complete
  Kind kind = Kind::kLiteral;
  std::vector<std::pair<std::string, JsonNode>> entries;  // kObject
  std::vector<JsonNode> items;                            // kList
  std::vector<FormatOp>
      ops;  // kValue: exactly one operator and no literal keeps its type, anything else is a string
  std::string json;  // kLiteral: ready JSON text
};
inline JsonNode::JsonNode() noexcept = default;

struct Format {
  enum class Mode : uint8_t { kText, kJson };
  Mode mode = Mode::kText;
  std::vector<FormatOp> ops;  // kText
  JsonNode root;              // kJson
  bool omitEmpty = false;
};

struct LogFilter {
  enum class Kind : uint8_t { kStatus, kDuration, kAnd, kOr, kHeader, kFlag };
  enum class Op : uint8_t { kEq, kGe, kLe, kNe };
  Kind kind = Kind::kAnd;
  Op op = Op::kEq;                 // kStatus, kDuration
  uint64_t value = 0;              // kStatus, kDuration (ms)
  RuntimeIndex flag = kNoFlag;     // overrides `value`
  std::vector<LogFilter> filters;  // kAnd, kOr
  HeaderMatcher header;            // kHeader
  std::vector<std::string> flags;  // kFlag: short names ("UH", "NR"); empty: any
};

struct AccessLog {
  uint32_t log = 0;  // what openLog() returned
  Format format;
  std::optional<LogFilter> filter;
};

// ---- Routes -----------------------------------------------------------------------------------

struct HeaderValue {
  enum class Action : uint8_t { kAppend, kAddIfAbsent, kOverwrite, kOverwriteIfExists };
  std::string name;
  std::vector<FormatOp> value;
  Action action = Action::kAppend;
  bool keepEmpty = false;  // an empty value is added, instead of being left out
};

struct HeaderMutations {
  std::vector<HeaderValue> add;
  std::vector<std::string> remove;
};

// `metadata_match`, the `envoy.lb` of it: flat lists of key, value, …
struct MetadataMatch {
  std::vector<std::string> criteria;
  std::vector<std::vector<std::string>> variants;  // merged with each entry of `fallback_list`
};

struct WeightedCluster {
  std::string name;  // empty when it comes from `header`
  SlotId slot = 0;
  std::string header;
  uint32_t weight = 0;
  HeaderMutations request;
  HeaderMutations response;
  std::optional<std::string> hostRewrite;
  std::optional<MetadataMatch> metadataMatch;  // with the route's
  FilterOverrides filters;                     // with the route's; empty: the route's
};

struct ClusterChoice {
  enum class Kind : uint8_t { kCluster, kHeader, kWeighted };
  Kind kind = Kind::kCluster;
  std::string name;    // kCluster
  SlotId slot = 0;     // kCluster
  std::string header;  // kHeader: names the cluster. kWeighted: its number chooses instead of
                       // chance; empty: chance
  std::vector<WeightedCluster> clusters;
  uint32_t totalWeight = 0;  // kWeighted: the sum
};

struct HostRewrite {
  enum class Kind : uint8_t { kLiteral, kAuto, kHeader, kPathRegex };
  Kind kind = Kind::kAuto;
  std::string value;     // kLiteral
  std::string header;    // kHeader
  RegexRewrite rewrite;  // kPathRegex
};

enum class Priority : uint8_t { kDefault, kHigh };

// What of a request a hashing balancer goes by.
struct HashPolicy {
  enum class Kind : uint8_t { kHeader, kCookie, kSourceIp, kQuery };
  Kind kind = Kind::kHeader;
  std::string name;                     // of the header, cookie or parameter
  std::optional<RegexRewrite> rewrite;  // of the header's value
  std::optional<uint64_t> ttl;          // seconds; present: a cookie that is missing is made
  std::string path;                     // of that cookie; empty: none
  std::vector<std::pair<std::string, std::string>> attributes;  // of that cookie
  bool terminal = false;  // when there is a hash by now, later policies are not looked at
};

struct Forward {
  ClusterChoice cluster;
  uint16_t clusterNotFoundStatus = 503;  // 503, 404 or 500
  uint64_t timeout = 15'000;             // 0: none; starts when the whole request was received
  int64_t idleTimeout = -1;  // -1: the connection manager's stream idle timeout; 0: none
  Priority priority = Priority::kDefault;
  std::optional<std::string> prefixRewrite;
  std::optional<RegexRewrite> regexRewrite;
  std::optional<HostRewrite> hostRewrite;
  bool appendXForwardedHost = false;
  std::optional<RetryPolicy> retry;
  bool hedgeOnPerTryTimeout = false;
  bool attemptCountInRequest = false;   // x-envoy-attempt-count
  bool attemptCountInResponse = false;  // the same
  bool timeoutRetryHeader = false;      // x-envoy-is-timeout-retry
  std::vector<Mirror> mirrors;
  std::optional<InternalRedirect> internalRedirect;
  StreamDuration streamDuration;
  // The older max_grpc_timeout: grpc-timeout of the request is its timeout. -1: it is not.
  int64_t grpcTimeoutMost = -1;   // 0: whatever it says
  int64_t grpcTimeoutOffset = 0;  // taken off it, unless nothing would be left
  // Of a body that is kept for retries; the listener's own limit holds too.
  uint64_t bufferLimit = UINT64_MAX;
  std::vector<HashPolicy> hashPolicies;
  std::optional<MetadataMatch> metadataMatch;
};

struct Redirect {
  uint16_t status = 301;  // 301, 302, 303, 307 or 308
  bool https = false;
  std::string scheme;  // empty: unchanged
  std::string host;    // empty: unchanged
  uint16_t port = 0;   // 0: unchanged
  // Whole path (it may carry a query), or a new prefix, or a rewrite; at most one of them.
  std::optional<std::string> path;
  std::optional<std::string> prefixRewrite;
  std::optional<RegexRewrite> regexRewrite;
  bool stripQuery = false;
};

struct DirectResponse {
  uint16_t status = 200;
  std::string body;
};

using RouteAction = std::variant<Forward, Redirect, DirectResponse>;

struct RouteMatch {
  enum class Kind : uint8_t { kPrefix, kPath, kSeparatedPrefix, kRegex };
  Kind kind = Kind::kPrefix;
  std::string value;  // for all but kRegex
  Dfa dfa;            // kRegex
  bool caseSensitive = true;
  std::vector<HeaderMatcher> headers;
  std::vector<QueryMatcher> query;
  std::optional<Fraction> fraction;
};

struct Route {
  std::string name;
  RouteMatch match;
  RouteAction action;
  HeaderMutations request;
  HeaderMutations response;
  FilterOverrides filters;
};

enum class RequireTls : uint8_t { kNone, kExternal, kAll };

struct VirtualHost {
  std::string name;
  std::vector<std::string> domains;  // lower case; exact, "*suffix", "prefix*" or "*"
  RequireTls requireTls = RequireTls::kNone;
  std::vector<Route> routes;
  HeaderMutations request;
  HeaderMutations response;
};

struct RouteTable {
  std::string name;
  std::vector<VirtualHost> virtualHosts;
  HeaderMutations request;
  HeaderMutations response;
  bool mostSpecificMutationsWin = false;
  bool ignorePortInHost = false;
  RuntimeIndex retryBaseFlag = kNoFlag;  // upstream.base_retry_backoff_ms
  RuntimeIndex useRetryFlag = kNoFlag;   // upstream.use_retry, percent
  std::vector<std::string>
      internalOnlyHeaders;  // lower case; removed from requests that come from outside
  std::vector<FilterRouteConfig> filterConfigs;  // what FilterOverride::config counts
};

// ---- Listeners --------------------------------------------------------------------------------

struct Cidr {
  std::string ip;
  uint8_t bits = 0;
};

struct HttpManager {
  enum class Codec : uint8_t { kAuto, kHttp1 };
  enum class ServerHeader : uint8_t { kOverwrite, kAppendIfAbsent, kPassThrough };
  enum class EscapedSlashes : uint8_t { kKeep, kReject, kRedirect, kForward };
  enum class Underscores : uint8_t { kAllow, kReject, kDrop };
  enum class StripPort : uint8_t { kNone, kMatching, kAny };
  enum class HeaderCase : uint8_t { kKeep, kProperCase };

  std::string statPrefix;
  Codec codec = Codec::kAuto;
  SlotId routes = 0;  // the slot of the route table
  std::string serverName = "envoy";
  ServerHeader serverHeader = ServerHeader::kOverwrite;
  bool useRemoteAddress = false;
  uint32_t xffTrustedHops = 0;
  bool skipXffAppend = false;
  bool appendXForwardedPort = false;
  std::vector<Cidr> internalAddresses;
  bool generateRequestId = true;
  bool preserveExternalRequestId = false;
  bool alwaysSetRequestIdInResponse = false;
  bool normalizePath = false;
  bool mergeSlashes = false;
  EscapedSlashes escapedSlashes = EscapedSlashes::kKeep;
  Underscores underscores = Underscores::kAllow;
  bool proxy100Continue = false;
  StripPort stripPort = StripPort::kNone;
  bool stripTrailingDot = false;
  std::string schemeOverwrite;  // "", "http" or "https"; empty: not overwritten
  std::string via;              // empty: no Via
  bool addUserAgent = false;
  bool suppressEnvoyHeaders = false;
  // Timeouts; 0: off.
  uint64_t idleTimeout = 3'600'000;
  uint64_t streamIdleTimeout = 300'000;
  uint64_t streamFlushTimeout = 300'000;
  uint64_t requestTimeout = 0;
  uint64_t requestHeadersTimeout = 0;
  uint64_t delayedCloseTimeout = 1000;
  uint64_t drainTimeout =
      5000;  // what a connection that is too old may be idle before it is closed
  uint64_t maxConnectionDuration = 0;
  uint64_t maxStreamDuration = 0;
  uint32_t maxRequestsPerConnection = 0;
  uint32_t maxRequestHeaderBytes = 60 * 1024;
  uint32_t maxHeaders = 100;
  bool acceptHttp10 = false;
  std::string defaultHostForHttp10;  // empty: a 1.0 request without Host is refused
  bool enableTrailers = false;
  bool allowAbsoluteUrl = true;
  HeaderCase headerCase = HeaderCase::kKeep;
  // Runtime: a client may end its side and wait for its response.
  RuntimeIndex halfCloseFlag = kNoFlag;
  RuntimeIndex mostHeldFlag = kNoFlag;  // runtime: see WorkerContext::full
  std::vector<HttpFilter> filters;      // those before the router, in order
  std::vector<AccessLog> accessLogs;
};

struct TcpProxy {
  std::string statPrefix;
  ClusterChoice cluster;
  uint64_t idleTimeout = 3'600'000;  // 0: none
  uint32_t maxConnectAttempts = 1;
  uint64_t maxDownstreamDuration = 0;  // 0: none
  bool hashSourceIp = false;           // for balancers that hash; else each connection is its own
  RuntimeIndex mostHeldFlag = kNoFlag;
  std::vector<AccessLog> accessLogs;
};

struct FilterChain {
  std::string name;
  uint16_t destinationPort = 0;  // 0: any
  std::variant<HttpManager, TcpProxy> filter;
};

struct Listener {
  enum class DrainType : uint8_t { kDefault, kModifyOnly };
  std::string name;
  std::vector<Address> addresses;
  std::string statPrefix;
  bool reusePort = true;
  uint32_t backlog = 0;  // 0: the system's (somaxconn)
  bool ipv4Compat = false;
  bool freebind = false;
  bool transparent = false;
  // Connections that were redirected here are treated as having reached the address that their
  // client meant (listener filter original_dst).
  bool originalDst = false;
  uint32_t bufferLimit = 1 << 20;
  RuntimeIndex connectionLimitFlag = kNoFlag;
  std::vector<FilterChain> filterChains;
  std::optional<FilterChain> defaultFilterChain;
  DrainType drainType = DrainType::kDefault;
};

}  // namespace millrace::spec
