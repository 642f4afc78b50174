// Lines of a head, one after the other; then what the fields say together (http1_fields.cc).
#include "http/http1_parser.h"

#include <cstring>

#include "base/scan.h"
#include "http/http1_fields.h"

namespace millrace {

namespace {

// What became of a line.
enum class Line : uint8_t { kOk, kEndOfHead, kCut, kBad };

constexpr std::string_view kVersionEnd = " HTTP/1.1\r\n";

// Reads lines from `p`. After kBad, status and detail say why.
struct Reader {
  const char* p;
  const char* end;
  uint16_t status = 400;
  const char* detail = nullptr;
  bool early = false;  // the error shows before its line is complete

  Line bad(const char* why, uint16_t code = 400) {
    detail = why;
    status = code;
    return Line::kBad;
  }
  Line badEarly(const char* why, uint16_t code = 400) {
    early = true;
    return bad(why, code);
  }
  // At a byte that ended a run: CRLF is consumed.
  Line crlf() {
    if (p == end) return Line::kCut;
    if (*p == '\n') return bad(details::kBareLineFeed);
    if (*p != '\r') return bad(details::kInvalidCharacters);
    if (p + 1 == end) return Line::kCut;
    if (p[1] != '\n') return bad(details::kBareCarriageReturn);
    p += 2;
    return Line::kOk;
  }
  // Inlined into the loop over the lines, where it keeps its place in registers.
  [[gnu::always_inline]] inline Line field(Header& out);
  Line requestLine(const ParseOptions& options, RequestHead* out);
  Line statusLine(ResponseHead* out);

