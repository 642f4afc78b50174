// Byte scanning for text protocols: where does a run of allowed bytes end? Vector code (SSE2 or
// NEON for the first bytes, AVX2 for long runs where the processor has it) with a scalar twin that
// gives the same answers and is compiled on every platform; a test holds the two together.
//
// Every function returns the first byte of [p, end) that does not belong to the run, or `end`. No
// byte outside [p, end) is read. Pure functions: any thread.
#pragma once

#include <cstdint>

#include "base/scan_block.h"

namespace millrace {

// Classes of bytes (RFC 9110 §5.5, §5.6; RFC 9112 §3.2).
enum ByteClass : uint8_t {
  kByteToken = 1,   // tchar: "!#$%&'*+-.^_`|~", digits, letters
  kByteValue = 2,   // field-value: HTAB, SP, VCHAR, obs-text
  kByteTarget = 4,  // request-target: VCHAR but '#'
  kByteHost = 8,    // reg-name but for pct-encoded: unreserved, sub-delims (RFC 3986 §3.2.2)
  kByteDigit = 16,
  kByteHex = 32,
  kByteQuoted = 64,  // qdtext: HTAB, SP, VCHAR but '"' and '\', obs-text (RFC 9110 §5.6.4)
};
extern const uint8_t kByteClasses[256];
inline bool isByte(char c, ByteClass cls) {
  return (kByteClasses[uint8_t(c)] & cls) != 0;
}

// The scalar twins.
namespace scalar {
inline const char* scan(const char* p, const char* end, ByteClass cls) {
  while (p != end && isByte(*p, cls)) p++;
  return p;
}
inline const char* scanToken(const char* p, const char* end) {
  return scan(p, end, kByteToken);
}
inline const char* scanValue(const char* p, const char* end) {
  return scan(p, end, kByteValue);
}
inline const char* scanTarget(const char* p, const char* end) {
  return scan(p, end, kByteTarget);
}
inline const char* scanLineFeed(const char* p, const char* end) {
  while (p != end && *p != '\n') p++;
  return p;
}
}  // namespace scalar

// "avx2+sse2", "sse2", "neon" or "scalar": what the functions below use on this machine.
const char* scanBackend();

#if MILLRACE_SCAN_BLOCK

// What is left of runs that are longer than a block.
const char* scanTokenLong(const char* p, const char* end);
const char* scanValueLong(const char* p, const char* end);
const char* scanTargetLong(const char* p, const char* end);

// A field name, a method, a parameter's name.
inline const char* scanToken(const char* p, const char* end) {
  if (end - p < 16) return scalar::scanToken(p, end);
  block::Stops stops = block::uncommonToken(p);
  if (stops == 0) return scanTokenLong(p + 16, end);
  p += block::firstStop(stops);
  return isByte(*p, kByteToken) ? scanTokenLong(p, end) : p;
}
// A field value with the white space around it.
inline const char* scanValue(const char* p, const char* end) {
  if (end - p < 16) return scalar::scanValue(p, end);
  block::Stops stops = block::valueStops(p);
  return stops == 0 ? scanValueLong(p + 16, end) : p + block::firstStop(stops);
}
inline const char* scanTarget(const char* p, const char* end) {
  if (end - p < 16) return scalar::scanTarget(p, end);
  block::Stops stops = block::targetStops(p);
  return stops == 0 ? scanTargetLong(p + 16, end) : p + block::firstStop(stops);
}

#else

using scalar::scanTarget;
using scalar::scanToken;
using scalar::scanValue;

#endif

// The first LF, or `end`.
const char* scanLineFeed(const char* p, const char* end);

}  // namespace millrace
