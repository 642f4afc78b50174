// See body_decoder.h. Size lines are read byte by byte, so that they may be split anywhere; trailer
// lines are whole lines.
#include "http/body_decoder.h"

#include "base/assert.h"
#include "base/scan.h"
#include "http/http1_parser.h"

namespace millrace {

namespace {

constexpr uint8_t kSizeDigits = 16;
// Sums of sizes stay far from overflow.
constexpr uint64_t kChunkMax = uint64_t(1) << 62;

inline unsigned hexValue(char c) {
  return unsigned(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}
inline bool isSpace(char c) {
  return c == ' ' || c == '\t';
}

}  // namespace

void BodyDecoder::start(BodyFraming framing, uint64_t length) {
  left_ = 0;
  lineBytes_ = 0;
  trailers_ = 0;
  digits_ = 0;
  switch (framing) {
    case BodyFraming::kNone:
      state_ = State::kDone;
      break;
    case BodyFraming::kLength:
      left_ = length;
      state_ = length == 0 ? State::kDone : State::kLength;
      break;
    case BodyFraming::kChunked:
      state_ = State::kSizeFirst;
      break;
    case BodyFraming::kUntilClose:
      state_ = State::kUntilClose;
      break;
  }
}

BodyDecoder::Step BodyDecoder::fail(const char* detail, size_t consumed) {
  state_ = State::kFailed;
  return {Kind::kError, false, consumed, {}, detail};
}

// The data at bytes[used…]; `after` is the state when all of `left_` was seen.
BodyDecoder::Step BodyDecoder::data(std::string_view bytes, size_t used, State after) {
  std::string_view slice = bytes.substr(used, left_ < bytes.size() - used ? left_ : bytes.npos);
  left_ -= slice.size();
  if (left_ == 0) state_ = after;
  return {Kind::kData, state_ == State::kDone, used + slice.size(), slice, nullptr};
}

BodyDecoder::Step BodyDecoder::next(std::string_view bytes, HeaderList* trailers) {
  size_t used = 0;
  while (true) {
    if (state_ == State::kDone) return {Kind::kEnd, true, used, {}, nullptr};
    if (used == bytes.size()) return {Kind::kMore, false, used, {}, nullptr};
    switch (state_) {
      case State::kLength:
        return data(bytes, used, State::kDone);
      case State::kUntilClose:
        return {Kind::kData, false, bytes.size(), bytes, nullptr};
      case State::kData:
        return data(bytes, used, State::kDataCr);
      case State::kDataCr:
        if (bytes[used++] != '\r') return fail(details::kInvalidChunkEnd, used);
        state_ = State::kDataLf;
        break;
      case State::kDataLf:
        if (bytes[used++] != '\n') return fail(details::kInvalidChunkEnd, used);
        state_ = State::kSizeFirst;
        break;
      case State::kTrailer: {
        size_t before = used;
        Step step = trailerLine(bytes, used, trailers);
        if (step.kind == Kind::kError || step.consumed == before) return step;
        used = step.consumed;
        break;
      }
      case State::kFailed:
      case State::kDone:
        MR_DASSERT(false);
        return {Kind::kError, false, used, {}, details::kCodecError};
      default:
        if (const char* wrong = sizeLine(bytes, used)) return fail(wrong, used);
        break;
    }
  }
}

// chunk-size [ chunk-ext ] CRLF (RFC 9112 §7.1): one byte a turn until the line or the bytes end.
const char* BodyDecoder::sizeLine(std::string_view bytes, size_t& used) {
  const char* const badSize = details::kInvalidChunkSize;
  const char* const badExt = details::kInvalidChunkExtension;
  while (used < bytes.size()) {
    char c = bytes[used++];
    if (++lineBytes_ > kChunkLineBytes) return badExt;
    switch (state_) {
      case State::kSizeFirst:
        left_ = 0;
        lineBytes_ = 1;
        digits_ = 0;
        state_ = State::kSize;
        [[fallthrough]];
      case State::kSize:
        if (isByte(c, kByteHex)) {
          if (++digits_ > kSizeDigits || left_ >= kChunkMax >> 4) return badSize;
          left_ = left_ << 4 | hexValue(c);
          break;
        }
        if (digits_ == 0) return badSize;
        [[fallthrough]];
      case State::kSizeSpace:  // BWS is allowed only in front of ";"
        if (c == ';')
          state_ = State::kExtNameFirst;
        else if (isSpace(c))
          state_ = State::kSizeSpace;
        else if (c == '\r' && state_ == State::kSize)
          state_ = State::kSizeLf;
        else
          return badSize;
        break;
      default:
        if (!extensionByte(c)) return badExt;
        break;
      case State::kSizeLf:
        if (c != '\n') return badSize;
        state_ = left_ == 0 ? State::kTrailer : State::kData;
        lineBytes_ = 0;
        return nullptr;
    }
  }
  return nullptr;
}

// *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] ) (RFC 9112 §7.1.1); checked, then
// dropped.
bool BodyDecoder::extensionByte(char c) {
  switch (state_) {
    case State::kExtNameFirst:
      if (isSpace(c)) return true;
      state_ = State::kExtName;
      return isByte(c, kByteToken);
    case State::kExtName:
      if (isByte(c, kByteToken)) return true;
      return extensionAfter(c, State::kExtNameSpace, true);
    case State::kExtNameSpace:
      if (isSpace(c)) return true;
      if (c == '\r') return false;
      return extensionAfter(c, State::kExtNameSpace, true);
    case State::kExtValueFirst:
      if (isSpace(c)) return true;
      state_ = c == '"' ? State::kExtQuoted : State::kExtToken;
      return c == '"' || isByte(c, kByteToken);
    case State::kExtToken:
      if (isByte(c, kByteToken)) return true;
      return extensionAfter(c, State::kExtSpace, false);
    case State::kExtQuoted:
      if (c == '"')
        state_ = State::kExtQuotedEnd;
      else if (c == '\\')
        state_ = State::kExtEscape;
      else
        return isByte(c, kByteQuoted);
      return true;
    case State::kExtEscape:
      state_ = State::kExtQuoted;
      return isByte(c, kByteValue);
    case State::kExtQuotedEnd:
      return extensionAfter(c, State::kExtSpace, false);
    case State::kExtSpace:
      if (isSpace(c)) return true;
      return c == ';' && extensionAfter(c, State::kExtSpace, false);
    default:
      return false;
  }
}

// Behind a name or a value.
bool BodyDecoder::extensionAfter(char c, State space, bool valueAllowed) {
  if (c == ';')
    state_ = State::kExtNameFirst;
  else if (c == '=' && valueAllowed)
    state_ = State::kExtValueFirst;
  else if (isSpace(c))
    state_ = space;
  else if (c == '\r')
    state_ = State::kSizeLf;
  else
    return false;
  return true;
}

// A line of the trailer section, if it is complete; else nothing is consumed.
BodyDecoder::Step BodyDecoder::trailerLine(std::string_view bytes, size_t used,
                                           HeaderList* trailers) {
  const char* line = bytes.data() + used;
  const char* end = bytes.data() + bytes.size();
  const char* lf = scanLineFeed(line, end);
  size_t size = size_t(lf - line);
  if (size > kTrailerLineBytes || lineBytes_ + size > kTrailerBytes) {
    return fail(details::kTrailersTooLarge, used);
  }
  if (lf == end) return {Kind::kMore, false, used, {}, nullptr};
  if (size == 0 || lf[-1] != '\r') return fail(details::kBareLineFeed, used);
  used += size + 1;
  lineBytes_ += uint32_t(size + 1);
  if (size == 1) {
    state_ = State::kDone;
    return {Kind::kEnd, true, used, {}, nullptr};
  }
  Header h;
  if (const char* wrong = parseTrailerLine({line, size - 1}, h)) return fail(wrong, used);
  if (++trailers_ > kTrailers) return fail(details::kTrailersTooLarge, used);
  if (trailers != nullptr) {
    Arena& arena = trailers->arena();
    trailers->add(arena.copy(h.name), arena.copy(h.value), h.id);
  }
  return {Kind::kMore, false, used, {}, nullptr};
}

}  // namespace millrace
