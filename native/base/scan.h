// Byte scanning for text protocols: where does a run of allowed bytes end? Vector code (AVX2 for
// long runs when the processor has it, SSE2, or NEON) with a scalar twin that gives the same
// answers and is compiled on every platform; a test holds the two together.
//
// Every function returns the first byte of [p, end) that does not belong to the run, or `end`. No
// byte outside [p, end) is read. Pure functions: any thread.
#pragma once

#include <cstdint>

namespace millrace {

// Classes of bytes (RFC 9110 §5.5, §5.6.2; RFC 9112 §3.2).
enum ByteClass : uint8_t {
  kByteToken = 1,   // tchar: "!#$%&'*+-.^_`|~", digits, letters
  kByteValue = 2,   // field-value: HTAB, SP, VCHAR, obs-text
  kByteTarget = 4,  // request-target: VCHAR but '#'
  kByteHost = 8,    // reg-name without pct-encoded: unreserved, sub-delims (RFC 3986 §3.2.2)
  kByteDigit = 16,
  kByteHex = 32,
  kByteQuoted = 64,  // qdtext: HTAB, SP, VCHAR but '"' and '\', obs-text (RFC 9110 §5.6.4)
};
extern const uint8_t kByteClasses[256];
inline bool isByte(char c, ByteClass cls) {
  return (kByteClasses[uint8_t(c)] & cls) != 0;
}

const char* scanToken(const char* p, const char* end);
const char* scanValue(const char* p, const char* end);
const char* scanTarget(const char* p, const char* end);
// The first LF, or `end`.
const char* scanLineFeed(const char* p, const char* end);

// The scalar twins.
namespace scalar {
const char* scanToken(const char* p, const char* end);
const char* scanValue(const char* p, const char* end);
const char* scanTarget(const char* p, const char* end);
const char* scanLineFeed(const char* p, const char* end);
}  // namespace scalar

// "avx2", "sse2", "neon" or "scalar": what the functions above use on this machine.
const char* scanBackend();

}  // namespace millrace
