// Chunked bodies: whole = in pieces, and what was decoded, encoded again, decodes to the same.
// The first two bytes of the input choose the pieces.
#include <cstddef>
#include <cstdint>

#include "fuzz_support.h"
#include "http/body_decoder.h"
#include "http/http1_encoder.h"

using namespace millrace;
using namespace millrace::fuzz;

namespace {

struct Decoded {
  std::string data, trailers;
  const char* error = nullptr;
  bool ended = false;
  size_t consumed = 0;
  std::string text() const {
    std::string end = error != nullptr ? error : ended ? "end" : "more";
    return data + "|" + trailers + "|" + end + (error != nullptr ? "" : std::to_string(consumed));
  }
};

// Feeds `bytes` so that each call sees at most `step` bytes more than the one before; the first
// sees `first`.
Decoded decode(ChunkPool& pool, std::string_view bytes, size_t first, size_t step) {
  Arena arena(pool);
  HeaderList trailers(arena);
  BodyDecoder decoder;
  decoder.start(BodyFraming::kChunked, 0);
  Decoded out;
  size_t seen = first < bytes.size() ? first : bytes.size();
  while (true) {
    Exact exact(bytes.substr(out.consumed, seen - out.consumed));
    std::string_view rest = exact.view();
    BodyDecoder::Step got;
    do {
      got = decoder.next(rest, &trailers);
      MR_ASSERT(got.consumed <= rest.size());
      out.data += got.data;
      out.consumed += got.consumed;
      rest.remove_prefix(got.consumed);
    } while (got.kind == BodyDecoder::Kind::kData);
    out.error = got.kind == BodyDecoder::Kind::kError ? got.detail : nullptr;
    out.ended = got.kind == BodyDecoder::Kind::kEnd;
    MR_ASSERT(out.ended == decoder.done());
    if (got.kind != BodyDecoder::Kind::kMore || seen == bytes.size()) break;
    seen = bytes.size() - seen > step ? seen + step : bytes.size();
  }
  out.trailers = text(trailers);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  size_t first = data[0], step = 1 + data[1] % 64;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  ChunkPool pool;
  Decoded whole = decode(pool, bytes, bytes.size(), 1);
  MR_ASSERT(decode(pool, bytes, first, bytes.size() + 1).text() == whole.text());
  MR_ASSERT(decode(pool, bytes, step, step).text() == whole.text());
  if (!whole.ended) return 0;

  std::string again;
  for (size_t at = 0; at < whole.data.size(); at += step) {
    std::string piece = whole.data.substr(at, step);
    char head[kChunkHeadMax];
    again.append(head, writeChunkHead(head, piece.size()));
    again.append(piece).append(kChunkEnd);
  }
  again.append(kLastChunk);
  Decoded second = decode(pool, again, again.size(), 1);
  MR_ASSERT(second.ended && second.data == whole.data && second.consumed == again.size());
  return 0;
}
