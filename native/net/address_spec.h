// An address as configuration states it, before it is resolved: `NativeAddress` of src/native/.
// Plain data; any thread.
#pragma once

#include <cstdint>
#include <string>

namespace millrace::spec {

// Either an IP literal with a port, or (when `path` is not empty) the path of a unix socket;
// '@name' is in Linux's abstract namespace.
struct Address {
  std::string ip;
  uint16_t port = 0;
  std::string path;
  int32_t mode = -1;  // permission bits of the socket file; -1: what the process' umask leaves

  bool isUnix() const { return !path.empty(); }
};

}  // namespace millrace::spec
