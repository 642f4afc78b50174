// A bounded buffer that formats write into, with the escapes of text logs and of JSON. Internal to
// formats.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace millrace {

// Decimal digits of `value` at `out` (at least 20 bytes); returns their end.
char* putDecimal(char* out, uint64_t value);

// `value` as exactly `digits` decimal digits, with leading zeros; returns their end.
inline char* putPadded(char* out, uint32_t value, int digits) {
  for (int i = digits - 1; i >= 0; i--) {
    out[i] = char('0' + value % 10);
    value /= 10;
  }
  return out + digits;
}

class FormatOutput {
 public:
  FormatOutput(char* out, size_t cap) : begin_(out), p_(out), end_(out + cap) {}

  void append(std::string_view s) {
    if (s.empty()) return;  // its data may be null
    if (s.size() > size_t(end_ - p_)) [[unlikely]] {
      s = s.substr(0, size_t(end_ - p_));
      overflow_ = true;
    }
    std::memcpy(p_, s.data(), s.size());
    p_ += s.size();
  }
  void append(char c) { append(std::string_view(&c, 1)); }
  void appendDecimal(uint64_t value);
  // For a line of text: `"` and `\` with a backslash, control bytes as \xHH.
  void appendEscaped(std::string_view s);
  // For the inside of a JSON string (RFC 8259 §7); what is not UTF-8 becomes U+FFFD.
  void appendJson(std::string_view s);

  size_t size() const { return size_t(p_ - begin_); }
  void rewind(size_t size) { p_ = begin_ + size; }
  bool overflowed() const { return overflow_; }

 private:
  void appendJsonByte(unsigned char c);

  char* begin_;
  char* p_;
  char* end_;
  bool overflow_ = false;
};

}  // namespace millrace
