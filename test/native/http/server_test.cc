// The server codec over real sockets: exchanges, framing of responses, persistence, pipelining,
// errors, sinks that pause.
#include <doctest/doctest.h>

#include "server_support.h"

using namespace millrace;
using namespace millrace::test;

namespace {

const char kOk[] = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const char kOkClose[] = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
const char kGet[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

// Answers with a head of `status` and the fields given, then data in two pieces, then the end.
void answerInPieces(ServerSide::Stream& s, uint16_t status, std::string_view contentLength = {}) {
  ResponseHead head(s.arena);
  head.status = status;
  if (!contentLength.empty()) {
    head.headers.add(HeaderId::kContentLength, contentLength);
    head.setLength(std::stoul(std::string(contentLength)));
  }
  s.encoder.encodeHeaders(head, false);
  s.encoder.encodeData("abc", false);
  s.encoder.encodeData("de", false);
  s.encoder.encodeData({}, true);
}

}  // namespace

TEST_CASE("one exchange after the other on a connection") {
  Net net;
  ServerSide side(net);
  CHECK(side.codec->idle());
  CHECK(side.exchange("GET /a HTTP/1.1\r\nHost: h\r\n\r\n") == kOk);
  CHECK(side.takeLog() == "head GET /a\nbody ''\nover reusable\n");
  CHECK(side.codec->idle());
  CHECK(side.exchange("POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nxyz") == kOk);
  CHECK(side.takeLog() == "head POST /b\nbody 'xyz'\nover reusable\n");
  CHECK(side.exchange("PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "2;x=y\r\nab\r\n1\r\nc\r\n0\r\nT: u\r\n\r\n") == kOk);
  CHECK(side.takeLog() == "head PUT /c\nbody 'abc'\nover reusable\n");
  CHECK(!side.closed);
}

TEST_CASE("an idle codec is small") {
  CHECK(sizeof(Http1ServerCodec) <= 48);
}

TEST_CASE("byte by byte") {
  Net net;
  ServerSide side(net);
  std::string text =
      "\r\n\r\nPUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n"
      "A: b\r\n\r\n\r\nGET /d HTTP/1.1\r\nHost: h\r\n\r\n";
  std::string heard;
  for (char c : text) heard += side.exchange({&c, 1});
  CHECK(heard == std::string(kOk) + kOk);
  CHECK(side.takeLog() ==
        "head PUT /c\nbody 'ab'\nover reusable\nhead GET /d\nbody ''\nover reusable\n");
}

TEST_CASE("pipelined requests wait for their turn, whatever the answers take") {
  Net net;
  ServerSide side(net);
  side.onComplete = nullptr;
  std::string three;
  for (const char* path : {"/1", "/2", "/3"}) {
    three += std::string("POST ") + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx";
  }
  CHECK(side.exchange(three).empty());
  CHECK(side.takeLog() == "head POST /1\nbody 'x'\n");
  CHECK(side.connection->paused());
  CHECK(side.exchange("GET /4 HTTP/1.1\r\nHost: h\r\n\r\n").empty());
  side.streams[0]->answer(200, "ok");
  net.turns();
  CHECK(side.takeLog() == "over reusable\nhead POST /2\nbody 'x'\n");
  side.onComplete = [](ServerSide::Stream& s) { s.answer(200, "ok"); };
  side.streams[1]->answer(200, "ok");
  net.turns();
  CHECK(side.takeLog() ==
        "over reusable\nhead POST /3\nbody 'x'\nover reusable\nhead GET /4\nbody ''\nover "
        "reusable\n");
  CHECK(side.plain.hear() == std::string(kOk) + kOk + kOk + kOk);
  CHECK(!side.connection->paused());
}

TEST_CASE("the client's wish to close is granted, and nothing behind it is read") {
  Net net;
  ServerSide side(net);
  CHECK(side.exchange(std::string("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n") +
                      kGet) == kOkClose);
  CHECK(side.takeLog() == "head GET /\nbody ''\nover close\n");
  CHECK(side.completed == 1);
}

TEST_CASE("the owner closes between pipelined requests") {
  Net net;
  ServerSide side(net);
  side.onComplete = [&](ServerSide::Stream& s) {
    s.answer(200, "ok");
    side.connection->closeAfterFlush(100);
  };
  CHECK(side.exchange(std::string(kGet) + kGet) == kOk);
  CHECK(side.completed == 1);
}

TEST_CASE("framing of responses") {
  Net net;
  ServerSide side(net);
  std::string length;
  side.onComplete = [&](ServerSide::Stream& s) { answerInPieces(s, 200, length); };
  SUBCASE("chunked without a length") {
    CHECK(side.exchange(kGet) ==
          "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  }
  SUBCASE("by length") {
    length = "5";
    CHECK(side.exchange(kGet) == "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabcde");
  }
  SUBCASE("HEAD keeps the length and loses the body") {
    length = "5";
    CHECK(side.exchange("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n") ==
          "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
  }
  SUBCASE("HEAD without a length gets no framing") {
    CHECK(side.exchange("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n") == "HTTP/1.1 200 OK\r\n\r\n");
  }
  SUBCASE("204 has neither") {
    length = "5";
    side.onComplete = [&](ServerSide::Stream& s) { answerInPieces(s, 204, length); };
    CHECK(side.exchange(kGet) == "HTTP/1.1 204 No Content\r\n\r\n");
  }
  SUBCASE("304 keeps the length of what it did not send") {
    length = "5";
    side.onComplete = [&](ServerSide::Stream& s) { answerInPieces(s, 304, length); };
    CHECK(side.exchange(kGet) == "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n");
  }
  SUBCASE("a head that is all says so") {
    side.onComplete = [&](ServerSide::Stream& s) { s.answer(200, ""); };
    CHECK(side.exchange(kGet) == "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
  }
  CHECK(side.codec->idle());
  CHECK(!side.codec->closing());
}

TEST_CASE("large data is passed on in one piece, with the chunk around it") {
  Net net;
  ServerSide side(net);
  std::string data = pattern(100000);
  side.onComplete = [&](ServerSide::Stream& s) {
    ResponseHead head(s.arena);
    head.status = 200;
    s.encoder.encodeHeaders(head, false);
    s.encoder.encodeData(data, false);
    s.encoder.encodeData(data, true);
  };
  side.plain.say(kGet);
  std::string expected = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n186a0\r\n" + data +
                         "\r\n186a0\r\n" + data + "\r\n0\r\n\r\n";
  CHECK((side.plain.hear(net, expected.size()) == expected));
}

TEST_CASE("HTTP/1.0") {
  Net net;
  Http1ServerOptions options;
  options.parse.acceptHttp10 = true;
  ServerSide side(net, options);
  SUBCASE("closes unless asked not to") {
    CHECK(side.exchange("GET / HTTP/1.0\r\n\r\n") == kOkClose);
    CHECK(side.takeLog() == "head GET /\nbody ''\nover close\n");
  }
  SUBCASE("stays open when asked to") {
    CHECK(side.exchange("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") ==
          "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok");
    CHECK(side.takeLog() == "head GET /\nbody ''\nover reusable\n");
  }
  SUBCASE("gets no chunks: the end of the connection is the end of the body") {
    side.onComplete = [&](ServerSide::Stream& s) { answerInPieces(s, 200); };
    CHECK(side.exchange("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") ==
          "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabcde");
    CHECK(side.takeLog() == "head GET /\nbody ''\nover close\n");
  }
  SUBCASE("gets no 1xx") {
    side.onHead = [&](ServerSide::Stream& s, bool) {
      ResponseHead head(s.arena);
      head.status = 103;
      s.encoder.encodeInformational(head);
    };
    CHECK(side.exchange("GET / HTTP/1.0\r\n\r\n") == kOkClose);
  }
}

TEST_CASE("HTTP/1.0 when it is switched off") {
  Net net;
  ServerSide side(net);
  CHECK(side.exchange("GET / HTTP/1.0\r\n\r\n") ==
        "HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

TEST_CASE("1xx heads come before the response, and not after its head") {
  Net net;
  ServerSide side(net);
  side.onHead = [&](ServerSide::Stream& s, bool) {
    CHECK(s.head.expectContinue);
    ResponseHead head(s.arena);
    head.status = 100;
    s.encoder.encodeInformational(head);
  };
  CHECK(side.exchange(
            "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n") ==
        "HTTP/1.1 100 Continue\r\n\r\n");
  CHECK(side.exchange("x") == kOk);
}

TEST_CASE("what is not HTTP is answered once, and the rest thrown away") {
  Net net;
  ServerSide side(net);
  std::string expected =
      "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
  SUBCASE("a head") {
    CHECK(side.exchange(std::string("GET / HTTP/1.1\r\nHost : h\r\n\r\n") + kGet) == expected);
    CHECK(side.takeLog() == "error 400 http1.invalid_header_name\nover close\n");
  }
  SUBCASE("a body") {
    CHECK(
        side.exchange(std::string("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  "2\r\nabX\r\n0\r\n\r\n") +
                      kGet) == expected);
    CHECK(side.takeLog() == "head PUT /\nerror 400 http1.invalid_chunk_end\nover close\n");
  }
  SUBCASE("a request behind another one") {
    CHECK(side.exchange(std::string(kGet) + "BAD\n\n" + kGet) == kOk + expected);
  }
  CHECK(side.codec->closing());
  CHECK(side.exchange(kGet).empty());
}

TEST_CASE("an error in the body when the response is under way cuts the connection") {
  Net net;
  ServerSide side(net);
  side.onHead = [&](ServerSide::Stream& s, bool) {
    ResponseHead head(s.arena);
    head.status = 200;
    s.encoder.encodeHeaders(head, false);
    s.encoder.encodeData("early", false);
  };
  side.plain.say("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
  net.turns();
  CHECK(side.takeLog() == "head PUT /\nerror 400 http1.invalid_chunk_size\nover reset\n");
  CHECK(side.closed);
}

TEST_CASE("an answer before the request is complete is the last one") {
  Net net;
  ServerSide side(net);
  side.onHead = [](ServerSide::Stream& s, bool) { s.answer(413, ""); };
  CHECK(side.exchange("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc") ==
        "HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
  CHECK(side.takeLog() == "head PUT /\nover close\n");
  CHECK(side.exchange("defghij" + std::string(kGet)).empty());
}

TEST_CASE("an answer with a body that is out before the request is complete is the last one") {
  Net net;
  ServerSide side(net);
  side.onHead = [](ServerSide::Stream& s, bool) { s.answer(413, "too big"); };
  CHECK(side.exchange("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc") ==
        "HTTP/1.1 413 Content Too Large\r\ncontent-length: 7\r\nconnection: close\r\n\r\ntoo big");
  CHECK(side.takeLog() == "head PUT /\nover close\n");
  CHECK(side.exchange("defghij" + std::string(kGet)).empty());
}

TEST_CASE(
    "an answer that begins before the request is complete is the last one, whichever ends first") {
  Net net;
  ServerSide side(net);
  side.onHead = [](ServerSide::Stream& s, bool) {
    ResponseHead head(s.arena);
    head.status = 200;
    s.encoder.encodeHeaders(head, false);
  };
  side.onComplete = [](ServerSide::Stream& s) { s.encoder.encodeData("x", true); };
  CHECK(side.exchange("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" +
                      std::string(kGet)) ==
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        "1\r\nx\r\n0\r\n\r\n");
  CHECK(side.takeLog() == "head PUT /\nbody 'abc'\nover close\n");
}

TEST_CASE("closeAfter() says so in the head") {
  Net net;
  ServerSide side(net);
  side.onHead = [](ServerSide::Stream& s, bool) { s.encoder.closeAfter(); };
  CHECK(side.exchange(kGet) == kOkClose);
}

TEST_CASE("trailers, when enabled") {
  Net net;
  Http1ServerOptions options;
  options.enableTrailers = true;
  ServerSide side(net, options);
  side.onComplete = [](ServerSide::Stream& s) {
    ResponseHead head(s.arena);
    head.status = 200;
    s.encoder.encodeHeaders(head, false);
    s.encoder.encodeData("x", false);
    HeaderList trailers(s.arena);
    trailers.add("Sum", "1", HeaderId::kOther);
    s.encoder.encodeTrailers(trailers);
  };
  CHECK(
      side.exchange("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
                    "A: b\r\n\r\n") ==
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nSum: 1\r\n\r\n");
  CHECK(side.takeLog() == "head PUT /\nbody 'x[A=b]'\nover reusable\n");
}

TEST_CASE("the client leaves") {
  Net net;
  ServerSide side(net);
  side.onComplete = nullptr;
  SUBCASE("in the middle of a head") {
    side.plain.say("GET / HT");
    side.plain.end();
    net.turns();
    CHECK(side.takeLog() == "reset 1\nover reset\n");
  }
  SUBCASE("in the middle of a body") {
    side.plain.say("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
    side.plain.end();
    net.turns();
    CHECK(side.takeLog() == "head PUT /\nreset 1\nover reset\n");
  }
  SUBCASE("with its last request sent: it is answered, then closed") {
    side.plain.say(kGet);
    side.plain.end();
    net.turns();
    CHECK(side.takeLog() == "head GET /\nbody ''\n");
    side.streams[0]->answer(200, "ok");
    net.ctx->flush();  // as after each callback of the loop
    net.turns();
    CHECK(side.plain.hear() == kOkClose);
    CHECK(side.takeLog() == "over close\n");
  }
  SUBCASE("by a reset, while it is to be answered") {
    side.plain.say(kGet);
    net.turns();
    side.plain.reset();
    net.turns();
    CHECK(side.takeLog() == "head GET /\nbody ''\nreset 1\n");
    side.streams[0]->answer(200, "ok");  // goes nowhere
    CHECK(side.takeLog().empty());
  }
  SUBCASE("idle") {
    side.plain.end();
    net.turns();
    CHECK(side.takeLog().empty());
  }
}

TEST_CASE("the body of a request is paused and resumed") {
  Net net;
  ServerSide side(net);
  side.onHead = [](ServerSide::Stream& s, bool) {
    s.encoder.pauseRequest();
    s.encoder.pauseRequest();
  };
  side.exchange("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n");
  CHECK(side.connection->paused());
  CHECK(side.exchange("abcd").empty());
  side.streams[0]->encoder.resumeRequest();
  net.turns();
  CHECK(side.connection->paused());
  side.streams[0]->encoder.resumeRequest();
  side.streams[0]->encoder.resumeRequest();  // one too many
  net.turns();
  CHECK(!side.connection->paused());
  CHECK(side.plain.hear() == kOk);
}

TEST_CASE("a body that came with its head waits, too, until the sink resumes") {
  Net net;
  ServerSide side(net);
  side.onHead = [](ServerSide::Stream& s, bool) { s.encoder.pauseRequest(); };
  CHECK(side.exchange("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabcd").empty());
  CHECK(side.streams[0]->body.empty());
  side.streams[0]->encoder.resumeRequest();
  net.turns();
  CHECK(side.streams[0]->body == "abcd");
  CHECK(side.plain.hear() == kOk);
}

TEST_CASE("a sink that pauses gets no further data of the same read") {
  Net net;
  ServerSide side(net);
  side.onBody = [](ServerSide::Stream& s) {
    if (s.body == "ab") s.encoder.pauseRequest();
  };
  CHECK(side.exchange("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"
                      "2\r\ncd\r\n0\r\n\r\n")
            .empty());
  CHECK(side.streams[0]->body == "ab");
  side.streams[0]->encoder.resumeRequest();
  net.turns();
  CHECK(side.plain.hear() == kOk);
  CHECK(side.takeLog() == "head PUT /\nbody 'abcd'\nover reusable\n");
}

TEST_CASE("a stream that ends paused leaves the connection reading") {
  Net net;
  ServerSide side(net);
  side.onHead = [](ServerSide::Stream& s, bool) { s.encoder.pauseRequest(); };
  CHECK(side.exchange(kGet) == kOk);
  CHECK(!side.connection->paused());
  CHECK(side.exchange(kGet) == kOk);
}

TEST_CASE("resetting a stream") {
  Net net;
  ServerSide side(net);
  side.onComplete = [](ServerSide::Stream& s) {
    s.encoder.resetStream(ResetReason::kLocalReset);
    s.encoder.resetStream(ResetReason::kLocalReset);
  };
  CHECK(side.exchange(kGet).empty());
  CHECK(side.takeLog() == "head GET /\nbody ''\nover reset\n");
  CHECK(side.closed);
}

TEST_CASE("a cut response whose end is that of the connection ends in a reset") {
  struct Case {
    const char* request;
    bool length;
    bool bodiless;
    const char* over;
    int error;
  };
  // The others show by themselves that something is missing.
  constexpr Case kCases[] = {
      {"GET / HTTP/1.0\r\nHost: a\r\n\r\n", false, false, "cut", ECONNRESET},
      {"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", false, false, "cut",
       ECONNRESET},
      {"GET / HTTP/1.0\r\nHost: a\r\n\r\n", true, false, "reset", 0},
      {"HEAD / HTTP/1.0\r\nHost: a\r\n\r\n", false, true, "reset", 0},
      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false, false, "reset", 0},
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true, false, "reset", 0},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.request);
    CAPTURE(c.length);
    Net net;
    Http1ServerOptions options;
    options.parse.acceptHttp10 = true;
    ServerSide side(net, options);
    side.onComplete = [&](ServerSide::Stream& s) {
      ResponseHead head(s.arena);
      head.status = 200;
      if (c.length) head.setLength(10);
      s.encoder.encodeHeaders(head, false);
      s.encoder.encodeData("half", false);
    };
    std::string heard = side.exchange(c.request);
    CHECK((heard.find("half") != std::string::npos) == !c.bodiless);
    CHECK(side.codec->endsAtClose() == (c.error != 0));
    side.streams.back()->encoder.resetStream(ResetReason::kRemoteReset);
    net.ctx->flush();
    CHECK(side.plain.awaitEnd(net));
    CHECK(side.plain.error == c.error);
    CHECK(side.takeLog().ends_with(std::string("over ") + c.over + "\n"));
  }
}

TEST_CASE("a response that is not what its head said ends the connection, and never the next one") {
  Net net;
  ServerSide side(net);
  const std::string two = std::string(kGet) + kGet;
  SUBCASE("longer") {
    side.onComplete = [](ServerSide::Stream& s) { answerInPieces(s, 200, "4"); };
    CHECK(side.exchange(two) == "");  // cut before it was flushed
  }
  SUBCASE("shorter") {
    side.onComplete = [](ServerSide::Stream& s) { answerInPieces(s, 200, "6"); };
    CHECK(side.exchange(two) == "");
  }
  SUBCASE("nothing where something was announced") {
    side.onComplete = [](ServerSide::Stream& s) {
      ResponseHead head(s.arena);
      head.status = 200;
      head.setLength(3);
      s.encoder.encodeHeaders(head, true);
    };
    CHECK(side.exchange(two) == "");
  }
  CHECK(side.takeLog() == "head GET /\nbody ''\nover reset\n");
  CHECK(side.closed);
}

TEST_CASE("what follows a CONNECT or an upgrade is not read as a request") {
  Net net;
  ServerSide side(net);
  std::string start;
  SUBCASE("CONNECT") {
    start = "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n";
  }
  SUBCASE("upgrade") {
    start = "GET / HTTP/1.1\r\nHost: h\r\nConnection: x, Upgrade\r\nUpgrade: websocket\r\n\r\n";
  }
  CHECK(side.exchange(start + kGet) == kOkClose);
  CHECK(side.completed == 1);
}

TEST_CASE("an offer of h2c is passed over") {
  Net net;
  ServerSide side(net);
  CHECK(side.exchange("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                      "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n") == kOk);
  CHECK(side.exchange(kGet) == kOk);
}

TEST_CASE("trailers are what RFC 9110 allows there") {
  Net net;
  Http1ServerOptions options;
  options.enableTrailers = true;
  ServerSide side(net, options);
  CHECK(side.exchange("PUT /c HTTP/1.1\r\nHost: h\r\nConnection: x-hop\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Hop: 1\r\n"
                      "Authorization: a\r\nCookie: b\r\nX-Forwarded-For: c\r\n"
                      "x-envoy-internal: true\r\nOk: yes\r\n\r\n") == kOk);
  CHECK(side.takeLog() == "head PUT /c\nbody 'a[Ok=yes]'\nover reusable\n");
}
