// How often a random test repeats itself: how much is tried, where that decides nothing else.
#pragma once

#include <cstdlib>

namespace millrace {

// `all` of it natively; a tenth under a sanitizer or an emulator, which take ten times as long for
// each and are there for another kind of fault than the one in ten thousand cases.
inline int repetitions(int all) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return all / 10;
#else
  static const bool emulated = std::getenv("MILLRACE_TEST_EMULATOR") != nullptr;
  return emulated ? all / 10 : all;
#endif
}

}  // namespace millrace
