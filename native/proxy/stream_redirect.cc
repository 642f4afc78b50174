// Stream: a redirect of the upstream that is followed here (InternalRedirectPolicy of
// route_components.proto). The request is routed again and passes through the filters again; for
// the client it stays one exchange.
#include <algorithm>
#include <cstring>

#include "base/ascii.h"
#include "proxy/authority.h"
#include "proxy/http_connection.h"
#include "proxy/http_stats.h"
#include "proxy/stream.h"

namespace millrace {

using namespace http_stat;

namespace {

struct Target {
  std::string_view scheme, authority, path;
};

// "http://host[:port]/path?query", in full; the fragment is not for servers. False for anything
// else: a relative reference is not followed.
bool parseTarget(std::string_view location, Target& out) {
  size_t colon = location.find("://");
  if (colon == std::string_view::npos) return false;
  std::string_view scheme = location.substr(0, colon);
  if (equalsLower(scheme, "http")) {
    out.scheme = "http";
  } else if (equalsLower(scheme, "https")) {
    out.scheme = "https";
  } else {
    return false;
  }
  std::string_view rest = location.substr(colon + 3);
  rest = rest.substr(0, rest.find('#'));
  size_t slash = rest.find_first_of("/?");
  out.authority = rest.substr(0, slash);
  out.path = slash == std::string_view::npos ? std::string_view("/") : rest.substr(slash);
  if (out.path.find_first_of(" \t\r\n") != std::string_view::npos) return false;
  return isAuthority(out.authority) && out.path.front() == '/';
}

}  // namespace

// A redirect from one route to another that was followed in this stream; in its arena.
struct Stream::Redirected {
  const Route* from;
  std::string_view to;
  Redirected* next;
};

bool Stream::acceptRedirect(const spec::InternalRedirect& policy, std::string_view location,
                            const ResponseHead& response) {
  StatBlock stats = connection_.stats();
  Target target;
  if (!parseTarget(location, target)) {
    ++stats[kRedirectBadLocation];
    return false;
  }
  const bool https = info_.scheme == "https", toHttps = target.scheme == "https";
  if (!policy.crossScheme && https != toHttps) {
    ++stats[kRedirectUnsafeScheme];
    return false;
  }
  if (redirects_ >= policy.most) {
    ++stats[kRedirectTooMany];
    return false;
  }
  // As it was, for the case that the redirect is not to be followed.
  HeaderList& headers = request_.headers;
  const uint32_t count = headers.size();
  Header* saved = arena_.array<Header>(count);
  std::copy(headers.begin(), headers.end(), saved);
  const RouteResult before = route_;
  const std::string_view scheme = info_.scheme, authority = request_.authority,
                         path = request_.path;
  const bool wholeServer = request_.wholeServer;
  copyFromResponse(policy, response);
  info_.scheme = request_.scheme = target.scheme;
  info_.authority = request_.authority = arena_.copy(target.authority);
  info_.path = request_.path = arena_.copy(target.path);
  request_.wholeServer = false;
  route_ = routes()->match(routeRequest());
  if (redirectAllowed(policy, before, https, toHttps)) {
    headers.set("x-envoy-original-url", joined(joined(scheme, "://", authority), "", path));
    return true;
  }
  headers.clear();
  for (uint32_t i = 0; i < count; i++) headers.add(saved[i].name, saved[i].value, saved[i].id);
  route_ = before;
  info_.scheme = request_.scheme = scheme;
  info_.authority = request_.authority = authority;
  info_.path = request_.path = path;
  request_.wholeServer = wholeServer;
  return false;
}

// response_headers_to_copy: what the redirect does not have is taken from the request too.
void Stream::copyFromResponse(const spec::InternalRedirect& policy, const ResponseHead& response) {
  for (const std::string& name : policy.copiedHeaders) {
    request_.headers.remove(name);
    for (const Header& h : response.headers) {
      if (!equalsIgnoreCase(h.name, name)) continue;
      request_.headers.add(arena_.copy(h.name), arena_.copy(h.value), h.id);
    }
  }
}

bool Stream::redirectAllowed(const spec::InternalRedirect& policy, const RouteResult& before,
                             bool https, bool toHttps) {
  StatBlock stats = connection_.stats();
  if (route_.outcome != RouteOutcome::kMatched) {
    ++stats[kRedirectNoRoute];
    return false;
  }
  const std::string& name = route_.route->name;
  bool refused = policy.safeCrossScheme && toHttps && !https;
  if (policy.allowedRoutes)
    refused |= std::ranges::find(*policy.allowedRoutes, name) == policy.allowedRoutes->end();
  if (policy.notToPreviousRoutes) {
    for (const Redirected* r = redirected_; r != nullptr; r = r->next) {
      refused |= r->from == before.route && r->to == name;
    }
  }
  if (refused) {
    ++stats[kRedirectPredicate];
    return false;
  }
  auto* followed = arena_.array<Redirected>(1);
  *followed = {before.route, name, redirected_};
  redirected_ = followed;
  redirects_++;
  return true;
}

void Stream::followRedirect(uint16_t status) {
  WorkerContext& w = worker();
  // What came of the first route is a line of its own.
  info_.responseCode = status;
  info_.responseCodeDetails = "internal_redirect";
  info_.endNs = w.loop.nowNs();
  if (manager().accessLogs().any()) w.logs.write(manager().accessLogs(), info_);
  info_.responseCode = 0;
  info_.responseCodeDetails = {};
  info_.endNs = 0;
  info_.upstreamHost = nullptr;
  info_.upstreamLocal = nullptr;
  info_.upstreamRxBeginNs = info_.upstreamRxEndNs = 0;

  router_.reset(replay_);
  // RFC 9110 §15.4.4: another resource says what came of the request.
  if (status == 303 && request_.method != Method::kGet && request_.method != Method::kHead) {
    request_.method = Method::kGet;
    info_.method = request_.methodText = "GET";
    request_.headers.remove(HeaderId::kContentLength);
    request_.setNoBody();
    replay_.clear();
  }
  routeDeadlineMs_ = 0;
  takeRoute();
  for (uint32_t i = 0; i < filterCount_; i++) filters_[i]->onStreamEnd();
  filterCount_ = 0;
  createFilters();
  runRequestHeaders(0, replay_.empty());
  if (stoppedAt_ == kNoFilter) replayBody();
}

// The body that the first route has seen already.
void Stream::replayBody() {
  BodyBuffer body(arena_);
  body.takeFrom(replay_);
  body.forEach([this](std::string_view piece, bool last) {
    if (!finished_ && !responseStarted_) deliverData(piece, last);
  });
}

}  // namespace millrace
