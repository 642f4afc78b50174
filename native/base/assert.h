// Assertions: MR_ASSERT holds in every build, MR_DASSERT only where NDEBUG is not defined.
#pragma once

#include <cstdio>
#include <cstdlib>

// Recycled memory hides mistakes from AddressSanitizer: with it, pools keep nothing.
#if defined(__SANITIZE_ADDRESS__)
#define MR_RECYCLE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MR_RECYCLE 0
#endif
#endif
#ifndef MR_RECYCLE
#define MR_RECYCLE 1
#endif

namespace millrace {

[[noreturn]] inline void assertFailed(const char* what, const char* file, int line) {
  std::fprintf(stderr, "millrace: assertion failed: %s (%s:%d)\n", what, file, line);
  std::abort();
}

}  // namespace millrace

// For what would corrupt memory if it went on. Environment errors are never asserted, they are
// handled.
#define MR_ASSERT(x) \
  (__builtin_expect(!(x), 0) ? ::millrace::assertFailed(#x, __FILE__, __LINE__) : (void)0)
#ifdef NDEBUG
#define MR_DASSERT(x) ((void)0)
#else
#define MR_DASSERT(x) MR_ASSERT(x)
#endif
