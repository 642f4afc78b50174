// The classes of bytes as a table, and the scanning of long runs.
#include "base/scan.h"

#include <array>
#include <cstring>
#include <string_view>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace millrace {

namespace {

constexpr bool isLetter(int c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
constexpr bool isDigit(int c) {
  return c >= '0' && c <= '9';
}
constexpr bool isHex(int c) {
  return isDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
constexpr bool isOneOf(int c, std::string_view set) {
  return c != 0 && set.find(char(c)) != std::string_view::npos;
}

constexpr uint8_t classesOf(int c) {
  bool alnum = isLetter(c) || isDigit(c);
  bool visible = c > 0x20 && c < 0x7f;
  bool value = c == '\t' || c == ' ' || visible || c >= 0x80;
  uint8_t bits = 0;
  if (alnum || isOneOf(c, "!#$%&'*+-.^_`|~")) bits |= kByteToken;
  if (value) bits |= kByteValue;
  if (visible && c != '#') bits |= kByteTarget;
  if (alnum || isOneOf(c, "-._~!$&'()*+,;=")) bits |= kByteHost;
  if (isDigit(c)) bits |= kByteDigit;
  if (isHex(c)) bits |= kByteHex;
  if (value && c != '"' && c != '\\') bits |= kByteQuoted;
  return bits;
}

struct ClassTable {
  uint8_t at[256] = {};
  constexpr ClassTable() {
    for (int c = 0; c < 256; c++) at[c] = classesOf(c);
  }
};
constexpr ClassTable kTable;

}  // namespace

#define ROW8(i)                                                                         \
  kTable.at[i], kTable.at[i + 1], kTable.at[i + 2], kTable.at[i + 3], kTable.at[i + 4], \
      kTable.at[i + 5], kTable.at[i + 6], kTable.at[i + 7]
#define ROW64(i)                                                                              \
  ROW8(i), ROW8(i + 8), ROW8(i + 16), ROW8(i + 24), ROW8(i + 32), ROW8(i + 40), ROW8(i + 48), \
      ROW8(i + 56)
const uint8_t kByteClasses[256] = {ROW64(0), ROW64(64), ROW64(128), ROW64(192)};
#undef ROW64
#undef ROW8

#if MILLRACE_SCAN_BLOCK

namespace {

#if defined(__x86_64__)

// Read before its initialiser ran, it is false, and SSE2 does the work.
const bool hasAvx2 = __builtin_cpu_supports("avx2") != 0;

__attribute__((target("avx2"))) inline __m256i load32(const char* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

// Moves p over whole blocks of 32 bytes; true when a stop was found at p.
__attribute__((target("avx2"))) bool valueAvx2(const char*& p, const char* end) {
  for (; end - p >= 32; p += 32) {
    __m256i x = load32(p);
    __m256i ok = _mm256_cmpeq_epi8(_mm256_max_epu8(x, _mm256_set1_epi8(0x20)), x);
    ok = _mm256_or_si256(ok, _mm256_cmpeq_epi8(x, _mm256_set1_epi8('\t')));
    ok = _mm256_andnot_si256(_mm256_cmpeq_epi8(x, _mm256_set1_epi8(0x7f)), ok);
    uint32_t stops = ~uint32_t(_mm256_movemask_epi8(ok));
    if (stops != 0) {
      p += __builtin_ctz(stops);
      return true;
    }
  }
  return false;
}

__attribute__((target("avx2"))) bool targetAvx2(const char*& p, const char* end) {
  for (; end - p >= 32; p += 32) {
    __m256i x = load32(p);
    __m256i bad = _mm256_or_si256(_mm256_cmpeq_epi8(x, _mm256_set1_epi8(0x7f)),
                                  _mm256_cmpeq_epi8(x, _mm256_set1_epi8('#')));
    __m256i ok = _mm256_andnot_si256(bad, _mm256_cmpgt_epi8(x, _mm256_set1_epi8(0x20)));
    uint32_t stops = ~uint32_t(_mm256_movemask_epi8(ok));
    if (stops != 0) {
      p += __builtin_ctz(stops);
      return true;
    }
  }
  return false;
}

#else

constexpr bool hasAvx2 = false;
inline bool valueAvx2(const char*&, const char*) {
  return false;
}
inline bool targetAvx2(const char*&, const char*) {
  return false;
}

#endif

}  // namespace

const char* scanBackend() {
#if defined(__x86_64__)
  return hasAvx2 ? "avx2+sse2" : "sse2";
#else
  return "neon";
#endif
}

const char* scanTokenLong(const char* p, const char* end) {
  while (end - p >= 16) {
    block::Stops stops = block::uncommonToken(p);
    if (stops == 0) {
      p += 16;
      continue;
    }
    p += block::firstStop(stops);
    if (!isByte(*p, kByteToken)) return p;
    p++;  // one of the rare marks
  }
  return scalar::scanToken(p, end);
}

const char* scanValueLong(const char* p, const char* end) {
  if (hasAvx2 && valueAvx2(p, end)) return p;
  for (; end - p >= 16; p += 16) {
    block::Stops stops = block::valueStops(p);
    if (stops != 0) return p + block::firstStop(stops);
  }
  return scalar::scanValue(p, end);
}

const char* scanTargetLong(const char* p, const char* end) {
  if (hasAvx2 && targetAvx2(p, end)) return p;
  for (; end - p >= 16; p += 16) {
    block::Stops stops = block::targetStops(p);
    if (stops != 0) return p + block::firstStop(stops);
  }
  return scalar::scanTarget(p, end);
}

const char* scanLineFeed(const char* p, const char* end) {
  for (; end - p >= 16; p += 16) {
    block::Stops stops = block::lineFeeds(p);
    if (stops != 0) return p + block::firstStop(stops);
  }
  return scalar::scanLineFeed(p, end);
}

#else

const char* scanBackend() {
  return "scalar";
}
const char* scanLineFeed(const char* p, const char* end) {
  return scalar::scanLineFeed(p, end);
}

#endif

}  // namespace millrace
