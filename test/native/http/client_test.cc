// The client codec over real sockets: framing of requests, responses of all kinds, and whether the
// connection may be used again.
#include <doctest/doctest.h>

#include <string>

#include "client_support.h"

using namespace millrace;
using namespace millrace::test;

TEST_CASE("one exchange after the other") {
  Net net;
  ClientSide side(net);
  CHECK(side.codec->idle());
  CHECK(side.codec->reusable());
  CHECK(side.get("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") == "200 ok end reusable");
  CHECK(side.get(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: u\r\n\r\n") ==
        "200 abc end reusable");
  CHECK(side.get("HTTP/1.1 204 No Content\r\n\r\n") == "204 end reusable");
  CHECK(side.get("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n") == "304 end reusable");
  CHECK(side.get("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", false, Method::kHead) ==
        "200 end reusable");
  CHECK(side.get("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") == "200 end reusable");
  CHECK(side.get("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx") ==
        "200 x end reusable");
}

TEST_CASE("byte by byte, with 1xx heads in front") {
  Net net;
  ClientSide side(net);
  side.get("");
  CHECK(!side.codec->responseSeen());
  for (char c :
       std::string("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")) {
    side.hear({&c, 1});
    CHECK(side.codec->responseSeen());
  }
  CHECK(side.log == "100 103 200 ab end reusable");
}

TEST_CASE("connections that may not be used again") {
  Net net;
  ClientSide side(net);
  SUBCASE("the server closes") {
    CHECK(side.get("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx") ==
          "200 x end spent");
  }
  SUBCASE("HTTP/1.0") {
    CHECK(side.get("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx") == "200 x end spent");
  }
  SUBCASE("a body until the close") {
    CHECK(side.get("HTTP/1.1 200 OK\r\n\r\nall", true) == "200 all end spent");
  }
  SUBCASE("bytes behind the response") {
    CHECK(side.get("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n") ==
          "200 x end spent http1.response_without_request");
  }
  SUBCASE("bytes behind a chunked response") {
    CHECK(side.get("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\r\n") ==
          "200  end spent http1.response_without_request");
  }
  SUBCASE("bytes behind a response without a body") {
    CHECK(side.get("HTTP/1.1 204 No Content\r\n\r\nx") ==
          "204 end spent http1.response_without_request");
  }
  SUBCASE("bytes that nobody asked for, later") {
    CHECK(side.get("HTTP/1.1 204 No Content\r\n\r\n") == "204 end reusable");
    side.hear("HTTP/1.1 200 OK\r\n");
  }
  SUBCASE("a response before the request was complete") {
    side.newRequest(Method::kPut, "PUT");
    side.start().encodeHeaders(*side.request, false);
    side.hear("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    CHECK(side.log == "413 end spent");
    side.codec->encodeData("goes nowhere", true);
  }
  SUBCASE("the end of the connection while idle") {
    side.hear("", true);
  }
  SUBCASE("a reset by us") {
    side.get("");
    side.codec->resetStream(ResetReason::kLocalReset);
    side.hear("HTTP/1.1 200 OK\r\n");
    CHECK(side.log.empty());
  }
  CHECK(side.codec->idle());
  CHECK(!side.codec->reusable());
}

TEST_CASE("responses that are refused") {
  Net net;
  ClientSide side(net);
  SUBCASE("garbage") {
    CHECK(side.get("SSH-2.0") == "reset 2 spent http1.invalid_version");
  }
  SUBCASE("switching protocols") {
    CHECK(side.get("HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n") ==
          "reset 2 spent http1.unexpected_101");
  }
  SUBCASE("a tunnel") {
    side.newRequest(Method::kConnect, "CONNECT");
    side.start().encodeHeaders(*side.request, true);
    CHECK(side.sent() == "CONNECT h HTTP/1.1\r\nhost: h\r\n\r\n");
    side.hear("HTTP/1.1 200 OK\r\n\r\n");
    CHECK(side.log == "reset 2 spent http1.unexpected_tunnel");
  }
  SUBCASE("a broken chunk") {
    CHECK(side.get("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab") ==
          "200 areset 2 spent http1.invalid_chunk_end");
  }
  SUBCASE("a length twice") {
    CHECK(side.get("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx") ==
          "reset 2 spent http1.multiple_content_lengths");
  }
  SUBCASE("1xx without end") {
    std::string many, expected;
    for (int i = 0; i < 17; i++) many += "HTTP/1.1 100 Continue\r\n\r\n";
    for (int i = 0; i < 16; i++) expected += "100 ";
    CHECK(side.get(many) == expected + "reset 2 spent http1.too_many_1xx_responses");
  }
}

TEST_CASE("responses that are cut") {
  Net net;
  ClientSide side(net);
  SUBCASE("before anything came: to be tried elsewhere") {
    CHECK(side.get("", true) == "reset 1 spent");
    CHECK(!side.codec->responseSeen());
  }
  SUBCASE("in the head") {
    CHECK(side.get("HTTP/1.1 200 O", true) == "reset 1 spent");
    CHECK(side.codec->responseSeen());
  }
  SUBCASE("in a body with a length") {
    CHECK(side.get("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", true) ==
          "200 abreset 1 spent");
  }
  SUBCASE("in a chunked body") {
    CHECK(side.get("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", true) ==
          "200 abreset 1 spent");
  }
  SUBCASE("by a TCP reset in a body until the close") {
    side.get("HTTP/1.1 200 OK\r\n\r\nab");
    side.plain.reset();
    net.turns();
    CHECK(side.log == "200 abreset 1 spent");
  }
}

TEST_CASE("framing of requests") {
  Net net;
  ClientSide side(net);
  std::string start = " / HTTP/1.1\r\nhost: h\r\n";
  SUBCASE("no body") {
    RequestHead& head = side.newRequest(Method::kGet, "GET");
    side.start().encodeHeaders(head, true);
    CHECK(side.sent() == "GET" + start + "\r\n");
  }
  SUBCASE("no body where one is expected") {
    RequestHead& head = side.newRequest(Method::kPost, "POST");
    side.start().encodeHeaders(head, true);
    CHECK(side.sent() == "POST" + start + "content-length: 0\r\n\r\n");
  }
  SUBCASE("by length") {
    RequestHead& head = side.newRequest(Method::kPost, "POST");
    head.headers.add(HeaderId::kContentLength, "05");
    head.setLength(5);
    RequestEncoder& encoder = side.start();
    encoder.encodeHeaders(head, false);
    CHECK(!side.codec->requestComplete());
    encoder.encodeData("abc", false);
    encoder.encodeData("de", true);
    CHECK(side.codec->requestComplete());
    CHECK(side.sent() == "POST" + start + "content-length: 5\r\n\r\nabcde");
  }
  SUBCASE("chunked") {
    RequestHead& head = side.newRequest(Method::kOther, "PURGE");
    RequestEncoder& encoder = side.start();
    encoder.encodeHeaders(head, false);
    encoder.encodeData("abc", false);
    encoder.encodeData({}, false);
    encoder.encodeData("0123456789abcdef", true);
    CHECK(side.sent() ==
          "PURGE" + start +
              "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n10\r\n0123456789abcdef\r\n"
              "0\r\n\r\n");
  }
  SUBCASE("trailers when disabled") {
    RequestHead& head = side.newRequest(Method::kPost, "POST");
    RequestEncoder& encoder = side.start();
    encoder.encodeHeaders(head, false);
    HeaderList trailers(*side.arena);
    trailers.add("A", "b", HeaderId::kOther);
    encoder.encodeTrailers(trailers);
    CHECK(side.codec->requestComplete());
    CHECK(side.sent() == "POST" + start + "transfer-encoding: chunked\r\n\r\n0\r\n\r\n");
  }
}

TEST_CASE("trailers, when enabled") {
  Net net;
  Http1ClientOptions options;
  options.enableTrailers = true;
  ClientSide side(net, options);
  CHECK(side.get(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\n\r\n") ==
        "200 x[A=b] end reusable");
  RequestHead& head = side.newRequest(Method::kPost, "POST");
  RequestEncoder& encoder = side.start();
  encoder.encodeHeaders(head, false);
  HeaderList trailers(*side.arena);
  trailers.add("A", "b", HeaderId::kOther);
  encoder.encodeTrailers(trailers);
  CHECK(side.sent() ==
        "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n");
}

TEST_CASE("the response is paused and resumed, and never left paused") {
  Net net;
  ClientSide side(net);
  side.get("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na");
  side.codec->pauseResponse();
  side.hear("bc");
  CHECK(side.log == "200 a");
  side.codec->resumeResponse();
  net.turns();
  CHECK(side.log == "200 abc");
  side.codec->pauseResponse();
  side.codec->resetStream(ResetReason::kLocalReset);
  CHECK(!side.connection->paused());
}

TEST_CASE("a sink that pauses gets no further data of the same read") {
  Net net;
  ClientSide side(net);
  side.onBody = [&] {
    if (side.log == "200 ab") side.codec->pauseResponse();
  };
  side.get("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n",
           true);
  CHECK(side.log == "200 ab");
  side.codec->resumeResponse();
  net.turns();
  CHECK(side.log == "200 abcd end reusable");
}

TEST_CASE("back-pressure of the request reaches the sink until the request is complete") {
  Net net;
  ClientSide side(net);
  RequestHead& head = side.newRequest(Method::kPost, "POST");
  RequestEncoder& encoder = side.start();
  encoder.encodeHeaders(head, false);
  side.codec->onWritable(false);
  side.codec->onWritable(true);
  encoder.encodeData({}, true);
  side.codec->onWritable(false);
  CHECK(side.log == "stop go ");
}

TEST_CASE("a request whose body is not what its head said ends the connection") {
  Net net;
  ClientSide side(net);
  const std::string reset = "reset " + std::to_string(int(ResetReason::kBodyMismatch)) +
                            " spent http1.body_differs_from_its_length";
  RequestHead& head = side.newRequest(Method::kPost, "POST");
  head.setLength(5);
  RequestEncoder& encoder = side.start();
  SUBCASE("no body") {
    encoder.encodeHeaders(head, true);
  }
  SUBCASE("an empty body") {
    encoder.encodeHeaders(head, false);
    encoder.encodeData({}, true);
  }
  SUBCASE("a byte less") {
    encoder.encodeHeaders(head, false);
    encoder.encodeData("abc", false);
    encoder.encodeData("d", true);
  }
  SUBCASE("a byte more") {
    encoder.encodeHeaders(head, false);
    encoder.encodeData("abc", false);
    encoder.encodeData("def", true);
  }
  SUBCASE("less, then trailers") {
    encoder.encodeHeaders(head, false);
    encoder.encodeTrailers(head.trailers);
  }
  SUBCASE("more behind the end") {
    encoder.encodeHeaders(head, false);
    encoder.encodeData("abcde", true);
    encoder.encodeData("f", true);
  }
  CHECK(side.log == reset);
  CHECK(side.closed);
}
