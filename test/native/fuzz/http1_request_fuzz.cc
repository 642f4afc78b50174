// Requests: whole = split anywhere = in small pieces; what was accepted, written by the encoder, is
// read back as the same. The first two bytes of the input choose options and cuts.
#include <cstddef>
#include <cstdint>

#include "fuzz_support.h"
#include "http/http1_encoder.h"

using namespace millrace;
using namespace millrace::fuzz;

namespace {

using Parsed = std::pair<ParseState, std::string>;

// Reads back what the encoder makes of `head`: all is the same but for what belongs to one hop.
void reencode(ChunkPool& pool, RequestHead& head) {
  bool listed = head.headers.has(HeaderId::kContentLength);
  bool chunked = head.framing == BodyFraming::kChunked;
  std::string out(requestHeadBound(head), '\0');
  bool length = head.framing == BodyFraming::kLength;
  WireBody body = chunked  ? WireBody::chunked()
                  : length ? WireBody::ofLength(head.contentLength)
                           : WireBody::none();
  std::string number = std::to_string(head.contentLength);  // rendered, however it came
  if (length) head.headers.set(HeaderId::kContentLength, number);
  out.resize(size_t(writeRequestHead(out.data(), head, body, false) - out.data()));
  Exact exact(out);
  Arena arena(pool);
  RequestHead again(arena);
  ParseProgress progress;
  ParseOptions options;
  options.limits.headBytes = 1 << 20;
  ParseResult result = parseRequestHead(exact.view(), options, progress, again);
  if (head.authority.empty()) {  // HTTP/1.0 without Host: an empty Host, which a server refuses
    MR_ASSERT(result.state == ParseState::kError);
    return;
  }
  MR_ASSERT(result.state == ParseState::kDone && result.consumed == out.size());
  MR_ASSERT(again.methodText == head.methodText && again.authority == head.authority);
  MR_ASSERT(again.path == (head.wholeServer ? "*" : head.path) && again.scheme.empty());
  MR_ASSERT(again.framing == head.framing && again.contentLength == head.contentLength);
  MR_ASSERT(again.headers.has(HeaderId::kContentLength) == listed);
  for (HeaderId id :
       {HeaderId::kConnection, HeaderId::kKeepAlive, HeaderId::kProxyConnection, HeaderId::kTe,
        HeaderId::kTransferEncoding, HeaderId::kUpgrade, HeaderId::kTrailer}) {
    head.headers.remove(id);
    if (id != HeaderId::kTransferEncoding || !chunked) MR_ASSERT(!again.headers.has(id));
    again.headers.remove(id);
  }
  MR_ASSERT(text(again.headers) == text(head.headers));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  ParseOptions options;
  options.acceptHttp10 = data[0] & 1;
  options.allowAbsoluteUrl = !(data[0] & 2);
  if (data[0] & 4) options.limits = {200, 5};
  size_t cut = data[1], step = 1 + (data[0] >> 3);
  std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  ChunkPool pool;
  auto parse = [&](std::string_view b, ParseProgress& progress) -> Parsed {
    Exact exact(b);
    Arena arena(pool);
    RequestHead head(arena);
    ParseResult result = parseRequestHead(exact.view(), options, progress, head);
    MR_ASSERT(result.state == ParseState::kDone || head.headers.empty());
    return {result.state, text(result) + text(head)};
  };
  ParseProgress progress;
  Parsed whole = parse(bytes, progress);
  compareSplits(bytes, cut, step, whole.second, parse);
  compareScanners(Exact(bytes).view());
  if (whole.first == ParseState::kDone) {
    Exact exact(bytes);
    Arena arena(pool);
    RequestHead head(arena);
    progress = {};
    parseRequestHead(exact.view(), options, progress, head);
    reencode(pool, head);
  }
  return 0;
}
