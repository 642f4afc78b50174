// Socket addresses: IPv4, IPv6 and unix paths, with their text forms. Immutable values; any thread.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace {

class Address {
 public:
  Address() = default;
  // `ip` is a literal, v4 or v6 (no names). ERR_MILLRACE_ADDRESS when it is none.
  static Result<Address> ip(std::string_view ip, uint16_t port);
  // As ip(), for what comes from peers: no zone, and nothing is allocated.
  static std::optional<Address> literal(std::string_view ip, uint16_t port);
  // A filesystem path, or '@name' for Linux's abstract namespace.
  static Result<Address> unixPath(std::string_view path);
  static Address fromSockaddr(const sockaddr* sa, socklen_t len);

  const sockaddr* sockaddrPtr() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const { return len_; }
  int family() const { return storage_.sa.sa_family; }
  bool isIp() const { return family() == AF_INET || family() == AF_INET6; }
  bool isUnix() const { return family() == AF_UNIX; }
  bool isLoopback() const;       // unix sockets included
  bool isWildcard() const;       // 0.0.0.0 or ::
  uint16_t port() const;         // 0 for unix
  std::string host() const;      // "127.0.0.1", "::1", the path
  std::string toString() const;  // "127.0.0.1:80", "[::1]:80", the path
  // Writes toString() into `out` (at least kMaxText bytes) and returns its length: no allocation.
  static constexpr size_t kMaxText = 128;
  size_t format(char* out, bool withPort = true) const;
  Address withPort(uint16_t port) const;  // of an IP address
  // IPv4 instead of ::ffff:1.2.3.4; any other address as it is.
  Address unmapped() const;
  bool operator==(const Address& other) const;

 private:
  union {
    sockaddr sa;
    sockaddr_in in;
    sockaddr_in6 in6;
    sockaddr_un un;
  } storage_{};
  socklen_t len_ = 0;
};

}  // namespace millrace
