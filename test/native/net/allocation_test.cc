// In the steady state nothing is allocated: the heap is counted.
#include "net/support.h"
#include "support/allocations.h"

using namespace millrace;
using namespace millrace::test;

// Under AddressSanitizer pools keep nothing.
TEST_CASE("a steady stream of exchanges and timers allocates nothing" *
          doctest::skip(!MR_RECYCLE)) {
  Net net;
  Pair pair(net);
  struct Server final : ConnectionOwner {
    size_t onData(Connection& c, std::span<char> bytes) override {
      if (bytes.size() < 64) return 0;  // the first half is left over
      c.write({bytes.data(), bytes.size()});
      c.context().loop().arm(idle, 15'000);
      exchanges++;
      return bytes.size();
    }
    void onReadEnd(Connection&) override {}
    void onClosed(Connection&, CloseReason, int) override {}
    Timer idle{[](void*) {}, nullptr};
    int exchanges = 0;
  } server;
  pair.connection->setOwner(&server);
  char half[32] = {}, reply[64];
  auto exchange = [&] {
    int before = server.exchanges;
    CHECK(send(pair.plain.get(), half, 32, 0) == 32);
    net.loop->runOnce(100);
    CHECK(send(pair.plain.get(), half, 32, 0) == 32);
    while (server.exchanges == before) net.loop->runOnce(100);
    CHECK(recv(pair.plain.get(), reply, 64, 0) == 64);
  };
  for (int i = 0; i < 20; i++) exchange();
  uint64_t before = heapAllocations();
  int failed = 0;
  for (int i = 0; i < 500; i++) {
    int last = server.exchanges;
    failed += send(pair.plain.get(), half, 32, 0) != 32;
    net.loop->runOnce(100);
    failed += send(pair.plain.get(), half, 32, 0) != 32;
    while (server.exchanges == last) net.loop->runOnce(100);
    failed += recv(pair.plain.get(), reply, 64, 0) != 64;
  }
  uint64_t during = heapAllocations() - before;
  CHECK(failed == 0);
#ifdef MILLRACE_KQUEUE
  (void)during;  // the fake kqueue allocates
#else
  CHECK(during == 0);
#endif
  pair.connection->close();
  pair.owner.closes = 1;
}
