// Load reports as protobuf in base64, decoded a byte at a time as the message is read.
#include <cmath>
#include <cstring>

#include "upstream/load_report_formats.h"

namespace millrace {

namespace {

int sextet(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

// The bytes of a text in base64, with padding or without.
class Base64Bytes {
 public:
  explicit Base64Bytes(std::string_view text) : text_(text) {
    if (text_.size() % 4 == 0) {
      for (int i = 0; i < 2 && text_.ends_with('='); i++) text_.remove_suffix(1);
    }
  }
  // False at the end, and when the rest is no base64.
  bool next(uint8_t& byte) {
    while (bits_ < 8) {
      int six = at_ < text_.size() ? sextet(text_[at_]) : -1;
      if (six < 0) return false;
      at_++;
      held_ = held_ << 6 | uint32_t(six);
      bits_ += 6;
    }
    bits_ -= 8;
    byte = uint8_t(held_ >> bits_);
    return true;
  }
  // Whether all was read, and what is left of the last character is nothing.
  bool ended() const {
    return at_ == text_.size() && bits_ < 6 && (held_ & ((1u << bits_) - 1)) == 0;
  }

 private:
  std::string_view text_;
  size_t at_ = 0;
  uint32_t held_ = 0;
  int bits_ = 0;
};

class ProtoReader {
 public:
  explicit ProtoReader(std::string_view base64) : bytes_(base64) {}

  bool report(LoadReport& report) {
    while (!bytes_.ended()) {
      uint64_t tag = 0;
      if (!varint(tag) || tag >> 3 == 0 || tag > UINT32_MAX) return false;
      double* field = fieldOf(tag >> 3, report);
      bool good = field != nullptr && (tag & 7) == 1 ? fixed(*field) : skip(tag & 7);
      if (!good) return false;
    }
    return true;
  }

 private:
  static double* fieldOf(uint64_t number, LoadReport& report) {
    switch (number) {
      case 1:
        return &report.cpuUtilization;
      case 6:
        return &report.rpsFractional;
      case 7:
        return &report.eps;
      case 9:
        return &report.applicationUtilization;
      default:
        return nullptr;
    }
  }

  bool varint(uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      uint8_t byte = 0;
      if (!bytes_.next(byte)) return false;
      if (shift == 63 && byte > 1) return false;
      value |= uint64_t(byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  bool fixed(double& value) {
    uint64_t bits = 0;
    for (int shift = 0; shift < 64; shift += 8) {
      uint8_t byte = 0;
      if (!bytes_.next(byte)) return false;
      bits |= uint64_t(byte) << shift;
    }
    std::memcpy(&value, &bits, sizeof value);
    return std::isfinite(value);
  }

  bool pass(uint64_t count) {
    uint8_t byte = 0;
    // A count beyond the text ends with the text.
    for (; count > 0; count--) {
      if (!bytes_.next(byte)) return false;
    }
    return true;
  }

  bool skip(uint64_t wireType) {
    uint64_t number = 0;
    switch (wireType) {
      case 0:
        return varint(number);
      case 1:
        return pass(8);
      case 2:
        return varint(number) && pass(number);
      case 5:
        return pass(4);
      default:
        return false;  // groups, which nobody writes any more
    }
  }

  Base64Bytes bytes_;
};

}  // namespace

bool readBinaryReport(std::string_view base64, LoadReport& report) {
  LoadReport read;
  if (!ProtoReader(base64).report(read)) return false;
  report = read;
  return true;
}

}  // namespace millrace
