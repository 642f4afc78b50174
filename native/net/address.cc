#include "net/address.h"

#include <arpa/inet.h>
#include <net/if.h>

#include <charconv>
#include <cstddef>
#include <cstring>

namespace millrace {

namespace {

constexpr const char* kBadAddress = "ERR_MILLRACE_ADDRESS";
constexpr size_t kPathOffset = offsetof(sockaddr_un, sun_path);

// "fe80::1%eth0" or "fe80::1%2": the zone, or 0 when there is no such interface.
uint32_t scopeOf(std::string_view zone) {
  uint32_t index = 0;
  auto [end, error] = std::from_chars(zone.data(), zone.data() + zone.size(), index);
  if (error == std::errc{} && end == zone.data() + zone.size()) return index;
  return if_nametoindex(std::string(zone).c_str());
}

char* putNumber(char* out, uint32_t n) {
  return std::to_chars(out, out + 10, n).ptr;
}

char* putIpv4(char* out, const unsigned char* octets) {
  for (int i = 0; i < 4; i++) {
    if (i > 0) *out++ = '.';
    out = putNumber(out, octets[i]);
  }
  return out;
}

}  // namespace

Result<Address> Address::ip(std::string_view ip, uint16_t port) {
  Address a;
  std::string text(ip);
  if (inet_pton(AF_INET, text.c_str(), &a.storage_.in.sin_addr) == 1) {
    a.storage_.in.sin_family = AF_INET;
    a.storage_.in.sin_port = htons(port);
    a.len_ = sizeof(sockaddr_in);
    return a;
  }
  size_t percent = text.find('%');
  if (percent != std::string::npos) {
    a.storage_.in6.sin6_scope_id = scopeOf(std::string_view(text).substr(percent + 1));
    if (a.storage_.in6.sin6_scope_id == 0) {
      return Error{kBadAddress, "\"" + text + "\" names no network interface here", 0};
    }
    text.resize(percent);
  }
  if (inet_pton(AF_INET6, text.c_str(), &a.storage_.in6.sin6_addr) == 1) {
    a.storage_.in6.sin6_family = AF_INET6;
    a.storage_.in6.sin6_port = htons(port);
    a.len_ = sizeof(sockaddr_in6);
    return a;
  }
  return Error{kBadAddress, "\"" + std::string(ip) + "\" is not an IPv4 or IPv6 address", 0};
}

std::optional<Address> Address::literal(std::string_view ip, uint16_t port) {
  char text[INET6_ADDRSTRLEN];
  if (ip.size() >= sizeof text) return std::nullopt;
  std::memcpy(text, ip.data(), ip.size());
  text[ip.size()] = 0;
  Address a;
  if (inet_pton(AF_INET, text, &a.storage_.in.sin_addr) == 1) {
    a.storage_.in.sin_family = AF_INET;
    a.len_ = sizeof(sockaddr_in);
  } else if (inet_pton(AF_INET6, text, &a.storage_.in6.sin6_addr) == 1) {
    a.storage_.in6.sin6_family = AF_INET6;
    a.len_ = sizeof(sockaddr_in6);
  } else {
    return std::nullopt;
  }
  return a.withPort(port);
}

Address Address::withPort(uint16_t port) const {
  Address a = *this;
  if (family() == AF_INET) a.storage_.in.sin_port = htons(port);
  if (family() == AF_INET6) a.storage_.in6.sin6_port = htons(port);
  return a;
}

Result<Address> Address::unixPath(std::string_view path) {
  Address a;
  bool abstract = !path.empty() && path[0] == '@';
  if (path.empty() || path.find('\0') != std::string_view::npos) {
    return Error{kBadAddress, "an empty path, or one with a zero byte, names no socket", 0};
  }
  // A path ends with a zero byte; an abstract name begins with one, in place of the '@'.
  size_t needed = path.size() + (abstract ? 0 : 1);
  if (needed > sizeof a.storage_.un.sun_path) {
    return Error{kBadAddress,
                 "the path of a unix socket may have at most " +
                     std::to_string(sizeof a.storage_.un.sun_path - 1) +
                     " bytes: " + std::string(path),
                 0};
  }
  a.storage_.un.sun_family = AF_UNIX;
  std::memcpy(a.storage_.un.sun_path, path.data(), path.size());
  if (abstract) a.storage_.un.sun_path[0] = '\0';
  a.len_ = socklen_t(kPathOffset + needed);
  return a;
}

Address Address::fromSockaddr(const sockaddr* sa, socklen_t len) {
  Address a;
  a.len_ = len < socklen_t(sizeof a.storage_) ? len : socklen_t(sizeof a.storage_);
  std::memcpy(&a.storage_, sa, a.len_);
  return a;
}

Address Address::unmapped() const {
  if (family() != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&storage_.in6.sin6_addr)) return *this;
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = storage_.in6.sin6_port;
  std::memcpy(&in.sin_addr, storage_.in6.sin6_addr.s6_addr + 12, sizeof in.sin_addr);
  return fromSockaddr(reinterpret_cast<const sockaddr*>(&in), sizeof in);
}

