// Writes heads of HTTP/1 messages and the framing of chunks into memory of the caller, who asks for
// the bound first. Drops the hop-by-hop fields that arrived (RFC 9110 §7.6.1) and writes its own
// framing. Pure functions: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/headers.h"

namespace millrace {

// How the body that follows is framed. It alone makes Content-Length and Transfer-Encoding: what
// the list holds of them is not written, but for the spelling and the place of a Content-Length.
struct WireBody {
  enum class Kind : uint8_t {
    kNone,     // neither field is written
    kLength,   // Content-Length, rendered from `length`
    kChunked,  // "transfer-encoding: chunked"
  };
  Kind kind = Kind::kNone;
  uint64_t length = 0;  // bytes

  static constexpr WireBody none() { return {}; }
  static constexpr WireBody ofLength(uint64_t bytes) { return {Kind::kLength, bytes}; }
  static constexpr WireBody chunked() { return {Kind::kChunked, 0}; }
};

// The Connection field of a response.
enum class WireConnection : uint8_t { kNone, kClose, kKeepAlive };

// At most so many bytes are written by writeRequestHead / writeResponseHead for this head.
size_t requestHeadBound(const RequestHead& head);
size_t responseHeadBound(const ResponseHead& head);

// Each returns the end of what it wrote. `trailers`: whether the hop carries trailers; then "TE:
// trailers" and Trailer are passed on. Names and values are written as they are: whoever adds a
// field answers for its bytes.
//
// The request line is in origin form ("*" as it is, and for head.wholeServer; CONNECT: authority
// form), HTTP/1.1, with Host from head.authority first.
char* writeRequestHead(char* out, const RequestHead& head, WireBody body, bool trailers);
// The status line says HTTP/1.1 (RFC 9110 §6.2: the sender's version).
char* writeResponseHead(char* out, const ResponseHead& head, WireBody body,
                        WireConnection connection, bool trailers);

// A chunk is its head, the data, and kChunkEnd.
constexpr size_t kChunkHeadMax = 18;  // 16 hexadecimal digits and CRLF
size_t chunkHeadSize(uint64_t size);
char* writeChunkHead(char* out, uint64_t size);
inline constexpr std::string_view kChunkEnd = "\r\n";
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

// "0" CRLF, the trailer section and its empty line. What is not allowed there is left out
// (trailer_fields.h).
size_t lastChunkBound(const HeaderList& trailers);
char* writeLastChunk(char* out, const HeaderList& trailers);

}  // namespace millrace
