#include "support/allocations.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

thread_local size_t ofThisThread = 0;
std::atomic<uint64_t> ofAll{0};

void* take(size_t size, size_t align) {
  ofThisThread++;
  ofAll.fetch_add(1, std::memory_order_relaxed);
  void* p = align <= alignof(std::max_align_t) ? std::malloc(size) : nullptr;
  if (p == nullptr && posix_memalign(&p, align, size) != 0) std::abort();
  return p;
}
// Not inlined: the compiler would see free() given what operator new returned, and warn.
[[gnu::noinline]] void give(void* p) {
  std::free(p);
}

}  // namespace

size_t millrace::test::heapAllocations() {
  return ofThisThread;
}
uint64_t millrace::test::allHeapAllocations() {
  return ofAll.load(std::memory_order_relaxed);
}

void* operator new(size_t size) {
  return take(size, 1);
}
void* operator new(size_t size, std::align_val_t align) {
  return take(size, size_t(align));
}
void operator delete(void* p) noexcept {
  give(p);
}
void operator delete(void* p, size_t) noexcept {
  give(p);
}
void operator delete(void* p, std::align_val_t) noexcept {
  give(p);
}
void operator delete(void* p, size_t, std::align_val_t) noexcept {
  give(p);
}

TEST_CASE("allocations are counted") {
  size_t before = millrace::test::heapAllocations();
  uint64_t beforeAll = millrace::test::allHeapAllocations();
  void* p = ::operator new(16);  // a new-expression might be optimised away
  ::operator delete(p);
  CHECK(millrace::test::heapAllocations() == before + 1);
  CHECK(millrace::test::allHeapAllocations() > beforeAll);
}
