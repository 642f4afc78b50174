#include "proxy/redirect.h"

#include "base/arena_buffer.h"
#include "proxy/authority.h"
#include "proxy/rewrite.h"

namespace millrace {
namespace {

std::string_view requestHost(std::string_view authority, std::string_view newScheme, bool newPort,
                             std::string_view oldScheme) {
  size_t start = portStart(authority);
  if (start == std::string_view::npos) return authority;
  std::string_view port = authority.substr(start);
  bool wasDefault =
      (oldScheme == "https" && port == ":443") || (oldScheme == "http" && port == ":80");
  bool drop = newPort || (newScheme != oldScheme && wasDefault);
  return drop ? authority.substr(0, start) : authority;
}

}  // namespace

bool redirectLocation(const Route& route, const RedirectAction& action, const RequestHead& head,
                      std::string_view forwardedProto, std::string_view& out) {
  std::string_view scheme = action.scheme.empty() ? head.scheme : std::string_view(action.scheme);
  std::string_view host = !action.host.empty() ? std::string_view(action.host)
                                               : requestHost(head.authority, scheme,
                                                             !action.port.empty(), forwardedProto);
  std::string_view path;
  std::string_view query;
  if (!action.path.empty()) {
    path = action.path;
    if (!action.pathHasQuery) query = head.path.substr(splitPath(head.path).path.size());
  } else if (!rewrittenPath(route.path, action.prefixRewrite, action.regexRewrite, head, path)) {
    return false;
  }
  if (action.stripQuery && !action.pathHasQuery) {
    path = splitPath(path).path;
    query = {};
  }
  ArenaBuffer text(head.headers.arena(), scheme.size() + host.size() + action.port.size() +
                                             path.size() + query.size() + 4);
  text.append(scheme);
  text.append("://");
  text.append(host);
  text.append(action.port);
  if (!path.starts_with('/')) text.append('/');
  text.append(path);
  text.append(query);
  out = text.text();
  return true;
}

std::string_view pathReference(std::string_view path, Arena& arena) {
  const bool ambiguous = path.size() > 1 && (path[1] == '/' || path[1] == '\\');
  if (!ambiguous) return path;
  ArenaBuffer text(arena, path.size() + 2);
  text.append("/.");
  text.append(path);
  return text.text();
}

std::string_view tlsRedirectLocation(const RequestHead& head) {
  ArenaBuffer text(head.headers.arena(), 9 + head.authority.size() + head.path.size());
  text.append("https://");
  text.append(head.authority);
  if (!head.path.starts_with('/')) text.append('/');  // "*" would belong to the host
  text.append(head.path);
  return text.text();
}

}  // namespace millrace
