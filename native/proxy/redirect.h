// Where a redirect leads (route_components.proto, RedirectAction).
//
// Thread rule: pure functions on a head of the calling loop. The result lies in the head's arena.
#pragma once

#include <string_view>

#include "http/headers.h"
#include "proxy/route.h"

namespace millrace {

// The Location of a redirecting route: "scheme://host[:port]/path[?query]".
//  - scheme: the configured one, else the request's (head.scheme).
//  - host and port: the configured ones, else the request's. The request's port is dropped when a
//  new port is given, or
//    when the scheme changes and the port was the old scheme's default (`forwardedProto` is the old
//    scheme).
//  - path: the configured one (its own query replaces the request's, else that stays), else the
//  request's with its matched
//    prefix or the matches of an expression replaced.
//  - stripQuery drops the query, unless the configured path has one.
// False: the expression's work ran out; answer 500.
bool redirectLocation(const Route& route, const RedirectAction& action, const RequestHead& head,
                      std::string_view forwardedProto, std::string_view& out);

// `path` as a Location by itself, which a client can only read as a path here: one that begins with
// "//" (or "/\", which browsers take for it) would name another host (RFC 3986 §4.2, §3.3).
std::string_view pathReference(std::string_view path, Arena& arena);

// Where requireTls sends a request: the same one by https.
std::string_view tlsRedirectLocation(const RequestHead& head);

}  // namespace millrace
