#include "net/socket.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/filter.h>
#endif

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>

namespace millrace {

namespace {

int setOption(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value);
}

Error bindError(const char* call, const Address& at, int sysErrno) {
  std::string what = std::string(call) + " " + at.toString();
  if (sysErrno == EADDRINUSE) {
    what += at.isIp() ? " (stop what listens there, choose another port, or see --reuse-port)"
                      : " (stop what listens there, or choose another path)";
  }
  return Error{"ERR_MILLRACE_BIND", std::move(what), sysErrno};
}

#ifndef SOCK_NONBLOCK
int withFlags(int fd) {
  if (fd < 0) return fd;
  if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
    int error = errno;
    close(fd);
    errno = error;
    return -1;
  }
#ifdef SO_NOSIGPIPE
  setOption(fd, SOL_SOCKET, SO_NOSIGPIPE, 1);
#endif
  return fd;
}
#endif

int backlogLimit() {
#ifdef __linux__
  int limit = 0;
  if (FILE* file = std::fopen("/proc/sys/net/core/somaxconn", "re")) {
    if (std::fscanf(file, "%d", &limit) != 1) limit = 0;
    std::fclose(file);
  }
  if (limit > 0) return limit;
#endif
  return SOMAXCONN;
}

// A socket file outlives its server. Removes it when nobody answers there; EADDRINUSE when somebody
// does, or when it is no socket.
int removeStaleSocket(const Address& at) {
  std::string path = at.host();
  struct stat found;
  if (path.empty() || path[0] == '@' || lstat(path.c_str(), &found) != 0) return 0;
  if (!S_ISSOCK(found.st_mode)) return EADDRINUSE;
  Fd probe(openSocket(AF_UNIX));
  if (probe.get() < 0) return errno;
  if (connect(probe.get(), at.sockaddrPtr(), at.size()) == 0) return EADDRINUSE;
  if (errno != ECONNREFUSED) return errno == EAGAIN ? EADDRINUSE : errno;
  return unlink(path.c_str()) == 0 || errno == ENOENT ? 0 : errno;
}

// For addresses that are not, or not yet, this machine's. Returns errno, 0 on success.
int setForeignAddress(int fd, const Address& at, bool freebind, bool transparent) {
  if (!at.isIp()) return 0;
#ifdef __linux__
  bool v4 = at.family() == AF_INET;
  int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
  auto set = [&](int name, bool on) {
    // To have it off needs no privilege, and is how a new socket is.
    return setOption(fd, level, name, on ? 1 : 0) == 0 || !on ? 0 : errno;
  };
  int failed = set(v4 ? IP_FREEBIND : IPV6_FREEBIND, freebind);
  return failed != 0 ? failed : set(v4 ? IP_TRANSPARENT : IPV6_TRANSPARENT, transparent);
#else
  (void)fd;
  return freebind || transparent ? ENOTSUP : 0;
#endif
}

int backlogOf(const ListenOptions& options) {
  return options.backlog > 0 ? options.backlog : backlogLimit();
}

// How a socket shares its address: with nobody, with those that share it too, or with those that
// are bound after it listens. The last one is the first socket of a listener: the system itself
// finds out whether anybody is there, without a moment in which two could miss each other.
enum class Sharing : uint8_t { kNone, kShared, kFirst };

Status bindOne(const Address& at, const ListenOptions& options, Sharing sharing, Fd& out) {
  Fd fd(openSocket(at.family()));
  if (fd.get() < 0) return bindError("socket", at, errno);
  if (at.isIp()) {
    setOption(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    if (sharing == Sharing::kShared && setOption(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1) != 0) {
      return bindError("SO_REUSEPORT", at, errno);
    }
  }
  if (int failed = setForeignAddress(fd.get(), at, options.freebind, options.transparent);
      failed != 0) {
    return bindError("freebind or transparent", at, failed);
  }
  if (at.family() == AF_INET6 &&
      setOption(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, options.ipv4Compat ? 0 : 1) != 0) {
    return bindError("IPV6_V6ONLY", at, errno);
  }
  if (bind(fd.get(), at.sockaddrPtr(), at.size()) != 0) return bindError("bind", at, errno);
  if (at.isUnix() && options.unixMode != 0 && at.host()[0] != '@' &&
      chmod(at.host().c_str(), options.unixMode) != 0) {
    return bindError("chmod", at, errno);
  }
  if (listen(fd.get(), backlogOf(options)) != 0) return bindError("listen", at, errno);
  if (sharing == Sharing::kFirst && setOption(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1) != 0) {
    return bindError("SO_REUSEPORT", at, errno);
  }
  out = std::move(fd);
  return {};
}

}  // namespace

