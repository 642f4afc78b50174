// The PROXY protocol, versions 1 and 2, as it is sent: who the client is, in front of everything
// else on a connection. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "net/address.h"

namespace millrace {

enum class ProxyVersion : uint8_t { kV1, kV2 };

// A header in its own memory.
class ProxyHeader {
 public:
  // The client's address and the one that it connected to. Unless both are IP addresses of one
  // family, the header says that nothing is known: UNKNOWN (version 1), LOCAL (version 2).
  ProxyHeader(ProxyVersion version, const Address* from, const Address* to);
  std::string_view bytes() const { return {bytes_, size_}; }

 private:
  static constexpr size_t kMost = 107;  // the longest of version 1; version 2 takes at most 52
  void add(std::string_view part);
  void writeV1(const Address& from, const Address& to);
  void writeV2(const Address& from, const Address& to);
  char bytes_[kMost + 1];
  size_t size_ = 0;
};

}  // namespace millrace
