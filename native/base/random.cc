#include "base/random.h"

#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"

namespace millrace {

Random::Random() : Random(0) {
  // getentropy() fails only where the kernel has none to give; the clock and the process then make
  // a seed that is good enough for what this is for.
  if (getentropy(s_, sizeof s_) != 0) *this = Random(monotonicNs() ^ (uint64_t(getpid()) << 32));
}

Random::Random(uint64_t seed) {
  for (uint64_t& s : s_) {  // splitmix64
    seed += 0x9e3779b97f4a7c15u;
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    s = z ^ (z >> 31);
  }
}

}  // namespace millrace
