// What is written: framing, hop-by-hop fields, and that it is read back as what it was.
#include "http/http1_encoder.h"

#include <doctest/doctest.h>

#include <string>

#include "http/http1_parser.h"
#include "support/guarded.h"

using namespace millrace;

namespace {

struct Fixture {
  ChunkPool pool;
  Arena arena{pool};
  RequestHead request{arena};
  ResponseHead response{arena};
  std::string bytes;

  void parse(std::string text) {
    bytes = std::move(text);
    ParseProgress progress;
    CHECK(parseRequestHead(bytes, {}, progress, request).state == ParseState::kDone);
  }
  void parseAnswer(std::string text) {
    bytes = std::move(text);
    ParseProgress progress;
    CHECK(parseResponseHead(bytes, {}, Method::kGet, progress, response).state ==
          ParseState::kDone);
  }
  // Written into memory of exactly the bound's size, in front of an unmapped page.
  std::string written(WireBody body, bool trailers = false) {
    size_t bound = requestHeadBound(request);
    Guarded memory(std::string(bound, '?'));
    char* end = writeRequestHead(memory.data(), request, body, trailers);
    CHECK(size_t(end - memory.data()) <= bound);
    return {memory.data(), size_t(end - memory.data())};
  }
  std::string answer(WireBody body, WireConnection connection, bool trailers = false) {
    size_t bound = responseHeadBound(response);
    Guarded memory(std::string(bound, '?'));
    char* end = writeResponseHead(memory.data(), response, body, connection, trailers);
    CHECK(size_t(end - memory.data()) <= bound);
    return {memory.data(), size_t(end - memory.data())};
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a request is written in origin form with Host first") {
  parse("GET http://h:1/p?q HTTP/1.1\r\nA: b\r\nHost: other\r\nC:d\r\nE: \tf  \r\n\r\n");
  CHECK(written(WireBody::kAsListed) ==
        "GET /p?q HTTP/1.1\r\nhost: h:1\r\nA: b\r\nC: d\r\nE: f\r\n\r\n");
}

TEST_CASE_FIXTURE(Fixture, "hop-by-hop fields are dropped, wherever they are") {
  parse(
      "POST / HTTP/1.1\r\nConnection: keep-alive, X\r\nX: 1\r\nHost: h\r\nA: 1\r\nKeep-Alive: 5\r\n"
      "Proxy-Connection: close\r\nB: 2\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n"
      "Upgrade: websocket\r\nTrailer: T\r\nC: 3\r\n\r\n");
  CHECK(written(WireBody::kChunked) ==
        "POST / HTTP/1.1\r\nhost: h\r\nA: 1\r\nB: 2\r\nC: 3\r\ntransfer-encoding: chunked\r\n\r\n");
  CHECK(written(WireBody::kChunked, true) ==
        "POST / HTTP/1.1\r\nhost: h\r\nA: 1\r\nB: 2\r\nTrailer: T\r\nC: 3\r\n"
        "transfer-encoding: chunked\r\nte: trailers\r\nconnection: te\r\n\r\n");
}

TEST_CASE_FIXTURE(Fixture, "TE is passed on for trailers only") {
  parse("GET / HTTP/1.1\r\nHost: h\r\nTE: gzip\r\nTE: deflate;q=0.5,  Trailers\r\n\r\n");
  CHECK(written(WireBody::kNone, true) ==
        "GET / HTTP/1.1\r\nhost: h\r\nte: trailers\r\nconnection: te\r\n\r\n");
  request.clear();
  parse("GET / HTTP/1.1\r\nHost: h\r\nTE: gzip, trailersx\r\n\r\n");
  CHECK(written(WireBody::kNone, true) == "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
}

TEST_CASE_FIXTURE(Fixture, "framing is the caller's") {
  parse("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
  std::string start = "POST / HTTP/1.1\r\nhost: h\r\n";
  CHECK(written(WireBody::kAsListed) == start + "Content-Length: 5\r\n\r\n");
  CHECK(written(WireBody::kNone) == start + "\r\n");
  CHECK(written(WireBody::kZeroLength) == start + "content-length: 0\r\n\r\n");
  CHECK(written(WireBody::kChunked) == start + "transfer-encoding: chunked\r\n\r\n");
}

TEST_CASE_FIXTURE(Fixture, "changed lists are written as they are, stretch by stretch") {
  parse("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nHost: h\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\n\r\n");
  request.headers.remove("d");
  request.headers.set("B", "changed");
  request.headers.set("e", "");
  request.headers.add(HeaderId::kXForwardedProto, "http");
  std::string expected =
      "GET / HTTP/1.1\r\nhost: h\r\nA: 1\r\nB: changed\r\nC: 3\r\nE: \r\nF: 6\r\n"
      "x-forwarded-proto: http\r\n\r\n";
  CHECK(written(WireBody::kAsListed) == expected);
  request.own();
  bytes.assign(bytes.size(), '?');
  CHECK(written(WireBody::kAsListed) == expected);
}

TEST_CASE_FIXTURE(Fixture, "fields of all sizes") {
  // Names and values of 1 to 70 bytes take every way through the copying.
  std::string expected = "GET / HTTP/1.1\r\nhost: h\r\n";
  std::string names[70], values[70];
  request.methodText = "GET";
  request.path = "/";
  request.authority = "h";
  for (size_t i = 0; i < 70; i++) {
    names[i] = std::string(i, 'n') + "x";
    for (size_t k = 0; k < i; k++) values[i] += char('a' + k % 26);
    request.headers.add(names[i], values[i], HeaderId::kOther);
    expected += names[i] + ": " + values[i] + "\r\n";
  }
  CHECK(written(WireBody::kAsListed) == expected + "\r\n");
}

TEST_CASE_FIXTURE(Fixture, "a response") {
  parseAnswer(
      "HTTP/1.1 200 Fine\r\nServer: s\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n"
      "Host: odd\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n");
  CHECK(answer(WireBody::kChunked, WireConnection::kNone) ==
        "HTTP/1.1 200 Fine\r\nServer: s\r\nHost: odd\r\ntransfer-encoding: chunked\r\n\r\n");
  CHECK(answer(WireBody::kNone, WireConnection::kClose) ==
        "HTTP/1.1 200 Fine\r\nServer: s\r\nHost: odd\r\nconnection: close\r\n\r\n");
  CHECK(answer(WireBody::kZeroLength, WireConnection::kKeepAlive, true) ==
        "HTTP/1.1 200 Fine\r\nServer: s\r\nHost: odd\r\nTrailer: T\r\ncontent-length: 0\r\n"
        "connection: keep-alive\r\n\r\n");
}

TEST_CASE_FIXTURE(Fixture, "a response of our own has the usual reason") {
  response.status = 503;
  response.headers.add(HeaderId::kContentType, "text/plain");
  CHECK(answer(WireBody::kAsListed, WireConnection::kNone) ==
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\n\r\n");
  response.status = 599;
  response.headers.clear();
  CHECK(answer(WireBody::kAsListed, WireConnection::kNone) == "HTTP/1.1 599 \r\n\r\n");
}

TEST_CASE("heads of chunks") {
  struct {
    uint64_t size;
    const char* text;
  } cases[] = {{0, "0\r\n"},         {9, "9\r\n"},
               {15, "f\r\n"},        {16, "10\r\n"},
               {255, "ff\r\n"},      {256, "100\r\n"},
               {65536, "10000\r\n"}, {~uint64_t(0), "ffffffffffffffff\r\n"}};
  for (auto& c : cases) {
    char out[kChunkHeadMax];
    char* end = writeChunkHead(out, c.size);
    CHECK(std::string(out, end) == c.text);
    CHECK(chunkHeadSize(c.size) == std::string_view(c.text).size());
  }
}

TEST_CASE_FIXTURE(Fixture, "trailers, without what would frame or route") {
  HeaderList& trailers = request.trailers;
  trailers.add("A", "b", HeaderId::kOther);
  trailers.add(HeaderId::kContentLength, "5");
  trailers.add(HeaderId::kTransferEncoding, "chunked");
  trailers.add(HeaderId::kHost, "h");
  trailers.add(HeaderId::kGrpcStatus, "0");
  Guarded memory(std::string(lastChunkBound(trailers), '?'));
  char* end = writeLastChunk(memory.data(), trailers);
  CHECK(std::string(memory.data(), end) == "0\r\nA: b\r\ngrpc-status: 0\r\n\r\n");
}
