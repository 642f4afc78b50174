#include "proxy/authority.h"

#include <charconv>

#include "base/arena_buffer.h"
#include "base/scan.h"

namespace millrace {

size_t portStart(std::string_view authority) {
  size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos) return colon;
  size_t bracket = authority.rfind(']');
  return bracket == std::string_view::npos || bracket < colon ? colon : std::string_view::npos;
}

std::string_view withoutPort(std::string_view authority, uint16_t only) {
  size_t start = portStart(authority);
  if (start == std::string_view::npos) return authority;
  const char* end = authority.data() + authority.size();
  uint32_t port = 0;
  auto [at, error] = std::from_chars(authority.data() + start + 1, end, port, 10);
  bool isNumber = error == std::errc() && at == end;
  return isNumber && (only == 0 || port == only) ? authority.substr(0, start) : authority;
}

bool isAuthority(std::string_view text) {
  for (char c : text) {
    if (!isByte(c, kByteHost) && c != ':' && c != '[' && c != ']' && c != '%') return false;
  }
  return !text.empty();
}

std::string_view withoutTrailingDot(std::string_view authority, Arena& arena) {
  std::string_view host = authority.substr(0, portStart(authority));
  if (!host.ends_with('.')) return authority;
  std::string_view port = authority.substr(host.size());
  host.remove_suffix(1);
  if (port.empty()) return host;
  ArenaBuffer text(arena, host.size() + port.size());
  text.append(host);
  text.append(port);
  return text.text();
}

}  // namespace millrace
