#include "proxy/rewrite.h"

#include "base/arena_buffer.h"
#include "proxy/authority.h"

namespace millrace {
namespace {

std::string_view joined(Arena& arena, std::string_view a, std::string_view b) {
  if (b.empty()) return a;
  ArenaBuffer text(arena, a.size() + b.size());
  text.append(a);
  text.append(b);
  return text.text();
}

// Keeps the old authority in x-forwarded-host, unless it is the last one there already.
void appendForwardedHost(RequestHead& head) {
  std::string_view host = head.authority;
  if (host.empty()) return;
  bool found = false;
  std::string_view before = head.headers.joined(headerName(HeaderId::kXForwardedHost), found);
  if (before.empty()) {
    head.headers.set(HeaderId::kXForwardedHost, host);
    return;
  }
  std::string_view last = before.substr(before.rfind(',') + 1);  // npos + 1 is 0
  while (!last.empty() && (last.front() == ' ' || last.front() == '\t')) last.remove_prefix(1);
  if (last == host) return;
  ArenaBuffer text(head.headers.arena(), before.size() + 1 + host.size());
  text.append(before);
  text.append(',');
  text.append(host);
  head.headers.set(HeaderId::kXForwardedHost, text.text());
}

void setAuthority(const ForwardAction& action, std::string_view host, RequestHead& head) {
  if (action.appendXForwardedHost) appendForwardedHost(head);
  head.authority = host;
}

}  // namespace

bool rewrittenPath(const PathPattern& matched, std::string_view prefixRewrite,
                   const std::optional<RegexRewrite>& regexRewrite, const RequestHead& head,
                   std::string_view& out) {
  Arena& arena = head.headers.arena();
  out = head.path;
  if (prefixRewrite.empty() && !regexRewrite) return true;
  std::string_view path = splitPath(head.path).path;
  if (!prefixRewrite.empty()) {
    out = joined(arena, prefixRewrite, head.path.substr(matched.matchedLength(path)));
  } else {
    std::string_view replaced;
    if (!regexRewrite->replaceAll(path, arena, replaced)) return false;
    out = joined(arena, replaced, head.path.substr(path.size()));
  }
  if (!out.starts_with('/')) out = joined(arena, "/", out);
  return true;
}

bool rewritePath(const Route& route, const ForwardAction& action, RequestHead& head,
                 bool keepOriginal) {
  if (action.prefixRewrite.empty() && !action.regexRewrite) return true;
  std::string_view path;
  if (!rewrittenPath(route.path, action.prefixRewrite, action.regexRewrite, head, path)) {
    return false;
  }
  if (keepOriginal) head.headers.set(HeaderId::kXEnvoyOriginalPath, head.path);
  head.path = path;
  return true;
}

bool rewriteHost(const ForwardAction& action, const ClusterPick& pick, RequestHead& head) {
  if (pick.weighted != nullptr && !pick.weighted->hostRewrite.empty()) {
    setAuthority(action, pick.weighted->hostRewrite, head);
    return true;
  }
  if (!action.rewritesHost) return true;
  switch (action.hostRewriteKind) {
    case spec::HostRewrite::Kind::kLiteral:
      setAuthority(action, action.hostRewrite, head);
      return true;
    case spec::HostRewrite::Kind::kAuto:
      return true;
    case spec::HostRewrite::Kind::kHeader: {
      // Sent by the client, so only the first one is used.
      const Header* header = head.headers.find(action.hostRewrite);
      if (header != nullptr && isAuthority(header->value)) {
        setAuthority(action, header->value, head);
      }
      return true;
    }
    case spec::HostRewrite::Kind::kPathRegex: {
      std::string_view host;
      std::string_view path = splitPath(head.path).path;
      if (!action.hostRegex->replaceAll(path, head.headers.arena(), host)) return false;
      if (isAuthority(host)) setAuthority(action, host, head);
      return true;
    }
  }
  return true;
}

bool rewritesHostAuto(const ForwardAction& action, const ClusterPick& pick) {
  bool overridden = pick.weighted != nullptr && !pick.weighted->hostRewrite.empty();
  return action.rewritesHost && action.hostRewriteKind == spec::HostRewrite::Kind::kAuto &&
         !overridden;
}

void rewriteHostAuto(const ForwardAction& action, const ClusterPick& pick,
                     std::string_view hostname, RequestHead& head) {
  if (rewritesHostAuto(action, pick) && !hostname.empty()) setAuthority(action, hostname, head);
}

}  // namespace millrace
