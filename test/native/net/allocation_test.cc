// In the steady state nothing is allocated: the heap is counted.
#include <atomic>
#include <cstdlib>
#include <new>

#include "net/support.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {
std::atomic<uint64_t> allocations{0};

void* counted(size_t size, size_t align) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* p = align > alignof(std::max_align_t)
                ? std::aligned_alloc(align, (size + align - 1) / align * align)
                : std::malloc(size);
  if (p == nullptr) std::abort();
  return p;
}
}  // namespace

void* operator new(size_t size) {
  return counted(size, 1);
}
void* operator new(size_t size, std::align_val_t align) {
  return counted(size, size_t(align));
}
void operator delete(void* p) noexcept {
  std::free(p);
}
void operator delete(void* p, size_t) noexcept {
  std::free(p);
}
void operator delete(void* p, std::align_val_t) noexcept {
  std::free(p);
}
void operator delete(void* p, size_t, std::align_val_t) noexcept {
  std::free(p);
}

using namespace millrace;
using namespace millrace::test;

TEST_CASE("a steady stream of exchanges and timers allocates nothing") {
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
  uint64_t before = allocations;
  int failed = 0;
  for (int i = 0; i < 500; i++) {
    int last = server.exchanges;
    failed += send(pair.plain.get(), half, 32, 0) != 32;
    net.loop->runOnce(100);
    failed += send(pair.plain.get(), half, 32, 0) != 32;
    while (server.exchanges == last) net.loop->runOnce(100);
    failed += recv(pair.plain.get(), reply, 64, 0) != 64;
  }
  uint64_t during = allocations - before;
  CHECK(failed == 0);
#ifdef MILLRACE_KQUEUE
  (void)during;  // the fake kqueue allocates
#else
  CHECK(during == 0);
#endif
  pair.connection->close();
  pair.owner.closes = 1;
}

#endif