void Fd::reset() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

bool reusePortSpreads(const Address& at) {
#ifdef __linux__
  return at.isIp();
#else
  (void)at;
  return false;
#endif
}

Result<ListenSockets> listenOn(const Address& at, const ListenOptions& options, size_t count) {
  bool reusePort = options.reusePort && reusePortSpreads(at);
  if (!reusePort) count = 1;
  if (at.isUnix()) {
    int inUse = removeStaleSocket(at);
    if (inUse != 0) return bindError("bind", at, inUse);
  }
  ListenSockets sockets;
  sockets.local = at;
  for (size_t i = 0; i < count; i++) {
    Fd fd;
    Sharing sharing = !reusePort                  ? Sharing::kNone
                      : i == 0 && !options.shared ? Sharing::kFirst
                                                  : Sharing::kShared;
    Status bound = bindOne(sockets.local, options, sharing, fd);
    if (!bound) return bound.error();
    if (i == 0 && at.isIp()) sockets.local = localAddress(fd.get());
    sockets.fds.push_back(std::move(fd));
  }
  return sockets;
}

int changeListening(int fd, const Address& at, const ListenOptions& options) {
  if (int failed = setForeignAddress(fd, at, options.freebind, options.transparent); failed != 0) {
    return failed;
  }
  if (at.isUnix() && options.unixMode != 0 && at.host()[0] != '@' &&
      chmod(at.host().c_str(), options.unixMode) != 0) {
    return errno;
  }
  return listen(fd, backlogOf(options)) == 0 ? 0 : errno;
}

Refusal refuseNewClients(int fd) {
#ifdef __linux__
  int protocol = 0, domain = 0;
  socklen_t size = sizeof domain;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0) return Refusal::kNone;
  if (domain == AF_UNIX) return shutdown(fd, SHUT_RD) == 0 ? Refusal::kNow : Refusal::kNone;
  size = sizeof protocol;
  if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) != 0 || protocol != IPPROTO_TCP) {
    return Refusal::kNone;
  }
  // Drops segments with SYN and without ACK. The filter sees the TCP header, whose flags are at 13.
  // Connections that are accepted from here on inherit it, and never get such a segment.
  constexpr uint32_t kFlags = 13, kSynAck = 0x12, kSyn = 0x02;
  std::array<sock_filter, 5> program{{
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kFlags),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, kSynAck),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kSyn, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
  }};
  sock_fprog filter{uint16_t(program.size()), program.data()};
  int set = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
  return set == 0 ? Refusal::kSoon : Refusal::kNone;
#else
  (void)fd;
  return Refusal::kNone;
#endif
}

namespace {

// Of the limit of 1,024 that most systems start with, an eighth is reserved.
constexpr int kMostReserved = 128;

int readMark(DescriptorUse use) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > rlim_t(INT32_MAX)) return INT32_MAX;
  int most = int(limit.rlim_cur);
  int reserved = std::min(most / 8, kMostReserved);
  return most - (use == DescriptorUse::kAccept ? reserved : reserved / 2);
}

}  // namespace

bool beyondReserve(int fd, DescriptorUse use) {
  // The system gives out the lowest number that is free, so the number says how many there are.
  // Read anew only now and then, and where it matters: who comes near a limit that was lowered
  // passes such a number. Relaxed: two numbers that stand for themselves.
  constexpr int kReadEvery = 64;
  static std::array<std::atomic<int>, 2> marks{};
  std::atomic<int>& mark = marks[size_t(use)];
  if (fd < mark.load(std::memory_order_relaxed) && (fd + 1) % kReadEvery != 0) [[likely]]
    return false;
  int now = readMark(use);
  mark.store(now, std::memory_order_relaxed);
  return fd >= now;
}