 private:
  Line requestVersion(const ParseOptions& options, bool preface, RequestHead* out);
};

inline const char* trimEnd(const char* from, const char* to) {
  while (to != from && (to[-1] == ' ' || to[-1] == '\t')) to--;
  return to;
}

inline Line Reader::field(Header& out) {
  if (p == end) return Line::kCut;
  const char* name = p;
  p = scanToken(p, end);
  if (p == end) return Line::kCut;
  if (*p != ':' || p == name) {
    if (p != name) return bad(details::kInvalidHeaderName);
    if (*p == '\r') {
      Line line = crlf();
      return line == Line::kOk ? Line::kEndOfHead : line;
    }
    if (*p == ' ' || *p == '\t') return bad(details::kObsoleteFolding);
    return bad(*p == '\n' ? details::kBareLineFeed : details::kInvalidHeaderName);
  }
  out.name = {name, size_t(p - name)};
  p++;
  while (p != end && (*p == ' ' || *p == '\t')) p++;
  const char* value = p;
  p = scanValue(p, end);
  out.value = {value, size_t(trimEnd(value, p) - value)};
  return crlf();
}

Line Reader::requestLine(const ParseOptions& options, RequestHead* out) {
  const char* method = p;
  // The method is checked byte by byte as it comes: what is not HTTP at all shows at once.
  const char* methodEnd =
      end - p > ptrdiff_t(ParseLimits::kMethodBytes) ? p + ParseLimits::kMethodBytes + 1 : end;
  p = scanToken(p, methodEnd);
  size_t methodSize = size_t(p - method);
  if (methodSize > ParseLimits::kMethodBytes) return badEarly(details::kMethodTooLong, 501);
  if (p == end) return Line::kCut;
  if (*p != ' ' || methodSize == 0) return badEarly(details::kInvalidMethod);
  const char* target = ++p;
  p = scanTarget(p, end);
  if (p == end) return Line::kCut;
  if (*p != ' ' || p == target) return bad(details::kInvalidUrl);
  std::string_view methodText(method, methodSize), targetText(target, size_t(p - target));
  Line line = requestVersion(options, methodText == "PRI" && targetText == "*", out);
  if (line != Line::kOk) return line;
  Method known = parseMethod(methodText);
  if (!parseTarget(targetText, known, options.allowAbsoluteUrl, out)) {
    return bad(details::kInvalidUrl);
  }
  if (out != nullptr) {
    out->method = known;
    out->methodText = methodText;
  }
  return Line::kOk;
}

// At the space in front of the version.
Line Reader::requestVersion(const ParseOptions& options, bool preface, RequestHead* out) {
  if (size_t(end - p) >= kVersionEnd.size() &&
      std::memcmp(p, kVersionEnd.data(), kVersionEnd.size()) == 0) {
    p += kVersionEnd.size();
    if (out != nullptr) out->version = 11;
    return Line::kOk;
  }
  const char* version = p + 1;
  const char* lf = scanLineFeed(version, end);
  if (lf == end) return Line::kCut;
  p = lf;
  std::string_view text(version, size_t(lf - version));
  if (text.empty() || text.back() != '\r') return bad(details::kBareLineFeed);
  text.remove_suffix(1);
  if (text.find('\r') != std::string_view::npos) return bad(details::kBareCarriageReturn);
  p++;
  if (text == "HTTP/1.0") {
    if (!options.acceptHttp10) return bad(details::kLowVersion, 426);
    if (out != nullptr) out->version = 10;
    return Line::kOk;
  }
  bool wellFormed = text.size() == 8 && text.substr(0, 5) == "HTTP/" && text[6] == '.' &&
                    isByte(text[5], kByteDigit) && isByte(text[7], kByteDigit);
  if (!wellFormed) return bad(details::kInvalidVersion);
  return bad(preface ? details::kHttp2Preface : details::kInvalidVersion, 505);
}

Line Reader::statusLine(ResponseHead* out) {
  constexpr std::string_view kProtocol = "HTTP/1.";
  size_t have = size_t(end - p);
  size_t compare = have < kProtocol.size() ? have : kProtocol.size();
  if (std::memcmp(p, kProtocol.data(), compare) != 0) return badEarly(details::kInvalidVersion);
  bool known = have > 8 && (p[7] == '0' || p[7] == '1') && p[8] == ' ';
  if (have < 13) {  // "HTTP/1.1 200" and one byte more
    if (scanLineFeed(p, end) == end) return Line::kCut;
    return bad(known ? details::kInvalidStatus : details::kInvalidVersion);
  }
  if (!known) return bad(details::kInvalidVersion);
  for (int i = 9; i < 12; i++) {
    if (!isByte(p[i], kByteDigit)) return bad(details::kInvalidStatus);
  }
  int status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
  if (status < 100) return bad(details::kInvalidStatus);
  uint8_t version = p[7] == '1' ? 11 : 10;
  p += 12;
  // RFC 9112 §4 wants the space even without a phrase; servers that leave it out are understood
  // alike by all.
  if (*p != ' ' && *p != '\r') return bad(details::kInvalidStatus);
  const char* reason = *p == ' ' ? p + 1 : p;
  p = scanValue(reason, end);
  if (out != nullptr) {
    out->version = version;
    out->status = uint16_t(status);
    out->reason = {reason, size_t(trimEnd(reason, p) - reason)};
  }
  return crlf();
}

// The two kinds of head, so that the rest is written once.
struct RequestTraits {
  using Head = RequestHead;
  static constexpr bool kListsHost = false;
  const ParseOptions& options;
  Line start(Reader& r, Head* out) const { return r.requestLine(options, out); }
  FieldError finish(const FramingFields& fields, Head& out) const {
    return finishRequest(fields, out);
  }
};
struct ResponseTraits {
  using Head = ResponseHead;
  static constexpr bool kListsHost = true;
  Method requestMethod;
  Line start(Reader& r, Head* out) const { return r.statusLine(out); }
  FieldError finish(const FramingFields& fields, Head& out) const {
    return finishResponse(fields, requestMethod, out);
  }
};

ParseResult error(uint16_t status, const char* detail) {
  return {ParseState::kError, status, 0, detail};
}

// One head, read from as much of it as there is and as the limit allows.
template <typename Traits>
struct HeadParser {
  std::string_view bytes;
  const Traits& traits;
  uint32_t headersMax;
  ParseProgress& progress;

  ParseResult run(typename Traits::Head& out) {
    if (bytes.size() <= progress.scanned) return {};  // nothing new
    if (progress.scanned != 0) {
      ParseResult lines = resume();
      if (lines.state != ParseState::kDone) return lines;
    }
    ParseResult whole = parse(out);
    if (whole.state != ParseState::kDone) out.clear();
    return whole;
  }

 private:
  const char* end() const { return bytes.data() + bytes.size(); }
  ParseResult partial(const char* line, uint32_t lines) {
    progress.lineStart = uint32_t(line - bytes.data());
    progress.scanned = uint32_t(bytes.size());
    progress.lines = uint16_t(lines);
    return {};
  }
  // An error counts when its line is complete, so that it does not depend on how the bytes were
  // split.
  ParseResult badLine(const Reader& r, const char* line, uint32_t lines) {
    if (!r.early && scanLineFeed(line, end()) == end()) return partial(line, lines);
    return error(r.status, r.detail);
  }

