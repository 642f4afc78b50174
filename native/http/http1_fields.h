// What the start line and the fields of an HTTP/1 head mean together: target, host, framing,
// connection options (RFC 9112 §3.2, §6, §9.3). For http1_parser.cc only. Pure functions: any
// thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/headers.h"
#include "http/http1_parser.h"

namespace millrace {

// The fields that decide, remembered while the lines are read.
struct FramingFields {
  std::string_view host, contentLength, transferEncoding;
  uint16_t hosts = 0, contentLengths = 0, transferEncodings = 0;
  bool connection = false, expect = false;

  void take(HeaderId id, std::string_view value) {
    if ((kWatched >> uint8_t(id)) & 1) takeWatched(id, value);
  }

 private:
  static constexpr uint64_t kWatched =
      uint64_t(1) << uint8_t(HeaderId::kHost) | uint64_t(1) << uint8_t(HeaderId::kContentLength) |
      uint64_t(1) << uint8_t(HeaderId::kTransferEncoding) |
      uint64_t(1) << uint8_t(HeaderId::kConnection) | uint64_t(1) << uint8_t(HeaderId::kExpect);
  void takeWatched(HeaderId id, std::string_view value);
};

// What is wrong, or status 0.
struct FieldError {
  uint16_t status = 0;
  const char* detail = nullptr;
};

// The four forms of RFC 9112 §3.2. Fills in path, authority and scheme of `out`, unless it is null.
bool parseTarget(std::string_view target, Method method, bool allowAbsolute, RequestHead* out);

// uri-host [ ":" port ]
bool validAuthority(std::string_view authority, bool portRequired);

// After the last line: host, framing, connection options and what they remove.
FieldError finishRequest(const FramingFields& fields, RequestHead& out);
FieldError finishResponse(const FramingFields& fields, Method requestMethod, ResponseHead& out);

}  // namespace millrace
