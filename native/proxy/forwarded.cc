#include "proxy/forwarded.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstring>
#include <utility>

#include "base/arena_buffer.h"
#include "base/ascii.h"
#include "proxy/authority.h"

namespace millrace {
namespace {

// What is removed from whose requests; docs/internal-headers.md shows it with what is kept.
//
// A client must not claim these, whoever it is.
constexpr HeaderId kNeverTrusted[] = {HeaderId::kXEnvoyInternal, HeaderId::kXForwardedClientCert};
// Not believed from the outermost clients.
constexpr HeaderId kEdgeRemoved[] = {HeaderId::kXEnvoyDecoratorOperation,
                                     HeaderId::kXEnvoyDownstreamServiceCluster,
                                     HeaderId::kXEnvoyDownstreamServiceNode};
// Believed from internal requests only.
constexpr HeaderId kExternalRemoved[] = {HeaderId::kXEnvoyRetriableStatusCodes,
                                         HeaderId::kXEnvoyRetriableHeaderNames,
                                         HeaderId::kXEnvoyRetryOn,
                                         HeaderId::kXEnvoyRetryGrpcOn,
                                         HeaderId::kXEnvoyMaxRetries,
                                         HeaderId::kXEnvoyUpstreamRqTimeoutMs,
                                         HeaderId::kXEnvoyUpstreamRqPerTryTimeoutMs,
                                         HeaderId::kXEnvoyExpectedRqTimeoutMs,
                                         HeaderId::kXEnvoyIpTags,
                                         HeaderId::kXEnvoyHedgeOnPerTryTimeout,
                                         HeaderId::kXEnvoyOriginalPath,
                                         HeaderId::kXEnvoyOriginalHost,
                                         HeaderId::kXEnvoyAttemptCount};
// The same, for names that have no id.
constexpr std::string_view kExternalRemovedNames[] = {
    "x-envoy-upstream-alt-stat-name", "x-envoy-upstream-rq-timeout-alt-response",
    "x-envoy-force-trace", "x-envoy-original-url", "x-envoy-is-timeout-retry"};

// Two digits for each byte.
constexpr std::array<char, 512> makeHexPairs() {
  std::array<char, 512> pairs{};
  constexpr std::string_view digits = "0123456789abcdef";
  for (size_t i = 0; i < 256; i++) {
    pairs[2 * i] = digits[i / 16];
    pairs[2 * i + 1] = digits[i % 16];
  }
  return pairs;
}
constexpr std::array<char, 512> kHexPairs = makeHexPairs();

using Bytes = std::array<uint8_t, 16>;

// An address as IPv6, IPv4 mapped into it; false for unix sockets.
bool toBytes(const Address& address, Bytes& out) {
  if (address.family() == AF_INET6) {
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(address.sockaddrPtr());
    std::memcpy(out.data(), &in6->sin6_addr, 16);
    return true;
  }
  if (address.family() != AF_INET) return false;
  const auto* in = reinterpret_cast<const sockaddr_in*>(address.sockaddrPtr());
  out = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0};
  std::memcpy(out.data() + 12, &in->sin_addr, 4);
  return true;
}

// A client that came by IPv4 to a socket for both versions is an IPv4 client.
Address unmapped(const Address& address) {
  const auto* in6 = reinterpret_cast<const sockaddr_in6*>(address.sockaddrPtr());
  if (address.family() != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) return address;
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = in6->sin6_port;
  std::memcpy(&in.sin_addr, in6->sin6_addr.s6_addr + 12, 4);
  return Address::fromSockaddr(reinterpret_cast<const sockaddr*>(&in), sizeof in);
}

// An IP literal without allocating, whatever a client wrote.
bool parseIp(std::string_view text, uint16_t port, Address& out) {
  char literal[INET6_ADDRSTRLEN];
  if (text.empty() || text.size() >= sizeof literal) return false;
  std::memcpy(literal, text.data(), text.size());
  literal[text.size()] = '\0';
  sockaddr_in in{};
  if (inet_pton(AF_INET, literal, &in.sin_addr) == 1) {
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    out = Address::fromSockaddr(reinterpret_cast<const sockaddr*>(&in), sizeof in);
    return true;
  }
  sockaddr_in6 in6{};
  if (inet_pton(AF_INET6, literal, &in6.sin6_addr) != 1) return false;
  in6.sin6_family = AF_INET6;
  in6.sin6_port = htons(port);
  out = Address::fromSockaddr(reinterpret_cast<const sockaddr*>(&in6), sizeof in6);
  return true;
}

// "192.0.2.1", "2001:db8::1", "192.0.2.1:80", "[2001:db8::1]:80".
bool parseHop(std::string_view text, Address& out) {
  if (parseIp(text, 0, out)) return true;
  size_t colon = portStart(text);
  std::string_view host = text.substr(0, colon);
  uint16_t port = 0;
  if (colon != std::string_view::npos) {
    const char* end = text.data() + text.size();
    auto [at, error] = std::from_chars(text.data() + colon + 1, end, port, 10);
    if (error != std::errc() || at != end) return false;
  }
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return parseIp(host, port, out);
}

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

// The address `skip` hops from the end of x-forwarded-for. `single`: it is the only one there.
bool addressFromXff(std::string_view xff, uint32_t skip, Address& out, bool& single) {
  for (uint32_t i = 0; i < skip; i++) {
    size_t comma = xff.rfind(',');
    if (comma == std::string_view::npos) return false;
    xff = xff.substr(0, comma);
  }
  size_t comma = xff.rfind(',');
  single = comma == std::string_view::npos && skip == 0;
  return parseHop(trimmed(comma == std::string_view::npos ? xff : xff.substr(comma + 1)), out);
}

std::string_view addressText(const Address& address, Arena& arena) {
  char text[Address::kMaxText];
  return arena.copy({text, address.format(text, false)});
}

void append(HeaderList& headers, HeaderId id, std::string_view separator, std::string_view value) {
  bool found = false;
  std::string_view before = headers.joined(headerName(id), found);
  if (before.empty()) {
    headers.set(id, value);
    return;
  }
  ArenaBuffer text(headers.arena(), before.size() + separator.size() + value.size());
  text.append(before);
  text.append(separator);
  text.append(value);
  headers.set(id, text.text());
}

bool validScheme(std::string_view scheme) {
  return equalsLower(scheme, "http") || equalsLower(scheme, "https");
}

// A Referer with a fragment or with credentials is none (RFC 9110 §10.1.3).
void sanitizeReferer(HeaderList& headers) {
  const Header* referer =
      headers.has(HeaderId::kReferer) ? headers.find(HeaderId::kReferer) : nullptr;
  if (referer == nullptr) return;
  std::string_view value = referer->value;
  size_t authority = value.find("://");
  bool credentials = false;
  if (authority != std::string_view::npos) {
    std::string_view rest = value.substr(authority + 3);
    credentials = rest.substr(0, rest.find_first_of("/?")).find('@') != std::string_view::npos;
  }
  if (credentials || value.find('#') != std::string_view::npos) headers.remove(HeaderId::kReferer);
}

// One request on its way through the rules.
class Forwarding {
 public:
  Forwarding(const ForwardingRules& rules, const ForwardedInput& input, RequestHead& head,
             ForwardedResult& result)
      : rules_(rules), input_(input), head_(head), headers_(head.headers), result_(result) {}