  // Goes on behind the lines that are known to be valid, without keeping anything. kDone: the head
  // is complete.
  ParseResult resume() {
    const char* line = bytes.data() + progress.lineStart;
    uint32_t lines = progress.lines;
    if (scanLineFeed(bytes.data() + progress.scanned, end()) == end()) {
      progress.scanned = uint32_t(bytes.size());
      return lines == 0 ? earlyErrors() : ParseResult();
    }
    Reader r{line, end()};
    Header ignored;
    while (true) {
      Line got = lines == 0 ? traits.start(r, nullptr) : r.field(ignored);
      if (got == Line::kEndOfHead) return {ParseState::kDone, 0, 0, nullptr};
      if (got == Line::kCut) return partial(line, lines);
      if (got == Line::kBad) return badLine(r, line, lines);
      if (lines++ > headersMax) return error(431, details::kTooManyHeaders);
      line = r.p;
    }
  }

  // What shows in the first bytes of the start line.
  ParseResult earlyErrors() {
    size_t first = ParseLimits::kMethodBytes + 2;
    Reader r{bytes.data(), bytes.data() + (bytes.size() < first ? bytes.size() : first)};
    if (traits.start(r, nullptr) == Line::kBad && r.early) return error(r.status, r.detail);
    return {};
  }

  // The whole head at once, which is how nearly all arrive.
  ParseResult parse(typename Traits::Head& out) {
    Reader r{bytes.data(), end()};
    const char* line = r.p;
    uint32_t lines = 0;
    FramingFields fields;
    Header h;
    Line got = traits.start(r, &out);
    while (got == Line::kOk) {
      if (lines++ > headersMax) return error(431, details::kTooManyHeaders);
      line = r.p;
      got = r.field(h);
      if (got != Line::kOk) break;
      h.id = headerId(h.name);
      fields.take(h.id, h.value);
      if (Traits::kListsHost || h.id != HeaderId::kHost) out.headers.add(h.name, h.value, h.id);
    }
    if (got == Line::kCut) return partial(line, lines);
    if (got == Line::kBad) return badLine(r, line, lines);
    FieldError wrong = traits.finish(fields, out);
    if (wrong.status != 0) return error(wrong.status, wrong.detail);
    out.raw = bytes.substr(0, size_t(r.p - bytes.data()));
    return {ParseState::kDone, 0, uint32_t(out.raw.size()), nullptr};
  }
};

template <typename Traits>
ParseResult parseHead(std::string_view bytes, const Traits& traits, const ParseLimits& limits,
                      ParseProgress& progress, typename Traits::Head& out) {
  bool full = bytes.size() >= limits.headBytes;
  HeadParser<Traits> parser{bytes.substr(0, limits.headBytes), traits, limits.headers, progress};
  ParseResult result = parser.run(out);
  if (result.state == ParseState::kPartial && full) return error(431, details::kHeadersTooLarge);
  return result;
}

}  // namespace

ParseResult parseRequestHead(std::string_view bytes, const ParseOptions& options,
                             ParseProgress& progress, RequestHead& out) {
  return parseHead(bytes, RequestTraits{options}, options.limits, progress, out);
}

ParseResult parseResponseHead(std::string_view bytes, const ParseLimits& limits,
                              Method requestMethod, ParseProgress& progress, ResponseHead& out) {
  return parseHead(bytes, ResponseTraits{requestMethod}, limits, progress, out);
}

size_t leadingEmptyLines(std::string_view bytes) {
  size_t n = 0;
  while (n + 1 < bytes.size() && bytes[n] == '\r' && bytes[n + 1] == '\n') n += 2;
  return n;
}

const char* parseTrailerLine(std::string_view line, Header& out) {
  const char* end = line.data() + line.size();
  const char* colon = scanToken(line.data(), end);
  if (colon == end || *colon != ':' || colon == line.data()) return details::kInvalidTrailer;
  const char* value = colon + 1;
  while (value != end && (*value == ' ' || *value == '\t')) value++;
  if (scanValue(value, end) != end) return details::kInvalidTrailer;
  out.name = {line.data(), size_t(colon - line.data())};
  out.value = {value, size_t(trimEnd(value, end) - value)};
  out.id = headerId(out.name);
  // Framing and routing are over when trailers come (RFC 9110 §6.5.1): an attempt to change them is
  // refused; what else has no business there is left out (trailer_fields.h).
  if (out.id == HeaderId::kContentLength || out.id == HeaderId::kTransferEncoding ||
      out.id == HeaderId::kHost) {
    return details::kInvalidTrailer;
  }
  return nullptr;
}

}  // namespace millrace
