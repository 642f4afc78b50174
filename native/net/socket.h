// Sockets as the proxy wants them: non-blocking, close-on-exec, without Nagle's delay. Any thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "net/address.h"

namespace millrace {

// Owns a descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() { reset(); }
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = other.release();
    }
    return *this;
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  void reset();

 private:
  int fd_ = -1;
};

// Keep-alive probes of TCP; 0 leaves the system's value.
struct TcpKeepalive {
  bool on = false;
  uint32_t idleSeconds = 0;
  uint32_t intervalSeconds = 0;
  uint32_t probes = 0;
  bool operator==(const TcpKeepalive&) const = default;
};

// An option for setsockopt(2) that configuration states by number (Envoy's SocketOption).
struct SocketOption {
  int level = 0;
  int name = 0;
  std::string value;  // its bytes
  bool operator==(const SocketOption&) const = default;
};

struct ListenOptions {
  bool reusePort = true;  // a socket for each worker, where the system spreads connections over
                          // them (Linux, TCP)
  bool ipv4Compat =
      false;  // an IPv6 socket takes IPv4 clients too (Envoy: SocketAddress.ipv4_compat)
  bool freebind = false;     // the address need not be there yet (Linux; Envoy: freebind)
  bool transparent = false;  // any address, for redirected connections (Linux, needs CAP_NET_ADMIN)
  int backlog = 0;           // 0: the system's limit (net.core.somaxconn, or SOMAXCONN)
  mode_t unixMode = 0;       // of a socket file; 0: as the umask has it
  // Sockets with reusePort may listen there already, also those of another process of this user,
  // which then goes on with a part of the clients. Else who listens there is an error. (Linux; with
  // reusePort.)
  bool shared = false;
};

// One listener's sockets. `local` is the address in force: port 0 was replaced by the port that the
// system chose.
struct ListenSockets {
  std::vector<Fd> fds;
  Address local;
};

// Binds and listens: `count` sockets when reusePort applies (see reusePortSpreads), else one. For a
// unix path, a socket file that nobody listens on any more is replaced; one that is in use, or
// anything that is no socket, is refused. ERR_MILLRACE_BIND with errno.
Result<ListenSockets> listenOn(const Address& at, const ListenOptions& options, size_t count);

// Whether the system spreads connections over several sockets bound to `at`.
bool reusePortSpreads(const Address& at);

// What can be changed of a socket that listens: backlog, freebind, transparent, and the mode of its
// file. Returns errno, 0 on success.
int changeListening(int fd, const Address& at, const ListenOptions& options);

// From here on the listening socket gets no client that has not begun to connect. Over TCP such a
// client tries again a second later, and finds whoever listens there then; handshakes that are
// under way go on. At a unix socket it is refused, and accept(2) gives EINVAL once nobody waits any
// more.
enum class Refusal : uint8_t {
  kNone,  // the system cannot do that (no Linux)
  kSoon,  // who has begun to connect may come yet
  kNow,   // all who will ever come are waiting
};
Refusal refuseNewClients(int fd);

// Workers leave descriptors to the rest of the process: log files, the admin interface (whose
// /ready must answer at the limit, too), health checks, DNS. A worker that gets a descriptor from
// this one on stops accepting, or does not connect; half of what is reserved is for connections to
// upstreams alone.
enum class DescriptorUse : uint8_t { kAccept, kConnect };
bool beyondReserve(int fd, DescriptorUse use);
// Whether a descriptor that is opened now would be; `open` is any that is.
bool noneLeft(int open, DescriptorUse use);

// Accepts one connection, non-blocking and close-on-exec; TCP_NODELAY is inherited from the
// listening socket, as listenOn() makes it. -1 with errno.
int acceptOn(int listener, Address& peer);
// A non-blocking, close-on-exec stream socket, with TCP_NODELAY. -1 with errno.
int openSocket(int family);
// Binds an outgoing socket; a port of 0 is chosen only with the connect, so that ports are not used
// up by the address alone. `freebind`: the address need not be this machine's (Linux). Returns
// errno, 0 on success.
int bindLocal(int fd, const Address& local, bool freebind = false);
// Returns errno, 0 on success.
int setSocketOptions(int fd, const std::vector<SocketOption>& options);
void setKeepalive(int fd, const TcpKeepalive& keepalive);
// close() will send a reset instead of an orderly end.
void setResetOnClose(int fd);

Address localAddress(int fd);
Address peerAddress(int fd);
// The address that the client connected to, before the system's packet filter sent the connection
// here (netfilter's REDIRECT or DNAT); that of the socket where nothing was redirected, or where
// the system keeps no such thing.
Address originalDestination(int fd);
// Whether the packet filter redirected the connection here: `meant` (as originalDestination() gives
// it) is another address than the socket's own.
bool wasRedirected(int fd, const Address& meant);

}  // namespace millrace
