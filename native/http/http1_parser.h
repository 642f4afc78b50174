// Heads of HTTP/1 messages: stateless functions from bytes to a head of views into those bytes (RFC
// 9112 §2–§6). Strict: what two readers could understand differently is refused, not repaired.
// docs/http1-strictness.md lists each decision with its section. Pure functions: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/headers.h"

namespace millrace {

// Named limits; a message beyond one is refused.
struct ParseLimits {
  static constexpr uint32_t kRequestHeadBytes = 60 * 1024;   // Envoy's max_request_headers_kb
  static constexpr uint32_t kResponseHeadBytes = 80 * 1024;  // Envoy's limit of the upstream codec
  static constexpr uint16_t kHeaders = 100;                  // Envoy's max_headers_count
  static constexpr uint32_t kMethodBytes = 32;               // twice the longest registered method
  uint32_t headBytes = kRequestHeadBytes;  // the start line, the fields and the empty line
  uint16_t headers = kHeaders;
  bool operator==(const ParseLimits&) const = default;
};

struct ParseOptions {
  ParseLimits limits;
  bool acceptHttp10 = false;     // else HTTP/1.0 requests are refused with 426
  bool allowAbsoluteUrl = true;  // else an absolute-form target is refused with 400
};

enum class ParseState : uint8_t { kDone, kPartial, kError };

struct ParseResult {
  ParseState state = ParseState::kPartial;
  uint16_t status = 0;           // kError: the answer a server gives: 400, 426, 431, 501 or 505
  uint32_t consumed = 0;         // kDone: bytes of the head
  const char* detail = nullptr;  // kError: static, in the style of Envoy's response code details
};

// What is known of a head that is not complete yet, so that one arriving slowly costs time in
// proportion to its new bytes only. Starts zeroed; offsets, because the bytes may move between
// calls.
struct ParseProgress {
  uint32_t lineStart = 0;  // lines before it are complete and valid
  uint32_t scanned = 0;    // no LF in [lineStart, scanned)
  uint16_t lines = 0;      // complete lines, the start line included
};

// Parses the head that `bytes` starts with into `out`, which must be clear. kPartial: call again
// with the same bytes and more behind them, and the same `progress`. The result depends on the
// bytes only, not on how they were split, except that an error is reported with the byte that
// completes the line it is in (in the method: with the byte itself). Leaves out.headers untouched
// unless kDone.
ParseResult parseRequestHead(std::string_view bytes, const ParseOptions& options,
                             ParseProgress& progress, RequestHead& out);

// As above for a response to a request of method `requestMethod`, which decides about the body.
ParseResult parseResponseHead(std::string_view bytes, const ParseLimits& limits,
                              Method requestMethod, ParseProgress& progress, ResponseHead& out);

// How many bytes of CRLF precede a request (RFC 9112 §2.2: a server ignores empty lines before the
// request line).
size_t leadingEmptyLines(std::string_view bytes);

// One line of a trailer section without its CRLF. Null, or the error's detail.
const char* parseTrailerLine(std::string_view line, Header& out);

namespace details {  // the texts of ParseResult::detail
inline constexpr char kCodecError[] = "http1.codec_error";
inline constexpr char kInvalidCharacters[] = "http1.invalid_characters";
inline constexpr char kInvalidUrl[] = "http1.invalid_url";
inline constexpr char kInvalidHost[] = "http1.invalid_host";
inline constexpr char kMissingHost[] = "missing_host_header";
inline constexpr char kMultipleHosts[] = "http1.multiple_host_headers";
inline constexpr char kInvalidMethod[] = "http1.invalid_method";
inline constexpr char kMethodTooLong[] = "http1.method_too_long";
inline constexpr char kInvalidVersion[] = "http1.invalid_version";
inline constexpr char kLowVersion[] = "low_version";
inline constexpr char kHttp2Preface[] = "http1.http2_not_supported";
inline constexpr char kHeadersTooLarge[] = "http1.headers_too_large";
inline constexpr char kTooManyHeaders[] = "http1.too_many_headers";
inline constexpr char kTrailersTooLarge[] = "http1.trailers_too_large";
inline constexpr char kInvalidTrailer[] = "http1.invalid_trailer";
inline constexpr char kObsoleteFolding[] = "http1.obsolete_line_folding";
inline constexpr char kBareLineFeed[] = "http1.bare_line_feed";
inline constexpr char kBareCarriageReturn[] = "http1.bare_carriage_return";
inline constexpr char kInvalidHeaderName[] = "http1.invalid_header_name";
inline constexpr char kInvalidContentLength[] = "http1.invalid_content_length";
inline constexpr char kMultipleContentLengths[] = "http1.multiple_content_lengths";
inline constexpr char kInvalidTransferEncoding[] = "http1.invalid_transfer_encoding";
inline constexpr char kTransferEncodingNotAllowed[] = "http1.transfer_encoding_not_allowed";
inline constexpr char kContentLengthAndChunked[] = "http1.content_length_and_chunked_not_allowed";
inline constexpr char kInvalidConnection[] = "http1.connection_header_rejected";
inline constexpr char kConnectWithBody[] = "http1.content_length_not_allowed";
inline constexpr char kInvalidStatus[] = "http1.invalid_status";
inline constexpr char kInvalidChunkSize[] = "http1.invalid_chunk_size";
inline constexpr char kInvalidChunkExtension[] = "http1.invalid_chunk_extension";
inline constexpr char kInvalidChunkEnd[] = "http1.invalid_chunk_end";
inline constexpr char kBodyMismatch[] = "http1.body_differs_from_its_length";
inline constexpr char kUnexpectedTunnel[] = "http1.unexpected_tunnel";
inline constexpr char kSwitchingProtocols[] = "http1.unexpected_101";
inline constexpr char kTooManyInformational[] = "http1.too_many_1xx_responses";
inline constexpr char kUnexpectedResponse[] = "http1.response_without_request";
}  // namespace details

}  // namespace millrace
