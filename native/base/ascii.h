// ASCII case folding. Bytes outside A-Z are left alone, so that UTF-8 passes through. Pure
// functions: any thread.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace millrace {

inline char toLower(char c) {
  return c >= 'A' && c <= 'Z' ? char(c | 0x20) : c;
}

// Eight bytes at once.
inline uint64_t toLower8(uint64_t word) {
  constexpr uint64_t kOnes = 0x0101010101010101u;
  constexpr uint64_t kHigh = kOnes * 0x80;
  uint64_t low7 = word & ~kHigh;
  uint64_t atLeastA = low7 + kOnes * (0x80 - 'A');
  uint64_t aboveZ = low7 + kOnes * (0x80 - 'Z' - 1);
  uint64_t upper = (atLeastA ^ aboveZ) & ~word & kHigh;
  return word | (upper >> 2);
}

inline std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = toLower(c);
  return out;
}

// Whether `text`, folded, is `lower`, which is lower case already.
inline bool equalsLower(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  const char* a = text.data();
  const char* b = lower.data();
  size_t n = text.size();
  for (; n >= 8; a += 8, b += 8, n -= 8) {
    uint64_t x, y;
    std::memcpy(&x, a, 8);
    std::memcpy(&y, b, 8);
    if (toLower8(x) != y) return false;
  }
  for (; n > 0; a++, b++, n--) {
    if (toLower(*a) != *b) return false;
  }
  return true;
}

inline bool startsWithLower(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() && equalsLower(text.substr(0, lower.size()), lower);
}

inline bool endsWithLower(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() && equalsLower(text.substr(text.size() - lower.size()), lower);
}

}  // namespace millrace
