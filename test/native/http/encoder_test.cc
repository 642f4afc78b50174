// What is written: framing, hop-by-hop fields, and that it is read back as what it was.
#include "http/http1_encoder.h"

#include <doctest/doctest.h>

#include <string>

#include "http/http1_parser.h"
#include "http/trailer_fields.h"
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
  // As the request that was parsed.
  WireBody listed() const {
    bool length = request.framing == BodyFraming::kLength;
    return length ? WireBody::ofLength(request.contentLength) : WireBody::none();
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
  CHECK(written(listed()) == "GET /p?q HTTP/1.1\r\nhost: h:1\r\nA: b\r\nC: d\r\nE: f\r\n\r\n");
}

TEST_CASE_FIXTURE(Fixture, "hop-by-hop fields are dropped, wherever they are") {
  parse(
      "POST / HTTP/1.1\r\nConnection: keep-alive, X\r\nX: 1\r\nHost: h\r\nA: 1\r\nKeep-Alive: 5\r\n"
      "Proxy-Connection: close\r\nB: 2\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n"
      "Upgrade: websocket\r\nTrailer: T\r\nC: 3\r\n\r\n");
  CHECK(written(WireBody::chunked()) ==
        "POST / HTTP/1.1\r\nhost: h\r\nA: 1\r\nB: 2\r\nC: 3\r\ntransfer-encoding: chunked\r\n\r\n");
  CHECK(written(WireBody::chunked(), true) ==
        "POST / HTTP/1.1\r\nhost: h\r\nA: 1\r\nB: 2\r\nTrailer: T\r\nC: 3\r\n"
        "transfer-encoding: chunked\r\nte: trailers\r\nconnection: te\r\n\r\n");
}

