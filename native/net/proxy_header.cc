#include "net/proxy_header.h"

#include <arpa/inet.h>

#include <cstdio>

namespace millrace {

namespace {

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr char kProxy = 0x21;                           // version 2 and the command
constexpr char kTcpOverIp4 = 0x11, kTcpOverIp6 = 0x21;  // family and protocol

// The address bytes of an IP address, in network order.
std::string_view ipBytes(const Address& a) {
  if (a.family() == AF_INET) {
    auto* in = reinterpret_cast<const sockaddr_in*>(a.sockaddrPtr());
    return {reinterpret_cast<const char*>(&in->sin_addr), sizeof in->sin_addr};
  }
  auto* in6 = reinterpret_cast<const sockaddr_in6*>(a.sockaddrPtr());
  return {reinterpret_cast<const char*>(&in6->sin6_addr), sizeof in6->sin6_addr};
}

}  // namespace

ProxyHeader::ProxyHeader(ProxyVersion version, const Address* from, const Address* to) {
  bool known = from != nullptr && to != nullptr && from->isIp() && from->family() == to->family();
  if (version == ProxyVersion::kV1) {
    if (known) {
      writeV1(*from, *to);
    } else {
      add("PROXY UNKNOWN\r\n");
    }
    return;
  }
  add(kSignature);
  if (known) {
    writeV2(*from, *to);
  } else {
    add({"\x20\0\0\0", 4});  // LOCAL: no family, no length
  }
}

void ProxyHeader::add(std::string_view part) {
  size_ += part.copy(bytes_ + size_, sizeof bytes_ - size_);
}

void ProxyHeader::writeV1(const Address& from, const Address& to) {
  // Not Address::format(): a scope has no place here.
  char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
  inet_ntop(from.family(), ipBytes(from).data(), source, sizeof source);
  inet_ntop(to.family(), ipBytes(to).data(), destination, sizeof destination);
  int n = snprintf(bytes_, sizeof bytes_, "PROXY %s %s %s %u %u\r\n",
                   from.family() == AF_INET ? "TCP4" : "TCP6", source, destination,
                   unsigned{from.port()}, unsigned{to.port()});
  size_ = size_t(n);
}

void ProxyHeader::writeV2(const Address& from, const Address& to) {
  std::string_view source = ipBytes(from), destination = ipBytes(to);
  const uint16_t ports[] = {htons(from.port()), htons(to.port())};
  uint16_t length = htons(uint16_t(source.size() + destination.size() + sizeof ports));
  const char head[] = {kProxy, from.family() == AF_INET ? kTcpOverIp4 : kTcpOverIp6};
  add({head, sizeof head});
  add({reinterpret_cast<const char*>(&length), sizeof length});
  add(source);
  add(destination);
  add({reinterpret_cast<const char*>(ports), sizeof ports});
}

}  // namespace millrace
