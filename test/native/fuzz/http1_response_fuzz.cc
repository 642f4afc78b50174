// Responses: as http1_request_fuzz.cc.
#include <cstddef>
#include <cstdint>

#include "fuzz_support.h"
#include "http/http1_encoder.h"

using namespace millrace;
using namespace millrace::fuzz;

namespace {

using Parsed = std::pair<ParseState, std::string>;

void reencode(ChunkPool& pool, ResponseHead& head, Method method) {
  bool chunked = head.framing == BodyFraming::kChunked;
  std::string out(responseHeadBound(head), '\0');
  WireBody body = chunked            ? WireBody::chunked()
                  : head.lengthKnown ? WireBody::ofLength(head.contentLength)
                                     : WireBody::none();
  std::string number = std::to_string(head.contentLength);  // rendered, however it came
  if (head.lengthKnown) head.headers.set(HeaderId::kContentLength, number);
  WireConnection connection =
      head.framing == BodyFraming::kUntilClose ? WireConnection::kClose : WireConnection::kNone;
  out.resize(size_t(writeResponseHead(out.data(), head, body, connection, false) - out.data()));
  Exact exact(out);
  Arena arena(pool);
  ResponseHead again(arena);
  ParseProgress progress;
  ParseResult result = parseResponseHead(exact.view(), {1 << 20, 200}, method, progress, again);
  MR_ASSERT(result.state == ParseState::kDone && result.consumed == out.size());
  MR_ASSERT(again.status == head.status && again.framing == head.framing);
  MR_ASSERT(again.reason == (head.reason.empty() ? reasonPhrase(head.status) : head.reason));
  if (head.framing == BodyFraming::kLength) MR_ASSERT(again.contentLength == head.contentLength);
  MR_ASSERT(again.keepAlive == (connection == WireConnection::kNone));
  for (HeaderId id :
       {HeaderId::kConnection, HeaderId::kKeepAlive, HeaderId::kProxyConnection, HeaderId::kTe,
        HeaderId::kTransferEncoding, HeaderId::kUpgrade, HeaderId::kTrailer}) {
    head.headers.remove(id);
    again.headers.remove(id);
  }
  MR_ASSERT(text(again.headers) == text(head.headers));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  Method method = data[0] & 1 ? Method::kHead : Method::kGet;
  ParseLimits limits{ParseLimits::kResponseHeadBytes, ParseLimits::kHeaders};
  if (data[0] & 2) limits = {200, 5};
  size_t cut = data[1], step = 1 + (data[0] >> 2);
  std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  ChunkPool pool;
  auto parse = [&](std::string_view b, ParseProgress& progress) -> Parsed {
    Exact exact(b);
    Arena arena(pool);
    ResponseHead head(arena);
    ParseResult result = parseResponseHead(exact.view(), limits, method, progress, head);
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
    ResponseHead head(arena);
    progress = {};
    parseResponseHead(exact.view(), limits, method, progress, head);
    reencode(pool, head, method);
  }
  return 0;
}
