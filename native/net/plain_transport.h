// The transport that adds nothing: bytes go to and from the socket as they are. Stateless.
#pragma once

#include <sys/types.h>

#include "net/connection.h"

namespace millrace {

class PlainTransport final : public Transport {
 public:
  ssize_t read(int fd, void* into, size_t size) override;
  ssize_t write(int fd, const struct iovec* iov, int count) override;
  void shutdownWrite(int fd) override;
};

}  // namespace millrace