  void run(Random& random) {
    if (head_.scheme == "https" && !input_.tls) {
      result_.refused = true;
      head_.scheme = {};
    }
    remove(kNeverTrusted);
    sanitizeReferer(headers_);
    findClient();
    setProtoAndPort();
    setScheme();
    if (result_.refused) result_.https = false;
    result_.internal = trustedCheck_ && known_ && rules_.isInternal(result_.remote);
    if (!known_) result_.remote = unmapped(input_.peer);
    result_.edge = !result_.internal && rules_.useRemoteAddress;
    if (result_.internal) {
      headers_.set(HeaderId::kXEnvoyInternal, "true");
    } else {
      removeClaims();
    }
    if (rules_.addUserAgent) setUserAgent();
    if (!rules_.via.empty()) append(headers_, HeaderId::kVia, ", ", rules_.via);
    if (result_.edge && result_.remote.isIp()) {
      headers_.set(HeaderId::kXEnvoyExternalAddress, addressText(result_.remote, headers_.arena()));
    }
    if (rules_.generateRequestId) setRequestId(random);
  }

 private:
  template <size_t kSize>
  void remove(const HeaderId (&ids)[kSize]) {
    for (HeaderId id : ids) {
      if (headers_.has(id)) headers_.remove(id);
    }
  }

