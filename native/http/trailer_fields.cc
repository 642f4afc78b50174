#include "http/trailer_fields.h"

#include <algorithm>
#include <iterator>

namespace millrace {

namespace {

constexpr std::string_view kForbiddenNames[] = {
    // framing, routing, and one hop
    "connection", "expect", "forwarded", "host", "http2-settings", "keep-alive", "max-forwards",
    "te", "trailer", "transfer-encoding", "upgrade", "via",
    // modifiers of the request
    "cache-control", "pragma", "range",
    // who is asking, and who answers
    "authorization", "cookie", "cookie2", "origin", "realm", "referer", "set-cookie", "set-cookie2",
    "www-authenticate",
    // control of the response
    "age", "alt-svc", "clear-site-data", "date", "expires", "location", "refresh", "retry-after",
    "server", "strict-transport-security", "vary", "warning",
    // what proxies and their servers tell each other
    "client-ip", "true-client-ip", "x-client-ip", "x-cluster-client-ip", "x-http-method-override",
    "x-original-url", "x-real-ip", "x-request-id", "x-rewrite-url"};

constexpr std::string_view kForbiddenPrefixes[] = {
    "access-control-", "cdn-", "content-", "cross-origin-", "if-",
    "proxy-",          "sec-", "x-envoy-", "x-forwarded-",  "x-frame-"};

// RFC 9530 §2 lets the digest of a content follow it.
constexpr std::string_view kContentDigest = "content-digest";

bool startsWith(std::string_view name, std::string_view prefix) {
  return name.size() >= prefix.size() && equalsIgnoreCase(name.substr(0, prefix.size()), prefix);
}

}  // namespace

bool allowedInTrailers(const Header& field, std::string_view connection) {
  auto is = [&](std::string_view name) { return equalsIgnoreCase(field.name, name); };
  auto begins = [&](std::string_view prefix) { return startsWith(field.name, prefix); };
  if (std::any_of(std::begin(kForbiddenNames), std::end(kForbiddenNames), is)) return false;
  if (std::any_of(std::begin(kForbiddenPrefixes), std::end(kForbiddenPrefixes), begins) &&
      !is(kContentDigest)) {
    return false;
  }
  return connection.empty() || !listHas(connection, field.name);
}

void keepAllowedTrailers(HeaderList& trailers, std::string_view connection) {
  trailers.removeIf([&](const Header& h) { return !allowedInTrailers(h, connection); });
}

}  // namespace millrace
