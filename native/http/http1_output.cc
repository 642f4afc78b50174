#include "http/http1_output.h"

#include <cstring>

#include "http/http1_encoder.h"

namespace millrace {

namespace {

// Up to here copying is cheaper than another entry of a gathered write.
constexpr size_t kCopiedData = 512;
constexpr std::string_view kChunkEndAndLast = "\r\n0\r\n\r\n";

}  // namespace

void writeChunk(Connection& connection, std::string_view data, bool end) {
  if (data.empty()) {
    if (end) connection.write(kLastChunk);
    return;
  }
  std::string_view tail = end ? kChunkEndAndLast : kChunkEnd;
  bool copied = data.size() <= kCopiedData;
  size_t headSize = chunkHeadSize(data.size());
  char* out = connection.reserve(headSize + (copied ? data.size() + tail.size() : 0));
  out = writeChunkHead(out, data.size());
  if (!copied) {
    connection.write(data);
    connection.write(tail);
    return;
  }
  std::memcpy(out, data.data(), data.size());
  std::memcpy(out + data.size(), tail.data(), tail.size());
}

void writeTrailers(Connection& connection, const HeaderList& trailers) {
  size_t bound = lastChunkBound(trailers);
  char* out = connection.reserve(bound);
  char* end = writeLastChunk(out, trailers);
  connection.trimReserved(bound - size_t(end - out));
}

}  // namespace millrace
