#include "proxy/route.h"

#include <cstring>
#include <utility>

#include "base/ascii.h"
#include "base/scan.h"
#include "proxy/authority.h"

namespace millrace {
namespace {

using Kind = spec::RouteMatch::Kind;

Error bad(const std::string& where, const std::string& what) {
  return Error{"ERR_MILLRACE_ROUTES", where + ": " + what};
}

// Whether it can be a part of a request line.
bool isTarget(std::string_view text) {
  return scanTarget(text.data(), text.data() + text.size()) == text.data() + text.size();
}

Status compileRewrite(std::optional<spec::RegexRewrite>& spec, const std::string& where,
                      std::optional<RegexRewrite>& into) {
  if (!spec) return Status();
  Result<RegexRewrite> rewrite = RegexRewrite::compile(std::move(*spec), where);
  if (!rewrite) return rewrite.error();
  into = std::move(*rewrite);
  return Status();
}

Status compileHostRewrite(spec::HostRewrite spec, const std::string& where, ForwardAction& into) {
  into.rewritesHost = true;
  into.hostRewriteKind = spec.kind;
  switch (spec.kind) {
    case spec::HostRewrite::Kind::kLiteral:
      if (!isAuthority(spec.value)) return bad(where + ".value", "is no host");
      into.hostRewrite = std::move(spec.value);
      return Status();
    case spec::HostRewrite::Kind::kAuto:
      return Status();
    case spec::HostRewrite::Kind::kHeader:
      if (spec.header.empty()) return bad(where + ".header", "must not be empty");
      into.hostRewrite = lowered(spec.header);
      return Status();
    case spec::HostRewrite::Kind::kPathRegex: {
      Result<RegexRewrite> rewrite =
          RegexRewrite::compile(std::move(spec.rewrite), where + ".rewrite");
      if (!rewrite) return rewrite.error();
      into.hostRegex = std::move(*rewrite);
      return Status();
    }
  }
  return bad(where + ".kind", "is unknown");
}

Status compileMirrors(std::vector<spec::Mirror> specs, const std::string& where,
                      std::vector<MirrorAction>& into) {
  for (size_t i = 0; i < specs.size(); i++) {
    spec::Mirror& mirror = specs[i];
    const std::string here = where + "[" + std::to_string(i) + "]";
    if (mirror.cluster.empty() == mirror.header.empty()) {
      return bad(here, "exactly one of cluster and header must be given");
    }
    if (mirror.fraction && mirror.fraction->denominator == 0) {
      return bad(here + ".fraction.denominator", "must not be 0");
    }
    SlotId slot = mirror.cluster.empty() ? kNoSlot : mirror.slot;
    into.push_back({std::move(mirror.cluster), slot, lowered(mirror.header), mirror.fraction,
                    mirror.keepHost});
  }
  return Status();
}

Result<ForwardAction> compileForward(spec::Forward spec, const std::string& where) {
  ForwardAction action;
  Result<ClusterChoice> cluster =
      ClusterChoice::compile(std::move(spec.cluster), where + ".cluster");
  if (!cluster) return cluster.error();
  action.cluster = std::move(*cluster);
  if (spec.clusterNotFoundStatus != 503 && spec.clusterNotFoundStatus != 404 &&
      spec.clusterNotFoundStatus != 500) {
    return bad(where + ".clusterNotFoundStatus", "must be 503, 404 or 500");
  }
  if (spec.prefixRewrite && spec.regexRewrite) {
    return bad(where, "only one of prefixRewrite and regexRewrite may be given");
  }
  if (!isTarget(spec.prefixRewrite.value_or(""))) {
    return bad(where + ".prefixRewrite", "holds bytes that a request line cannot");
  }
  action.clusterNotFoundStatus = spec.clusterNotFoundStatus;
  action.timeout = spec.timeout;
  action.idleTimeout = spec.idleTimeout;
  action.priority = spec.priority;
  action.prefixRewrite = std::move(spec.prefixRewrite).value_or("");
  action.appendXForwardedHost = spec.appendXForwardedHost;
  action.hedgeOnPerTryTimeout = spec.hedgeOnPerTryTimeout;
  action.attemptCountInRequest = spec.attemptCountInRequest;
  action.attemptCountInResponse = spec.attemptCountInResponse;
  action.timeoutRetryHeader = spec.timeoutRetryHeader;
  action.bufferLimit = spec.bufferLimit;
  action.streamDuration = spec.streamDuration;
  action.grpcTimeoutMost = spec.grpcTimeoutMost;
  action.grpcTimeoutOffset = spec.grpcTimeoutOffset;
  if (spec.internalRedirect) {
    action.internalRedirect =
        std::make_unique<const spec::InternalRedirect>(std::move(*spec.internalRedirect));
  }
  Status status = compileMirrors(std::move(spec.mirrors), where + ".mirrors", action.mirrors);
  if (status) {
    status = compileRewrite(spec.regexRewrite, where + ".regexRewrite", action.regexRewrite);
  }
  if (status && spec.hostRewrite) {
    status = compileHostRewrite(std::move(*spec.hostRewrite), where + ".hostRewrite", action);
  }
  if (status && spec.retry) {
    Result<RetryPolicy> retry = RetryPolicy::compile(std::move(*spec.retry), where + ".retry");
    if (!retry) return retry.error();
    action.retry = std::make_unique<const RetryPolicy>(std::move(*retry));
  }
  if (!status) return status.error();
  Result<HashPolicies> hashing =
      HashPolicies::compile(std::move(spec.hashPolicies), where + ".hashPolicies");
  if (!hashing) return hashing.error();
  action.hashPolicies = std::move(*hashing);
  if (spec.metadataMatch) action.match = metadataMatch(std::move(*spec.metadataMatch));
  return action;
}

Result<RedirectAction> compileRedirect(spec::Redirect spec, const std::string& where) {
  RedirectAction action;
  bool known = spec.status == 301 || spec.status == 302 || spec.status == 303 ||
               spec.status == 307 || spec.status == 308;
  if (!known) return bad(where + ".status", "must be 301, 302, 303, 307 or 308");
  if (spec.path.has_value() + spec.prefixRewrite.has_value() + spec.regexRewrite.has_value() > 1) {
    return bad(where, "only one of path, prefixRewrite and regexRewrite may be given");
  }
  if (!isTarget(spec.path.value_or("")) || !isTarget(spec.prefixRewrite.value_or("")) ||
      !isTarget(spec.scheme)) {
    return bad(where, "holds bytes that a location cannot");
  }
  if (!spec.host.empty() && !isAuthority(spec.host)) return bad(where + ".host", "is no host");
  action.status = spec.status;
  // scheme_redirect beats https_redirect, which cannot both be set in a proto's oneof.
  action.scheme = !spec.scheme.empty() ? std::move(spec.scheme) : spec.https ? "https" : "";
  action.host = std::move(spec.host);
  if (spec.port != 0) action.port = ":" + std::to_string(spec.port);
  action.path = std::move(spec.path).value_or("");
  action.pathHasQuery = action.path.find('?') != std::string::npos;
  action.prefixRewrite = std::move(spec.prefixRewrite).value_or("");
  action.stripQuery = spec.stripQuery;
  Status status = compileRewrite(spec.regexRewrite, where + ".regexRewrite", action.regexRewrite);
  if (!status) return status.error();
  return action;
}

Result<RespondAction> compileRespond(spec::DirectResponse spec, const std::string& where) {
  if (spec.status < 200 || spec.status > 599) return bad(where + ".status", "must be 200 to 599");
  RespondAction action;
  action.status = spec.status;
  action.body = std::move(spec.body);
  return action;
}

Status compileAction(spec::RouteAction spec, const std::string& where, Route& route) {
  auto take = [&route](auto result) -> Status {
    if (!result) return result.error();
    route.action = std::move(*result);
    return Status();
  };
  if (auto* forward = std::get_if<spec::Forward>(&spec)) {
    return take(compileForward(std::move(*forward), where));
  }
  if (auto* redirect = std::get_if<spec::Redirect>(&spec)) {
    return take(compileRedirect(std::move(*redirect), where));
  }
  return take(compileRespond(std::move(std::get<spec::DirectResponse>(spec)), where));
}

Status compilePath(spec::RouteMatch& spec, const std::string& where, PathPattern& into) {
  into.kind = spec.kind;
  into.caseSensitive = spec.caseSensitive;
  if (spec.kind == Kind::kRegex) {
    Result<Dfa> dfa = Dfa::compile(std::move(spec.dfa), where + ".dfa");
    if (!dfa) return dfa.error();
    into.dfa = std::move(*dfa);
    return Status();
  }
  if (spec.kind == Kind::kSeparatedPrefix) {
    bool marked = spec.value.find_first_of("?#") != std::string::npos;
    if (spec.value.size() < 2 || marked || spec.value.back() == '/') {
      return bad(where + ".value",
                 "a path-separated prefix has at least two characters, no '?' or '#', and does not "
                 "end in '/'");
    }
  }
  into.value = std::move(spec.value);
  return Status();
}

template <typename T, typename Spec>
Status compileAll(std::vector<Spec>& specs, const std::string& where, std::vector<T>& into) {
  into.reserve(specs.size());
  for (size_t i = 0; i < specs.size(); i++) {
    Result<T> one = T::compile(std::move(specs[i]), where + "[" + std::to_string(i) + "]");
    if (!one) return one.error();
    into.push_back(std::move(*one));
  }
  return Status();
}

}  // namespace

SplitPath splitPath(std::string_view pathAndQuery) {
  const void* mark = std::memchr(pathAndQuery.data(), '?', pathAndQuery.size());
  if (mark == nullptr) return {pathAndQuery, {}};
  size_t at = size_t(static_cast<const char*>(mark) - pathAndQuery.data());
  return {pathAndQuery.substr(0, at), pathAndQuery.substr(at + 1)};
}

size_t PathPattern::matchedLength(std::string_view path) const {
  return kind == Kind::kRegex ? path.size() : value.size();
}

bool Route::conditionsMatch(const RouteRequest& request, QueryValues& queryValues) const {
  if (fraction && !inFraction(*fraction, request.runtime, request.random)) return false;
  for (const HeaderMatcher& matcher : headers) {
    if (!matcher.matches(request)) return false;
  }
  for (const QueryMatcher& matcher : query) {
    if (!matcher.matches(queryValues)) return false;
  }
  return true;
}

Result<Route> Route::compile(spec::Route spec, const std::string& where) {
  Route route;
  route.name = std::move(spec.name);
  const std::string match = where + ".match";
  Status status = compilePath(spec.match, match, route.path);
  if (status) status = compileAll(spec.match.headers, match + ".headers", route.headers);
  if (status) status = compileAll(spec.match.query, match + ".query", route.query);
  if (status && spec.match.fraction && spec.match.fraction->denominator == 0) {
    status = bad(match + ".fraction.denominator", "must not be 0");
  }
  route.fraction = spec.match.fraction;
  if (status) status = compileAction(std::move(spec.action), where + ".action", route);
  if (!status) return status.error();
  Result<HeaderMutations> request =
      HeaderMutations::compile(std::move(spec.request), where + ".request");
  if (!request) return request.error();
  Result<HeaderMutations> response =
      HeaderMutations::compile(std::move(spec.response), where + ".response");
  if (!response) return response.error();
  route.request = std::move(*request);
  route.response = std::move(*response);
  route.filters = std::move(spec.filters);
  return route;
}

}  // namespace millrace
