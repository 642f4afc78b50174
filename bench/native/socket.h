// What the benchmark's small programs share: loopback sockets and the CPU clock. They end at the
// first surprise.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace bench {

[[noreturn]] inline void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

/** The result of a system call, or the end. */
inline int must(int result, const char* what) {
  if (result < 0) fail(what);
  return result;
}

inline sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

inline void setFlag(int fd, int level, int option) {
  const int on = 1;
  must(setsockopt(fd, level, option, &on, sizeof on), "setsockopt");
}

/** A non-blocking listening socket; when shared, each thread may have one on the same port. */
inline int listenOn(int port, bool shared) {
  const int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "socket");
  setFlag(fd, SOL_SOCKET, SO_REUSEADDR);
  if (shared) setFlag(fd, SOL_SOCKET, SO_REUSEPORT);
  const sockaddr_in address = loopback(port);
  must(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
  must(listen(fd, 4096), "listen");
  return fd;
}

inline int64_t nanoseconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

}  // namespace bench
