// A fast generator of random numbers for balancing, sampling and request ids. Not for secrets. One
// thread.
#pragma once

#include <cstdint>

namespace millrace {

// xoshiro256++ (Blackman, Vigna 2019), seeded from the kernel.
class Random {
 public:
  Random();
  explicit Random(uint64_t seed);  // a sequence that can be repeated, for tests

  uint64_t next() {
    uint64_t result = rotate(s_[0] + s_[3], 23) + s_[0];
    uint64_t t = s_[1] << 17;
    s_[2] ^= s_[0];
    s_[3] ^= s_[1];
    s_[1] ^= s_[2];
    s_[0] ^= s_[3];
    s_[2] ^= t;
    s_[3] = rotate(s_[3], 45);
    return result;
  }

 private:
  static uint64_t rotate(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
  uint64_t s_[4];
};

}  // namespace millrace
