// Counts what a thread takes from the heap, for tests that say "no allocation". The operators are
// replaced, once for the whole executable, in allocations_test.cc.
#pragma once

#include <cstddef>

namespace millrace::test {

// Allocations of this thread so far.
size_t heapAllocations();

}  // namespace millrace::test