  void findClient() {
    const bool present = headers_.has(HeaderId::kXForwardedFor);
    bool found = false;
    std::string_view xff;
    if (present) xff = headers_.joined(headerName(HeaderId::kXForwardedFor), found);
    bool single = false;
    if (!rules_.useRemoteAddress) {
      if (present) known_ = addressFromXff(xff, rules_.xffTrustedHops, result_.remote, single);
      trustedCheck_ = single;
      return;
    }
    trustedCheck_ = !present;
    if (rules_.xffTrustedHops > 0 && present) {
      known_ = addressFromXff(xff, rules_.xffTrustedHops - 1, result_.remote, single);
    }
    const Address peer = unmapped(input_.peer);
    if (!known_) result_.remote = peer;
    known_ = true;
    if (!rules_.skipXffAppend && peer.isIp()) {
      append(headers_, HeaderId::kXForwardedFor, ",", addressText(peer, headers_.arena()));
    }
  }

  // With useRemoteAddress and no trusted hop, what the client says of them is replaced.
  void setProtoAndPort() {
    bool replace = rules_.useRemoteAddress && rules_.xffTrustedHops == 0;
    if (replace || !headers_.has(HeaderId::kXForwardedProto)) {
      headers_.set(HeaderId::kXForwardedProto, input_.tls ? "https" : "http");
    }
    if (!rules_.appendXForwardedPort || input_.localPort == 0) return;
    if (replace || !headers_.has(HeaderId::kXForwardedPort)) {
      char text[5];
      char* end = std::to_chars(text, text + sizeof text, input_.localPort).ptr;
      std::string_view port(text, size_t(end - text));
      headers_.set(HeaderId::kXForwardedPort, headers_.arena().copy(port));
    }
  }

  void setScheme() {
    if (!rules_.schemeOverwrite.empty()) {
      headers_.set(HeaderId::kXForwardedProto, rules_.schemeOverwrite);
      head_.scheme = rules_.schemeOverwrite;
    } else if (head_.scheme.empty()) {
      std::string_view proto = headers_.find(HeaderId::kXForwardedProto)->value;
      bool https = validScheme(proto) ? proto.size() == 5 : input_.tls;
      head_.scheme = https ? "https" : "http";
    }
    result_.scheme = head_.scheme;
    result_.https = equalsLower(headers_.find(HeaderId::kXForwardedProto)->value, "https");
  }

  void removeClaims() {
    if (result_.edge) remove(kEdgeRemoved);
    remove(kExternalRemoved);
    bool others = false;
    for (const Header& header : headers_) {
      others |= header.id == HeaderId::kOther && startsWithLower(header.name, "x-envoy-");
    }
    if (!others) return;
    for (std::string_view name : kExternalRemovedNames) headers_.remove(name);
  }

  void setUserAgent() {
    const Header* agent = headers_.find(HeaderId::kUserAgent);
    if (agent == nullptr || agent->value.empty()) headers_.set(HeaderId::kUserAgent, "millrace");
  }

  void setRequestId(Random& random) {
    constexpr size_t kSize = 36, kReasonAt = 14;
    const Header* given =
        headers_.has(HeaderId::kXRequestId) ? headers_.find(HeaderId::kXRequestId) : nullptr;
    bool absent = given == nullptr || given->value.empty();
    if (!absent && !result_.edge) return;
    char* id = headers_.arena().array<char>(kSize);
    if (absent || !rules_.preserveExternalRequestId) {
      writeRequestId(random, id);
    } else {
      // Kept, but an outsider does not decide about tracing.
      if (given->value.size() != kSize) return;
      std::memcpy(id, given->value.data(), kSize);
      id[kReasonAt] = '4';
    }
    headers_.set(HeaderId::kXRequestId, {id, kSize});
  }