bool noneLeft(int open, DescriptorUse use) {
  Fd probe(fcntl(open, F_DUPFD_CLOEXEC, 0));
  return probe.get() < 0 || beyondReserve(probe.get(), use);
}

int acceptOn(int listener, Address& peer) {
  sockaddr_storage from;
  socklen_t size = sizeof from;
#ifdef SOCK_NONBLOCK
  int fd =
      accept4(listener, reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
  int fd = withFlags(accept(listener, reinterpret_cast<sockaddr*>(&from), &size));
#endif
  if (fd < 0) return -1;
  peer = Address::fromSockaddr(reinterpret_cast<sockaddr*>(&from), size);
  return fd;
}

int openSocket(int family) {
#ifdef SOCK_NONBLOCK
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
#else
  int fd = withFlags(socket(family, SOCK_STREAM, 0));
#endif
  if (fd >= 0 && family != AF_UNIX) setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  return fd;
}

int setSocketOptions(int fd, const std::vector<SocketOption>& options) {
  for (const SocketOption& option : options) {
    if (setsockopt(fd, option.level, option.name, option.value.data(),
                   socklen_t(option.value.size())) != 0) {
      return errno;
    }
  }
  return 0;
}

int bindLocal(int fd, const Address& local, bool freebind) {
  if (int failed = freebind ? setForeignAddress(fd, local, true, false) : 0; failed != 0) {
    return failed;
  }
#ifdef IP_BIND_ADDRESS_NO_PORT
  if (local.isIp() && local.port() == 0) setOption(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
#endif
  return bind(fd, local.sockaddrPtr(), local.size()) == 0 ? 0 : errno;
}

void setKeepalive(int fd, const TcpKeepalive& keepalive) {
  if (!keepalive.on) return;
  setOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
#ifdef TCP_KEEPIDLE
  if (keepalive.idleSeconds > 0) {
    setOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, int(keepalive.idleSeconds));
  }
#elif defined(TCP_KEEPALIVE)
  if (keepalive.idleSeconds > 0) {
    setOption(fd, IPPROTO_TCP, TCP_KEEPALIVE, int(keepalive.idleSeconds));
  }
#endif
  if (keepalive.intervalSeconds > 0) {
    setOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, int(keepalive.intervalSeconds));
  }
  if (keepalive.probes > 0) setOption(fd, IPPROTO_TCP, TCP_KEEPCNT, int(keepalive.probes));
}

void setResetOnClose(int fd) {
  linger now{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

Address localAddress(int fd) {
  sockaddr_storage at{};
  socklen_t size = sizeof at;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size) != 0) return {};
  return Address::fromSockaddr(reinterpret_cast<sockaddr*>(&at), size);
}

Address originalDestination(int fd) {
#ifdef __linux__
  // Of <linux/netfilter_ipv4.h> and …/ip6_tables.h, which do not get on with <netinet/in.h>.
  constexpr int kSoOriginalDst = 80;
  sockaddr_storage at{};
  socklen_t size = sizeof at;
  for (int level : {IPPROTO_IP, IPPROTO_IPV6}) {
    if (getsockopt(fd, level, kSoOriginalDst, &at, &size) == 0) {
      return Address::fromSockaddr(reinterpret_cast<sockaddr*>(&at), size);
    }
  }
#endif
  return localAddress(fd);
}

bool wasRedirected(int fd, const Address& meant) {
  const Address own = localAddress(fd);
  // What netfilter says is IPv4 also where the socket says ::ffff:…
  return !(own.unmapped() == meant.unmapped());
}

Address peerAddress(int fd) {
  sockaddr_storage at{};
  socklen_t size = sizeof at;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&at), &size) != 0) return {};
  return Address::fromSockaddr(reinterpret_cast<sockaddr*>(&at), size);
}

}  // namespace millrace
