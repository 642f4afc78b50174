// Sixteen bytes at a time: which of them end a run? One set of functions for each instruction set;
// for scan.h only. Every platform that defines MILLRACE_SCAN_BLOCK has the same functions:
//   valueStops, targetStops, lineFeeds   bits of bytes that end the run
//   uncommonToken                        bits of bytes that are no letter, digit, '-' or '.' (a
//   superset of the stops) firstStop(bits)                      index of the first such byte; bits
//   != 0
#pragma once

#include <cstdint>

#if defined(__SSE2__)
#define MILLRACE_SCAN_BLOCK 1
#include <emmintrin.h>

namespace millrace::block {

using Stops = uint32_t;

inline __m128i load(const char* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
inline Stops notSet(__m128i ok) {
  return uint32_t(_mm_movemask_epi8(ok)) ^ 0xffffu;
}
inline unsigned firstStop(Stops s) {
  return unsigned(__builtin_ctz(s));
}

inline Stops valueStops(const char* p) {
  __m128i x = load(p);
  __m128i ok = _mm_cmpeq_epi8(_mm_max_epu8(x, _mm_set1_epi8(0x20)), x);
  ok = _mm_or_si128(ok, _mm_cmpeq_epi8(x, _mm_set1_epi8('\t')));
  return notSet(_mm_andnot_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f)), ok));
}
inline Stops targetStops(const char* p) {
  __m128i x = load(p);
  __m128i bad =
      _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f)), _mm_cmpeq_epi8(x, _mm_set1_epi8('#')));
  return notSet(_mm_andnot_si128(bad, _mm_cmpgt_epi8(x, _mm_set1_epi8(0x20))));
}
inline Stops lineFeeds(const char* p) {
  return uint32_t(_mm_movemask_epi8(_mm_cmpeq_epi8(load(p), _mm_set1_epi8('\n'))));
}
inline Stops uncommonToken(const char* p) {
  __m128i x = load(p);
  __m128i letter = _mm_sub_epi8(_mm_or_si128(x, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
  __m128i digit = _mm_sub_epi8(x, _mm_set1_epi8('0'));
  __m128i mark = _mm_sub_epi8(x, _mm_set1_epi8('-'));
  __m128i ok = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(25)), letter);
  ok = _mm_or_si128(ok, _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit));
  ok = _mm_or_si128(ok, _mm_cmpeq_epi8(_mm_min_epu8(mark, _mm_set1_epi8(1)), mark));
  return notSet(ok);
}

}  // namespace millrace::block

#elif defined(__ARM_NEON) && defined(__aarch64__)
#define MILLRACE_SCAN_BLOCK 1
#include <arm_neon.h>

namespace millrace::block {

using Stops = uint64_t;  // four bits for each byte

inline uint8x16_t load(const char* p) {
  return vld1q_u8(reinterpret_cast<const uint8_t*>(p));
}
inline Stops isSet(uint8x16_t m) {
  return vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(m), 4)), 0);
}
inline unsigned firstStop(Stops s) {
  return unsigned(__builtin_ctzll(s)) / 4;
}

inline Stops valueStops(const char* p) {
  uint8x16_t x = load(p);
  uint8x16_t bad = vbicq_u8(vcltq_u8(x, vdupq_n_u8(0x20)), vceqq_u8(x, vdupq_n_u8('\t')));
  return isSet(vorrq_u8(bad, vceqq_u8(x, vdupq_n_u8(0x7f))));
}
inline Stops targetStops(const char* p) {
  uint8x16_t x = load(p);
  uint8x16_t bad = vorrq_u8(vcleq_u8(x, vdupq_n_u8(0x20)), vcgeq_u8(x, vdupq_n_u8(0x7f)));
  return isSet(vorrq_u8(bad, vceqq_u8(x, vdupq_n_u8('#'))));
}
inline Stops lineFeeds(const char* p) {
  return isSet(vceqq_u8(load(p), vdupq_n_u8('\n')));
}
inline Stops uncommonToken(const char* p) {
  uint8x16_t x = load(p);
  uint8x16_t letter = vsubq_u8(vorrq_u8(x, vdupq_n_u8(0x20)), vdupq_n_u8('a'));
  uint8x16_t ok = vcleq_u8(letter, vdupq_n_u8(25));
  ok = vorrq_u8(ok, vcleq_u8(vsubq_u8(x, vdupq_n_u8('0')), vdupq_n_u8(9)));
  ok = vorrq_u8(ok, vcleq_u8(vsubq_u8(x, vdupq_n_u8('-')), vdupq_n_u8(1)));
  return isSet(vmvnq_u8(ok));
}

}  // namespace millrace::block

#endif
