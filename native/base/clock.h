// Clocks. Everything monotonic is uint64_t nanoseconds, everything on the wall is microseconds
// since 1970 (UTC).
#pragma once

#include <cstdint>
#include <ctime>

namespace millrace {

constexpr uint64_t kNsPerMs = 1'000'000;
constexpr uint64_t kNsPerSec = 1'000'000'000;

// CLOCK_MONOTONIC, ns. On a loop's thread prefer Loop::nowNs(), which costs nothing.
inline uint64_t monotonicNs() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return uint64_t(ts.tv_sec) * kNsPerSec + uint64_t(ts.tv_nsec);
}

// CLOCK_REALTIME, µs since the epoch.
inline uint64_t wallUs() {
  timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  return uint64_t(ts.tv_sec) * 1'000'000 + uint64_t(ts.tv_nsec) / 1000;
}

}  // namespace millrace