bool Address::isLoopback() const {
  if (family() == AF_INET) return (ntohl(storage_.in.sin_addr.s_addr) >> 24) == 127;
  if (family() != AF_INET6) return isUnix();
  const in6_addr& ip = storage_.in6.sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&ip) || (IN6_IS_ADDR_V4MAPPED(&ip) && ip.s6_addr[12] == 127);
}

bool Address::isWildcard() const {
  if (family() == AF_INET) return storage_.in.sin_addr.s_addr == INADDR_ANY;
  return family() == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&storage_.in6.sin6_addr);
}

uint16_t Address::port() const {
  if (family() == AF_INET) return ntohs(storage_.in.sin_port);
  if (family() == AF_INET6) return ntohs(storage_.in6.sin6_port);
  return 0;
}

size_t Address::format(char* out, bool withPort) const {
  char* p = out;
  if (family() == AF_INET) {
    p = putIpv4(p, reinterpret_cast<const unsigned char*>(&storage_.in.sin_addr));
  } else if (family() == AF_INET6) {
    if (withPort) *p++ = '[';
    inet_ntop(AF_INET6, &storage_.in6.sin6_addr, p, INET6_ADDRSTRLEN);
    p += std::strlen(p);
    if (storage_.in6.sin6_scope_id != 0) {
      *p++ = '%';
      p = putNumber(p, storage_.in6.sin6_scope_id);
    }
    if (withPort) *p++ = ']';
  } else if (isUnix()) {
    size_t size = len_ > kPathOffset ? len_ - kPathOffset : 0;
    const char* path = storage_.un.sun_path;
    if (size > 0 && path[0] == '\0') {
      *p++ = '@';
      path++;
      size--;
    } else {
      size = strnlen(path, size);
    }
    std::memcpy(p, path, size);
    return size_t(p - out) + size;
  }
  if (withPort && isIp()) {
    *p++ = ':';
    p = putNumber(p, port());
  }
  return size_t(p - out);
}

std::string Address::host() const {
  char text[kMaxText];
  return std::string(text, format(text, false));
}

std::string Address::toString() const {
  char text[kMaxText];
  return std::string(text, format(text, true));
}

bool Address::operator==(const Address& other) const {
  if (family() != other.family()) return false;
  if (family() == AF_INET) {
    return storage_.in.sin_port == other.storage_.in.sin_port &&
           storage_.in.sin_addr.s_addr == other.storage_.in.sin_addr.s_addr;
  }
  if (family() == AF_INET6) {
    return storage_.in6.sin6_port == other.storage_.in6.sin6_port &&
           storage_.in6.sin6_scope_id == other.storage_.in6.sin6_scope_id &&
           std::memcmp(&storage_.in6.sin6_addr, &other.storage_.in6.sin6_addr, 16) == 0;
  }
  return len_ == other.len_ && std::memcmp(&storage_, &other.storage_, len_) == 0;
}

}  // namespace millrace
