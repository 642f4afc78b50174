// What a forwarding route changes in a request's path and host
// (RouteEntryImplBase::finalizeRequestHeaders in Envoy's source/common/router/config_impl.cc).
//
// Thread rule: pure functions on a head of the calling loop. New text lies in the head's arena, or
// in the snapshot.
#pragma once

#include <string_view>

#include "http/headers.h"
#include "proxy/route.h"

namespace millrace {

// The path of `head` with the matched prefix replaced, or with every match of an expression
// replaced; the query stays. Empty strings and absent expressions change nothing. False: the
// expression's work ran out (RegexRewrite::kMaxSteps); answer 500.
bool rewrittenPath(const PathPattern& matched, std::string_view prefixRewrite,
                   const std::optional<RegexRewrite>& regexRewrite, const RequestHead& head,
                   std::string_view& out);

// Rewrites the path of a forwarded request. `keepOriginal`: the path as it was goes into
// x-envoy-original-path when it is rewritten (not with suppressEnvoyHeaders). False: as
// rewrittenPath(); the head is unchanged.
bool rewritePath(const Route& route, const ForwardAction& action, RequestHead& head,
                 bool keepOriginal);

// Rewrites the authority by what is known before a host is picked: the weighted cluster's literal,
// or the route's literal, header or expression (over the path without query, as it is at the call:
// before rewritePath). What is no authority, as a header or an expression may give, changes
// nothing. False: as above.
bool rewriteHost(const ForwardAction& action, const ClusterPick& pick, RequestHead& head);

// `auto`: to be called when a host of the cluster was picked. An empty hostname changes nothing,
// and so does any action without `auto`, or a weighted cluster with a literal of its own (what the
// first function says).
bool rewritesHostAuto(const ForwardAction& action, const ClusterPick& pick);
void rewriteHostAuto(const ForwardAction& action, const ClusterPick& pick,
                     std::string_view hostname, RequestHead& head);

}  // namespace millrace
