// One compiled route: what it asks of a request, and what is done with those that match.
//
// Built on the main thread as a part of a RouteTable; then immutable, read by every worker.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "proxy/cluster_choice.h"
#include "proxy/dfa.h"
#include "proxy/hash_policy.h"
#include "proxy/header_matcher.h"
#include "proxy/header_mutation.h"
#include "proxy/query_matcher.h"
#include "proxy/regex_rewrite.h"
#include "proxy/request_fields.h"
#include "proxy/retry_policy.h"
#include "proxy/runtime.h"
#include "proxy/spec.h"

namespace millrace {

// What a request is matched by. Set everything; the views must stay valid during the call only.
struct RouteRequest : RequestFields {
  uint64_t random = 0;                       // the request's, one for all its decisions
  const RuntimeSnapshot* runtime = nullptr;  // null: the configured defaults
  bool https =
      false;  // x-forwarded-proto, after forwarded.h saw it, is https: what requireTls asks
  bool internal = false;  // forwarded.h found an internal request
};

// Another cluster that gets a copy of each request.
struct MirrorAction {
  std::string cluster;  // empty: the header names it
  SlotId slot = kNoSlot;
  std::string header;  // lower case
  std::optional<spec::Fraction> fraction;
  bool keepHost = false;
};

// Where a request goes and how it is changed on the way. Durations are milliseconds.
struct ForwardAction {
  ClusterChoice cluster;
  uint16_t clusterNotFoundStatus = 503;
  uint64_t timeout = 15'000;
  int64_t idleTimeout = -1;
  spec::Priority priority = spec::Priority::kDefault;
  std::string prefixRewrite;  // empty: none
  std::optional<RegexRewrite> regexRewrite;
  spec::HostRewrite::Kind hostRewriteKind = spec::HostRewrite::Kind::kAuto;
  bool rewritesHost = false;              // else hostRewriteKind means nothing
  std::string hostRewrite;                // kLiteral: the value. kHeader: its name
  std::optional<RegexRewrite> hostRegex;  // kPathRegex
  bool appendXForwardedHost = false;
  std::unique_ptr<const RetryPolicy> retry;  // null: none
  bool hedgeOnPerTryTimeout = false;
  bool attemptCountInRequest = false;
  bool attemptCountInResponse = false;
  bool timeoutRetryHeader = false;
  std::vector<MirrorAction> mirrors;
  std::unique_ptr<const spec::InternalRedirect> internalRedirect;  // null: passed on
  spec::StreamDuration streamDuration;
  int64_t grpcTimeoutMost = -1, grpcTimeoutOffset = 0;
  uint64_t bufferLimit = UINT64_MAX;
  HashPolicies hashPolicies;
  std::optional<MetadataMatch> match;
};

// See redirect.h for how the location is made.
struct RedirectAction {
  uint16_t status = 301;
  std::string scheme;  // empty: unchanged
  std::string host;    // empty: unchanged
  std::string port;    // ":8443"; empty: unchanged
  std::string path;    // empty: unchanged
  bool pathHasQuery = false;
  std::string prefixRewrite;  // empty: none
  std::optional<RegexRewrite> regexRewrite;
  bool stripQuery = false;
};

struct RespondAction {
  uint16_t status = 200;
  std::string body;
};

// The path a route asks for, always without the query.
struct PathPattern {
  spec::RouteMatch::Kind kind = spec::RouteMatch::Kind::kPrefix;
  std::string value;  // as configured; empty for kRegex
  bool caseSensitive = true;
  Dfa dfa;  // kRegex

  // How much of a path that matches is "the matched prefix" of prefix rewrites: all of it for kPath
  // and kRegex.
  size_t matchedLength(std::string_view path) const;
};

struct Route {
  std::string name;
  PathPattern path;
  std::vector<HeaderMatcher> headers;
  std::vector<QueryMatcher> query;
  std::optional<spec::Fraction> fraction;
  std::variant<ForwardAction, RedirectAction, RespondAction> action;
  HeaderMutations request;
  HeaderMutations response;
  spec::FilterOverrides filters;

  // What is said to the filters of a request that goes to `pick`.
  const spec::FilterOverrides& filtersFor(const ClusterPick& pick) const {
    return pick.weighted != nullptr && !pick.weighted->filters.empty() ? pick.weighted->filters
                                                                       : filters;
  }

  // Everything but the path. `query`: by the names of the index that the route is in.
  bool conditionsMatch(const RouteRequest& request, QueryValues& query) const;
  bool unconditional() const { return headers.empty() && query.empty() && !fraction; }

  const ForwardAction* forward() const { return std::get_if<ForwardAction>(&action); }
  const RedirectAction* redirect() const { return std::get_if<RedirectAction>(&action); }
  const RespondAction* respond() const { return std::get_if<RespondAction>(&action); }

  // `where` is the route's own path in the configuration, for errors.
  static Result<Route> compile(spec::Route spec, const std::string& where);
};

// The path without its query, and the query without '?'.
struct SplitPath {
  std::string_view path;
  std::string_view query;
};
SplitPath splitPath(std::string_view pathAndQuery);

}  // namespace millrace