TEST_CASE_FIXTURE(Fixture, "TE is passed on for trailers only") {
  parse("GET / HTTP/1.1\r\nHost: h\r\nTE: gzip\r\nTE: deflate;q=0.5,  Trailers\r\n\r\n");
  CHECK(written(WireBody::none(), true) ==
        "GET / HTTP/1.1\r\nhost: h\r\nte: trailers\r\nconnection: te\r\n\r\n");
  request.clear();
  parse("GET / HTTP/1.1\r\nHost: h\r\nTE: gzip, trailersx\r\n\r\n");
  CHECK(written(WireBody::none(), true) == "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
}

TEST_CASE_FIXTURE(Fixture, "framing is the caller's") {
  parse("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
  std::string start = "POST / HTTP/1.1\r\nhost: h\r\n";
  CHECK(written(listed()) == start + "Content-Length: 5\r\n\r\n");
  CHECK(written(WireBody::none()) == start + "\r\n");
  CHECK(written(WireBody::ofLength(0)) == start + "Content-Length: 0\r\n\r\n");
  CHECK(written(WireBody::chunked()) == start + "transfer-encoding: chunked\r\n\r\n");
}

TEST_CASE_FIXTURE(Fixture, "a length is rendered from the number, whatever the list holds") {
  std::string start = "POST / HTTP/1.1\r\nhost: h\r\n";
  parse("POST / HTTP/1.1\r\nHost: h\r\nA: 1\r\nContent-LENGTH:   010\r\nB: 2\r\n\r\n");
  CHECK(written(listed()) == start + "A: 1\r\nContent-LENGTH: 10\r\nB: 2\r\n\r\n");
  request.headers.set(HeaderId::kContentLength, "7");
  request.headers.add(HeaderId::kContentLength, "8");
  request.headers.add(HeaderId::kTransferEncoding, "chunked");
  CHECK(written(listed()) == start + "A: 1\r\nContent-LENGTH: 10\r\nB: 2\r\n\r\n");
  CHECK(written(WireBody::ofLength(~uint64_t(0))) ==
        start + "A: 1\r\nContent-LENGTH: 18446744073709551615\r\nB: 2\r\n\r\n");
  request.headers.remove(HeaderId::kContentLength);
  CHECK(written(listed()) == start + "A: 1\r\nB: 2\r\ncontent-length: 10\r\n\r\n");
}

TEST_CASE_FIXTURE(Fixture, "OPTIONS of the server as a whole is matched as / and written as *") {
  bytes = "OPTIONS http://b HTTP/1.1\r\nHost: b\r\n\r\n";
  ParseProgress progress;
  CHECK(parseRequestHead(bytes, {}, progress, request).state == ParseState::kDone);
  CHECK(request.path == "/");
  CHECK(written(listed()) == "OPTIONS * HTTP/1.1\r\nhost: b\r\n\r\n");
  request.path = "/rewritten";
  CHECK(written(listed()) == "OPTIONS /rewritten HTTP/1.1\r\nhost: b\r\n\r\n");
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
  CHECK(written(listed()) == expected);
  request.own();
  bytes.assign(bytes.size(), '?');
  CHECK(written(listed()) == expected);
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
  CHECK(written(listed()) == expected + "\r\n");
}

TEST_CASE_FIXTURE(Fixture, "a response") {
  parseAnswer(
      "HTTP/1.1 200 Fine\r\nServer: s\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n"
      "Host: odd\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n");
  CHECK(answer(WireBody::chunked(), WireConnection::kNone) ==
        "HTTP/1.1 200 Fine\r\nServer: s\r\nHost: odd\r\ntransfer-encoding: chunked\r\n\r\n");
  CHECK(answer(WireBody::none(), WireConnection::kClose) ==
        "HTTP/1.1 200 Fine\r\nServer: s\r\nHost: odd\r\nconnection: close\r\n\r\n");
  CHECK(answer(WireBody::ofLength(0), WireConnection::kKeepAlive, true) ==
        "HTTP/1.1 200 Fine\r\nServer: s\r\nHost: odd\r\nTrailer: T\r\ncontent-length: 0\r\n"
        "connection: keep-alive\r\n\r\n");
}

TEST_CASE_FIXTURE(Fixture, "a response of our own has the usual reason") {
  response.status = 503;
  response.headers.add(HeaderId::kContentType, "text/plain");
  CHECK(answer(WireBody::none(), WireConnection::kNone) ==
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\n\r\n");
  response.status = 599;
  response.headers.clear();
  CHECK(answer(WireBody::none(), WireConnection::kNone) == "HTTP/1.1 599 \r\n\r\n");
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

TEST_CASE_FIXTURE(Fixture, "trailers, without what must not be there") {
  // RFC 9110 §6.5.1, by kind; in any case.
  for (std::string_view name : {"Content-Length",
                                "transfer-encoding",
                                "Host",
                                "connection",
                                "TE",
                                "Trailer",
                                "upgrade",
                                "Keep-Alive",
                                "Proxy-Connection",
                                "Expect",
                                "Range",
                                "Cache-Control",
                                "If-Match",
                                "Pragma",
                                "Authorization",
                                "Proxy-Authorization",
                                "Cookie",
                                "Set-Cookie",
                                "WWW-Authenticate",
                                "Content-Type",
                                "Content-Encoding",
                                "Content-Range",
                                "Location",
                                "Date",
                                "Vary",
                                "Age",
                                "X-Forwarded-For",
                                "x-forwarded-proto",
                                "X-Envoy-Internal",
                                "X-Envoy-Original-Path",
                                "Forwarded",
                                "X-Request-Id",
                                "Via",
                                "Access-Control-Allow-Origin",
                                "X-Real-Ip"}) {
    CAPTURE(name);
    CHECK(!allowedInTrailers({name, "v", headerId(name)}, {}));
  }
  for (std::string_view name :
       {"grpc-status", "grpc-message", "grpc-status-details-bin", "Content-Digest", "Repr-Digest",
        "Server-Timing", "X-Checksum", "ETag", "Authentication-Info"}) {
    CAPTURE(name);
    CHECK(allowedInTrailers({name, "v", headerId(name)}, "upgrade"));
  }
  CHECK(!allowedInTrailers({"X-Named", "v", HeaderId::kOther}, "a,x-named"));
  HeaderList& trailers = request.trailers;
  trailers.add("A", "b", HeaderId::kOther);
  trailers.add(HeaderId::kContentLength, "5");
  trailers.add(HeaderId::kCookie, "c");
  trailers.add(HeaderId::kGrpcStatus, "0");
  Guarded memory(std::string(lastChunkBound(trailers), '?'));
  char* end = writeLastChunk(memory.data(), trailers);
  CHECK(std::string(memory.data(), end) == "0\r\nA: b\r\ngrpc-status: 0\r\n\r\n");
}
