// The end of a message's body: by Content-Length, by the chunked coding, or by the end of the
// connection (RFC 9112 §6, §7). Gives slices of the bytes that it is fed, without copying them.
//
//   chunked:  size ─extensions─▶ size-LF ─▶ data ─▶ data-CR ─▶ data-LF ─▶ size …
//                                   └─ size 0 ─▶ trailer lines ─ empty line ─▶ done
//
// Thread rule: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/headers.h"

namespace millrace {

class BodyDecoder {
 public:
  static constexpr uint32_t kChunkLineBytes =
      1024;  // a size line with its extensions, which nobody uses
  static constexpr uint32_t kTrailerLineBytes =
      8 * 1024;  // looked at again with each new byte, so kept short
  static constexpr uint32_t kTrailerBytes = 60 * 1024;  // the whole section; as for the head
  static constexpr uint16_t kTrailers = 100;

  enum class Kind : uint8_t {
    kMore,   // all was consumed that can be; the body goes on
    kData,   // `data`; `end`: the last of the body
    kEnd,    // the body is over (and its trailers are in the list)
    kError,  // `detail` says why; the decoder must not be used any more
  };
  struct Step {
    Kind kind = Kind::kMore;
    bool end = false;
    size_t consumed = 0;  // of the bytes given
    std::string_view data;
    const char* detail = nullptr;
  };

  // Readies for the body of a message. `length` counts only with kLength.
  void start(BodyFraming framing, uint64_t length);
  // The next step from `bytes`, which start behind what was consumed before. Valid trailers are
  // copied into `trailers`, or dropped when it is null. After kData without `end` call again with
  // the rest.
  Step next(std::string_view bytes, HeaderList* trailers);

  bool done() const { return state_ == State::kDone; }
  // Whether the end of the connection is the end of this body.
  bool endsAtClose() const { return state_ == State::kUntilClose; }

 private:
  enum class State : uint8_t {
    kDone,
    kFailed,
    kLength,
    kUntilClose,
    kData,
    kDataCr,
    kDataLf,
    kTrailer,
    kSizeFirst,
    kSize,
    kSizeSpace,
    kSizeLf,
    kExtNameFirst,
    kExtName,
    kExtNameSpace,
    kExtValueFirst,
    kExtToken,
    kExtQuoted,
    kExtEscape,
    kExtQuotedEnd,
    kExtSpace,
  };
  Step fail(const char* detail, size_t consumed);
  Step data(std::string_view bytes, size_t used, State after);
  const char* sizeLine(std::string_view bytes, size_t& used);
  bool extensionByte(char c);
  bool extensionAfter(char c, State space, bool valueAllowed);
  Step trailerLine(std::string_view bytes, size_t used, HeaderList* trailers);

  uint64_t left_ =
      0;  // bytes of the body or of the chunk still to come; while in a size line: the size so far
  uint32_t lineBytes_ = 0;  // of the size line; of the trailer section
  uint16_t trailers_ = 0;
  State state_ = State::kDone;
  uint8_t digits_ = 0;
};

}  // namespace millrace
