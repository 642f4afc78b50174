// Counts what is taken from the heap, for tests that say "no allocation". The operators are
// replaced, once for each executable, in allocations.cc.
#pragma once

#include <cstddef>
#include <cstdint>

namespace millrace::test {

// Allocations of this thread so far.
size_t heapAllocations();
// Allocations of all threads so far.
uint64_t allHeapAllocations();

}  // namespace millrace::test
