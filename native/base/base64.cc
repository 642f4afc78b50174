#include "base/base64.h"

#include <array>
#include <cstdint>

namespace millrace {

namespace {

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint8_t kNone = 255;

constexpr std::array<uint8_t, 256> reversed() {
  std::array<uint8_t, 256> values{};
  values.fill(kNone);
  for (uint8_t i = 0; i < 64; i++) values[uint8_t(kAlphabet[i])] = i;
  return values;
}
constexpr std::array<uint8_t, 256> kValues = reversed();

}  // namespace

void encodeBase64(std::string_view data, char* out) {
  for (size_t i = 0; i < data.size(); i += 3) {
    size_t left = data.size() - i;
    uint32_t bits = uint32_t(uint8_t(data[i])) << 16;
    if (left > 1) bits |= uint32_t(uint8_t(data[i + 1])) << 8;
    if (left > 2) bits |= uint8_t(data[i + 2]);
    *out++ = kAlphabet[bits >> 18];
    *out++ = kAlphabet[bits >> 12 & 63];
    *out++ = left > 1 ? kAlphabet[bits >> 6 & 63] : '=';
    *out++ = left > 2 ? kAlphabet[bits & 63] : '=';
  }
}

bool decodeBase64(std::string_view text, char* out, size_t& size) {
  size = 0;
  if (text.size() % 4 != 0) return false;
  for (size_t i = 0; i < text.size(); i += 4) {
    std::string_view four = text.substr(i, 4);
    size_t padding = 0;
    if (i + 4 == text.size()) padding = four[3] != '=' ? 0 : four[2] != '=' ? 1 : 2;
    uint32_t bits = 0;
    for (size_t k = 0; k < 4; k++) {
      uint8_t value = k < 4 - padding ? kValues[uint8_t(four[k])] : 0;
      if (value == kNone) return false;
      bits = bits << 6 | value;
    }
    // Bits that stand for nothing are 0.
    if ((bits & (padding == 2 ? 0xffff : padding == 1 ? 0xff : 0)) != 0) return false;
    out[size++] = char(bits >> 16);
    if (padding < 2) out[size++] = char(bits >> 8);
    if (padding < 1) out[size++] = char(bits);
  }
  return true;
}

}  // namespace millrace
