// Digits and escapes; see format_output.h. Most values hold nothing to escape, so eight bytes are
// looked at at a time.
#include "proxy/format_output.h"

#include <array>

namespace millrace {

namespace {

constexpr uint64_t kOnes = 0x0101010101010101u;
constexpr uint64_t kHigh = kOnes * 0x80;
constexpr char kHex[] = "0123456789abcdef";

constexpr auto kTwoDigits = [] {
  std::array<char, 200> table{};
  for (size_t i = 0; i < 100; i++) {
    table[2 * i] = char('0' + i / 10);
    table[2 * i + 1] = char('0' + i % 10);
  }
  return table;
}();

[[gnu::always_inline]] inline uint64_t zeroBytes(uint64_t word) {
  return (word - kOnes) & ~word & kHigh;
}

// Not zero if any of the eight bytes is a control byte, `"`, `\` or DEL. May be wrong only about
// bytes after a right one.
[[gnu::always_inline]] inline uint64_t special8(uint64_t word) {
  return ((word - kOnes * 0x20) & ~word & kHigh) | zeroBytes(word ^ kOnes * '"') |
         zeroBytes(word ^ kOnes * '\\') | zeroBytes(word ^ kOnes * 0x7f);
}

bool special(unsigned char c) {
  return c < 0x20 || c == '"' || c == '\\' || c == 0x7f;
}

// How many bytes from the start need no care; with `ascii`, bytes above 0x7f need care too.
template <bool ascii>
size_t cleanPrefix(std::string_view s) {
  size_t i = 0;
  for (; i + 8 <= s.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, s.data() + i, 8);
    if (special8(word) != 0 || (ascii && (word & kHigh) != 0)) break;
  }
  while (i < s.size() && !special(static_cast<unsigned char>(s[i])) &&
         !(ascii && static_cast<unsigned char>(s[i]) >= 0x80)) {
    i++;
  }
  return i;
}

// Length of the UTF-8 sequence at the start of `s`, 0 when it is not well formed (Unicode 15, table
// 3-7).
size_t utf8Length(std::string_view s) {
  const auto at = [&](size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0; };
  const auto tail = [&](size_t i) { return (at(i) & 0xc0) == 0x80; };
  const unsigned char first = at(0), second = at(1);
  if (first >= 0xc2 && first <= 0xdf) return tail(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    if (!tail(1) || !tail(2)) return 0;
    if (first == 0xe0 && second < 0xa0) return 0;  // overlong
    if (first == 0xed && second > 0x9f) return 0;  // surrogate
    return 3;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if (!tail(1) || !tail(2) || !tail(3)) return 0;
    if (first == 0xf0 && second < 0x90) return 0;
    if (first == 0xf4 && second > 0x8f) return 0;
    return 4;
  }
  return 0;
}

}  // namespace

char* putDecimal(char* out, uint64_t value) {
  char digits[20];
  char* p = digits + sizeof digits;
  while (value >= 100) {
    p -= 2;
    std::memcpy(p, &kTwoDigits[2 * (value % 100)], 2);
    value /= 100;
  }
  if (value >= 10) {
    p -= 2;
    std::memcpy(p, &kTwoDigits[2 * value], 2);
  } else {
    *--p = char('0' + value);
  }
  const size_t n = size_t(digits + sizeof digits - p);
  std::memcpy(out, p, n);
  return out + n;
}

void FormatOutput::appendDecimal(uint64_t value) {
  if (end_ - p_ >= 20) [[likely]] {
    p_ = putDecimal(p_, value);
    return;
  }
  char digits[20];
  append({digits, size_t(putDecimal(digits, value) - digits)});
}

void FormatOutput::appendEscaped(std::string_view s) {
  for (;;) {
    const size_t clean = cleanPrefix<false>(s);
    append(s.substr(0, clean));
    if (clean == s.size()) return;
    const auto c = static_cast<unsigned char>(s[clean]);
    if (c == '"' || c == '\\') {
      append('\\');
      append(char(c));
    } else {
      const char escape[] = {'\\', 'x', kHex[c >> 4], kHex[c & 15]};
      append({escape, sizeof escape});
    }
    s.remove_prefix(clean + 1);
  }
}

void FormatOutput::appendJsonByte(unsigned char c) {
  switch (c) {
    case '"':
      return append("\\\"");
    case '\\':
      return append("\\\\");
    case '\n':
      return append("\\n");
    case '\r':
      return append("\\r");
    case '\t':
      return append("\\t");
    default:
      break;
  }
  const char escape[] = {'\\', 'u', '0', '0', kHex[c >> 4], kHex[c & 15]};
  append({escape, sizeof escape});
}

void FormatOutput::appendJson(std::string_view s) {
  for (;;) {
    const size_t clean = cleanPrefix<true>(s);
    append(s.substr(0, clean));
    if (clean == s.size()) return;
    s.remove_prefix(clean);
    const auto c = static_cast<unsigned char>(s[0]);
    if (c < 0x80) {
      appendJsonByte(c);
      s.remove_prefix(1);
      continue;
    }
    const size_t length = utf8Length(s);
    append(length == 0 ? std::string_view("\\ufffd") : s.substr(0, length));
    s.remove_prefix(length == 0 ? 1 : length);
  }
}

}  // namespace millrace
