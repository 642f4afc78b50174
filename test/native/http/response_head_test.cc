// Heads of responses: what is accepted, with its meaning, and what is refused.
#include <doctest/doctest.h>

#include <string>

#include "http/http1_parser.h"
#include "parse_support.h"

using namespace millrace;
using namespace millrace::test;

namespace {

struct Accepted {
  Method method;
  const char* head;
  const char* text;  // describe(), behind the line of the result
};
const Accepted kAccepted[] = {
    {Method::kGet, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
     "200 OK 11 framing 1 3 keep\nContent-Length=3\n"},
    {Method::kGet, "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
     "200  11 framing 1 0 keep\nContent-Length=0\n"},
    {Method::kGet, "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
     "200  11 framing 1 0 keep\nContent-Length=0\n"},
    {Method::kGet, "HTTP/1.1 999 x\xe9 y\t\r\nTransfer-Encoding: chunked\r\n\r\n",
     "999 x\xe9 y 11 framing 2 0 keep\nTransfer-Encoding=chunked\n"},
    {Method::kGet, "HTTP/1.1 200 OK\r\n\r\n", "200 OK 11 framing 3 0 close\n"},
    {Method::kGet, "HTTP/1.1 200 OK\r\nHost: h\r\n\r\n", "200 OK 11 framing 3 0 close\nHost=h\n"},
    {Method::kGet, "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n",
     "200 OK 10 framing 1 1 close\nContent-Length=1\n"},
    {Method::kGet, "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n",
     "200 OK 10 framing 1 1 keep\nContent-Length=1\nConnection=keep-alive\n"},
    {Method::kGet, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close, X\r\nX: y\r\n\r\n",
     "200 OK 11 framing 1 1 close\nContent-Length=1\nConnection=close, X\n"},
    // No body, whatever the fields say (RFC 9112 §6.3).
    {Method::kHead, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
     "200 OK 11 framing 0 3 keep\nContent-Length=3\n"},
    {Method::kHead, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
     "200 OK 11 framing 0 0 keep\nTransfer-Encoding=chunked\n"},
    {Method::kHead, "HTTP/1.1 200 OK\r\n\r\n", "200 OK 11 framing 0 0 keep\n"},
    {Method::kGet, "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n",
     "304 Not Modified 11 framing 0 3 keep\nContent-Length=3\n"},
    {Method::kGet, "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n",
     "204 No Content 11 framing 0 3 keep\n"},
    {Method::kGet, "HTTP/1.1 100 Continue\r\n\r\n", "100 Continue 11 framing 0 0 keep\n"},
};

struct Refused {
  const char* head;
  const char* detail;
};
const Refused kRefused[] = {
    {"HTTR", details::kInvalidVersion},
    {"\r\nHTTP/1.1 200 OK\r\n", details::kInvalidVersion},
    {"ICY 200 OK\r\n", details::kInvalidVersion},
    {"RTSP/1.1 200 OK\r\n", details::kInvalidVersion},
    {"HTTP/2.0 200 OK\r\n", details::kInvalidVersion},
    {"HTTP/1.2 200 OK\r\n", details::kInvalidVersion},
    {"HTTP/1.1  200 OK\r\n", details::kInvalidStatus},
    {"HTTP/1.1\t200 OK\r\n", details::kInvalidVersion},
    {"HTTP/1.1 20 OK\r\n", details::kInvalidStatus},
    {"HTTP/1.1 2000 OK\r\n", details::kInvalidStatus},
    {"HTTP/1.1 099 OK\r\n", details::kInvalidStatus},
    {"HTTP/1.1 2x0 OK\r\n", details::kInvalidStatus},
    {"HTTP/1.1\r\n", details::kInvalidVersion},
    {"HTTP/1.1 2\r\n", details::kInvalidStatus},
    {"HTTP/1.1 200 OK\n", details::kBareLineFeed},
    {"HTTP/1.1 200\n", details::kInvalidStatus},
    {"HTTP/1.1 200 a\rb\r\n", details::kBareCarriageReturn},
    {"HTTP/1.1 200 a\x01"
     "b\r\n",
     details::kInvalidCharacters},
    {"HTTP/1.1 200 OK\r\nA : b\r\n", details::kInvalidHeaderName},
    {"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n", details::kObsoleteFolding},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
     details::kMultipleContentLengths},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n", details::kInvalidContentLength},
    {"HTTP/1.1 304 OK\r\nContent-Length: x\r\n\r\n", details::kInvalidContentLength},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
     details::kContentLengthAndChunked},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", details::kInvalidTransferEncoding},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
     details::kInvalidTransferEncoding},
    {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", details::kTransferEncodingNotAllowed},
    {"HTTP/1.1 200 OK\r\nConnection: a/b\r\n\r\n", details::kInvalidConnection},
};

}  // namespace

TEST_CASE("accepted heads of responses mean what they say") {
  for (const Accepted& c : kAccepted) {
    CAPTURE(c.head);
    std::string head(c.head);
    std::string expected = "done " + std::to_string(head.size()) + "\n" + c.text;
    CHECK(parseResponse(head, c.method).text == expected);
    CHECK(parseResponse(head + "HTTP/1.1 500 X\r\n\r\n", c.method).text == expected);
  }
}

TEST_CASE("refused heads of responses") {
  for (const Refused& c : kRefused) {
    CAPTURE(c.head);
    Outcome out = parseResponse(c.head);
    CHECK(out.result.state == ParseState::kError);
    if (out.result.state == ParseState::kError) CHECK(std::string(out.result.detail) == c.detail);
    CHECK(parseResponse(std::string(c.head) + "Y: z\r\n\r\n").text == out.text);
  }
}

TEST_CASE("limits of a response's head") {
  std::string head = "HTTP/1.1 200 OK\r\nX: " + std::string(80 * 1024 - 24, 'x') + "\r\n\r\n";
  CHECK(head.size() == 80 * 1024);
  CHECK(parseResponse(head).result.state == ParseState::kDone);
  CHECK(parseResponse("HTTP/1.1 200 OK\r\nXX: " + std::string(80 * 1024 - 24, 'x') + "\r\n\r\n")
            .text == "error 431 http1.headers_too_large");
  std::string many = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 101; i++) many += "X: y\r\n";
  CHECK(parseResponse(many + "\r\n").text == "error 431 http1.too_many_headers");
}