  const ForwardingRules& rules_;
  const ForwardedInput& input_;
  RequestHead& head_;
  HeaderList& headers_;
  ForwardedResult& result_;
  bool known_ = false;         // result_.remote is set
  bool trustedCheck_ = false;  // that address may make the request internal
};

}  // namespace

Result<ForwardingRules> ForwardingRules::compile(const spec::HttpManager& spec,
                                                 const std::string& where) {
  ForwardingRules rules;
  rules.useRemoteAddress = spec.useRemoteAddress;
  rules.skipXffAppend = spec.skipXffAppend;
  rules.appendXForwardedPort = spec.appendXForwardedPort;
  rules.generateRequestId = spec.generateRequestId;
  rules.preserveExternalRequestId = spec.preserveExternalRequestId;
  rules.addUserAgent = spec.addUserAgent;
  rules.xffTrustedHops = spec.xffTrustedHops;
  rules.schemeOverwrite = spec.schemeOverwrite;
  rules.via = spec.via;
  for (size_t i = 0; i < spec.internalAddresses.size(); i++) {
    const spec::Cidr& cidr = spec.internalAddresses[i];
    const std::string here = where + ".internalAddresses[" + std::to_string(i) + "]";
    Result<Address> address = Address::ip(cidr.ip, 0);
    if (!address) return Error{"ERR_MILLRACE_ADDRESS", here + ".ip: " + address.error().message};
    uint8_t mapped = address->family() == AF_INET ? 96 : 0;
    if (cidr.bits > 128 - mapped) {
      return Error{"ERR_MILLRACE_ADDRESS", here + ".bits: more than the address has"};
    }
    Range range;
    toBytes(*address, range.prefix);
    range.bits = uint8_t(cidr.bits + mapped);
    rules.internal_.push_back(range);
  }
  return rules;
}

bool ForwardingRules::isInternal(const Address& address) const {
  Bytes bytes;
  if (internal_.empty() || !toBytes(address, bytes)) return false;
  for (const Range& range : internal_) {
    size_t whole = range.bits / 8;
    uint8_t mask = uint8_t(0xff00 >> (range.bits % 8));
    if (std::memcmp(bytes.data(), range.prefix.data(), whole) != 0) continue;
    if (mask == 0 || ((bytes[whole] ^ range.prefix[whole]) & mask) == 0) return true;
  }
  return false;
}

ForwardedResult applyForwarding(const ForwardingRules& rules, const ForwardedInput& input,
                                RequestHead& head, Random& random) {
  ForwardedResult result;
  Forwarding(rules, input, head, result).run(random);
  return result;
}

void removeInternalOnly(const std::vector<std::string>& names, HeaderList& headers) {
  for (const std::string& name : names) headers.remove(name);
}

void writeRequestId(Random& random, char* out) {
  constexpr uint64_t kVersionMask = 0xf000, kVersion4 = 0x4000;
  constexpr uint64_t kVariantMask = uint64_t(3) << 62, kVariant = uint64_t(2) << 62;
  const uint64_t high = (random.next() & ~kVersionMask) | kVersion4;
  const uint64_t low = (random.next() & ~kVariantMask) | kVariant;
  auto write = [&out](uint64_t bits, int from, int to) {
    for (int byte = from; byte < to; byte++) {
      std::memcpy(out, &kHexPairs[((bits >> (56 - 8 * byte)) & 0xff) * 2], 2);
      out += 2;
    }
  };
  write(high, 0, 4);
  *out++ = '-';
  write(high, 4, 6);
  *out++ = '-';
  write(high, 6, 8);
  *out++ = '-';
  write(low, 0, 2);
  *out++ = '-';
  write(low, 2, 8);
}

}  // namespace millrace
