// Socket buffers of a size that a test sets: what the system has by default, and how far it lets
// them grow, differs between machines by a factor of a thousand.
#pragma once

#include <sys/socket.h>

#include <cstddef>

namespace millrace::test {

// Asked for; the kernel doubles it and counts its own overhead against it.
constexpr int kSocketBuffer = 128 * 1024;
// More than two sockets with such buffers can hold on the way from one to the other, and than a
// pipe between them: a write of so much leaves a rest for as long as the other end does not read.
constexpr size_t kMoreThanFits = size_t{2} << 20;

// Sets both buffers of `fd`, which from then on do not grow by themselves. Before listen() (the
// accepted sockets inherit them) and before connect().
inline void fixSocketBuffers(int fd, int bytes = kSocketBuffer) {
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

}  // namespace millrace::test
