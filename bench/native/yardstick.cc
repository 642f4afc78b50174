// How fast is this machine now: the CPU time, in ns, of sending 1 KiB over a loopback connection
// and receiving it.
//   yardstick [MILLISECONDS]
// Taken beside each run. On a shared host it moves, and the proxies' figures with it.
#include <unistd.h>

#include <array>

#include "socket.h"

namespace {

struct Ends {
  int in;
  int out;
};

Ends connectedPair() {
  const int listener = bench::must(socket(AF_INET, SOCK_STREAM, 0), "socket");
  sockaddr_in address = bench::loopback(0);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  bench::must(bind(listener, generic, length), "bind");
  bench::must(listen(listener, 1), "listen");
  bench::must(getsockname(listener, generic, &length), "getsockname");
  const int in = bench::must(socket(AF_INET, SOCK_STREAM, 0), "socket");
  bench::must(connect(in, generic, length), "connect");
  const int out = bench::must(accept(listener, nullptr, nullptr), "accept");
  bench::setFlag(in, IPPROTO_TCP, TCP_NODELAY);
  close(listener);
  return {in, out};
}

}  // namespace

int main(int argc, char** argv) {
  constexpr int kBatch = 100;
  const int64_t duration = (argc > 1 ? std::atoi(argv[1]) : 100) * 1'000'000LL;
  const Ends ends = connectedPair();
  std::array<char, 1024> block{};
  const int64_t end = bench::nanoseconds(CLOCK_MONOTONIC) + duration;
  const int64_t cpu = bench::nanoseconds(CLOCK_THREAD_CPUTIME_ID);
  int64_t rounds = 0;
  while (bench::nanoseconds(CLOCK_MONOTONIC) < end) {
    for (int i = 0; i < kBatch; i++, rounds++) {
      if (send(ends.in, block.data(), block.size(), 0) != ssize_t{block.size()})
        bench::fail("send");
      if (recv(ends.out, block.data(), block.size(), MSG_WAITALL) != ssize_t{block.size()})
        bench::fail("recv");
    }
  }
  const int64_t used = bench::nanoseconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
  std::printf("%.1f\n", static_cast<double>(used) / static_cast<double>(rounds));
}
