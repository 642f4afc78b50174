#include "proxy/host_key.h"

#include <charconv>

#include "base/arena_buffer.h"
#include "proxy/authority.h"

namespace millrace {

namespace {

// The longest name of DNS; what is longer need not be asked for.
constexpr size_t kMaxName = 253;

// Nothing but digits, and not above 65535; -1 otherwise.
int portOf(std::string_view text) {
  uint32_t port = 0;
  auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), port, 10);
  bool whole = error == std::errc() && at == text.data() + text.size();
  return whole && port <= UINT16_MAX ? int(port) : -1;
}

// "1.2.3.4:80" or "[::1]:80".
std::optional<Address> parseAddress(std::string_view text) {
  size_t colon = portStart(text);
  if (colon == std::string_view::npos) return std::nullopt;
  int port = portOf(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (port < 0 || bracketed != (host.find(':') != std::string_view::npos)) return std::nullopt;
  return Address::literal(host, uint16_t(port));
}

}  // namespace

std::optional<Address> originalDestinationOf(const spec::OnDemand& rules, std::string_view named,
                                             const Address* meant, bool& invalid) {
  std::optional<Address> destination;
  if (!named.empty()) {
    destination = parseAddress(named);
    invalid = !destination;
  }
  if (!destination && meant != nullptr && meant->isIp()) destination = *meant;
  if (!destination) return std::nullopt;
  if (rules.port != 0) destination = destination->withPort(rules.port);
  return destination->port() == 0 ? std::nullopt : destination;
}

std::string_view destinationHeader(const spec::OnDemand& rules, const RequestHead& head) {
  if (rules.header.empty()) return {};
  if (rules.header == ":authority" || rules.header == "host") return head.authority;
  const Header* header = head.headers.find(rules.header);
  return header == nullptr ? std::string_view() : header->value;
}

std::string_view forwardKey(std::string_view authority, uint16_t defaultPort, Arena& arena) {
  std::string_view host = authority;
  int port = defaultPort;
  bool bracketed = authority.starts_with('[');
  // Several colons without brackets are an IPv6 literal without a port.
  bool literal = !bracketed && authority.find(':') != authority.rfind(':');
  size_t colon = literal ? std::string_view::npos : portStart(authority);
  if (colon != std::string_view::npos) {
    host = authority.substr(0, colon);
    port = portOf(authority.substr(colon + 1));
  }
  if (host.empty() || host.size() > kMaxName || port <= 0) return {};
  if (bracketed && !host.ends_with(']')) return {};
  ArenaBuffer key(arena, host.size() + 8);
  if (literal) key.append('[');
  for (char c : host) key.append(c >= 'A' && c <= 'Z' ? char(c | 0x20) : c);
  if (literal) key.append(']');
  key.append(':');
  char digits[8];
  auto [end, error] = std::to_chars(digits, digits + sizeof digits, port);
  key.append({digits, size_t(end - digits)});
  return key.text();
}

}  // namespace millrace
