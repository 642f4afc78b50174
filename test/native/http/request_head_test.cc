// Heads of requests: what is accepted, with its meaning, and what is refused, with its status.
// Every input is parsed whole, split at each place, and byte by byte, always ending at an unmapped
// page.
#include "http/http1_parser.h"

#include <doctest/doctest.h>

#include <string>

#include "parse_support.h"

using namespace millrace;
using namespace millrace::test;

namespace {

struct Accepted {
  const char* head;
  const char* text;  // describe(), behind the line of the result
};
const Accepted kAccepted[] = {
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET |a|/ 11 framing 0 0 keep\n"},
    {"GET / HTTP/1.1\r\nHost:a\r\nX:\r\nY:   \r\nZ: \t a b \t\r\n\r\n",
     "GET |a|/ 11 framing 0 0 keep\nX=\nY=\nZ=a b\n"},
    {"M-SEARCH /a?b=c%20d&\"\\^`{|} HTTP/1.1\r\nHost: a:80\r\n\r\n",
     "M-SEARCH |a:80|/a?b=c%20d&\"\\^`{|} 11 framing 0 0 keep\n"},
    {"POST /up HTTP/1.1\r\nHost: [::1]:8080\r\nContent-Length: 007\r\n\r\n",
     "POST |[::1]:8080|/up 11 framing 1 7 keep\nContent-Length=007\n"},
    {"POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 999999999999999999\r\n\r\n",
     "POST |a|/ 11 framing 1 999999999999999999 keep\ncontent-length=999999999999999999\n"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ChUnKeD \r\n\r\n",
     "POST |a|/ 11 framing 2 0 keep\nTransfer-Encoding=ChUnKeD\n"},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS |a|* 11 framing 0 0 keep\n"},
    {"OPTIONS http://h HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS http|h|/ 11 framing 0 0 keep\n"},
    {"GET http://h HTTP/1.1\r\nHost: a\r\n\r\n", "GET http|h|/ 11 framing 0 0 keep\n"},
    {"GET HTTPS://H:443/x HTTP/1.1\r\nHost: a\r\n\r\n", "GET https|H:443|/x 11 framing 0 0 keep\n"},
    {"GET http://h?q=/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET http|h|/?q=/ 11 framing 0 0 keep\n"},
    {"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", "CONNECT |h:443| 11 framing 0 0 keep\n"},
    {"GET / HTTP/1.1\r\nHost: a_b.%41*!$&'()+,;=~-\r\n\r\n",
     "GET |a_b.%41*!$&'()+,;=~-|/ 11 framing 0 0 keep\n"},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
     "GET |a|/ 11 framing 0 0 close\nConnection=close\n"},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, , CLOSE\r\n\r\n",
     "GET |a|/ 11 framing 0 0 close\nConnection=keep-alive, , CLOSE\n"},
    {"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-Continue\r\n\r\n",
     "PUT |a|/ 11 framing 1 1 keep expect\nContent-Length=1\nExpect=100-Continue\n"},
    {"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
     "GET |a|/ 11 framing 0 0 keep\nExpect=100-continue\n"},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: \x80\xff caf\xc3\xa9\tq\r\n\r\n",
     "GET |a|/ 11 framing 0 0 keep\nX=\x80\xff caf\xc3\xa9\tq\n"},
};

struct Refused {
  const char* head;
  int status;
  const char* detail;
};
const Refused kRefused[] = {
    // The request line (RFC 9112 §3).
    {"G\x01T / HTTP/1.1\r\n", 400, details::kInvalidMethod},
    {" GET / HTTP/1.1\r\n", 400, details::kInvalidMethod},
    {"\nGET / HTTP/1.1\r\n", 400, details::kInvalidMethod},
    {"\x16\x03\x01", 400, details::kInvalidMethod},
    {"G(T", 400, details::kInvalidMethod},
    {"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG", 501, details::kMethodTooLong},
    {"GET\t/ HTTP/1.1\r\n", 400, details::kInvalidMethod},
    {"GET  / HTTP/1.1\r\n", 400, details::kInvalidUrl},
    {"GET / \r\n", 400, details::kInvalidVersion},
    {"GET /\r\n", 400, details::kInvalidUrl},
    {"GET / HTTP/1.1 \r\n", 400, details::kInvalidVersion},
    {"GET /  HTTP/1.1\r\n", 400, details::kInvalidVersion},
    {"GET / HTTP/1.1\n", 400, details::kBareLineFeed},
    {"GET / HTTP/1.1\rX\r\n", 400, details::kBareCarriageReturn},
    {"GET / http/1.1\r\n", 400, details::kInvalidVersion},
    {"GET / HTTP/1.01\r\n", 400, details::kInvalidVersion},
    {"GET / HTTP/11\r\n", 400, details::kInvalidVersion},
    {"GET / HTTP/1.2\r\n", 505, details::kInvalidVersion},
    {"GET / HTTP/2.0\r\n", 505, details::kInvalidVersion},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, details::kHttp2Preface},
    {"GET / HTTP/1.0\r\n\r\n", 426, details::kLowVersion},
    // The target (RFC 9112 §3.2).
    {"GET /a#b HTTP/1.1\r\n", 400, details::kInvalidUrl},
    {"GET /\x7f HTTP/1.1\r\n", 400, details::kInvalidUrl},
    {"GET /\xc3\xa9 HTTP/1.1\r\n", 400, details::kInvalidUrl},
    {"GET a HTTP/1.1\r\n", 400, details::kInvalidUrl},
    {"GET * HTTP/1.1\r\n", 400, details::kInvalidUrl},
    {"GET ftp://h/ HTTP/1.1\r\n", 400, details::kInvalidUrl},
    {"GET http:/h HTTP/1.1\r\n", 400, details::kInvalidUrl},
    {"GET http:///p HTTP/1.1\r\n", 400, details::kInvalidUrl},
    {"GET http://u:p@h/ HTTP/1.1\r\n", 400, details::kInvalidUrl},
    {"GET http://h:65536/ HTTP/1.1\r\n", 400, details::kInvalidUrl},
    {"GET http://h:x/ HTTP/1.1\r\n", 400, details::kInvalidUrl},
    {"CONNECT h HTTP/1.1\r\n", 400, details::kInvalidUrl},
    {"CONNECT h: HTTP/1.1\r\n", 400, details::kInvalidUrl},
    {"CONNECT /p HTTP/1.1\r\n", 400, details::kInvalidUrl},
    // Host (RFC 9112 §3.2).
    {"GET / HTTP/1.1\r\n\r\n", 400, details::kMissingHost},
    {"GET http://h/ HTTP/1.1\r\n\r\n", 400, details::kMissingHost},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, details::kMultipleHosts},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, details::kInvalidHost},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, details::kInvalidHost},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, details::kInvalidHost},
    {"GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", 400, details::kInvalidHost},
    {"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400, details::kInvalidHost},
    {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, details::kInvalidHost},
    {"GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", 400, details::kInvalidHost},
    {"GET / HTTP/1.1\r\nHost: [g::]\r\n\r\n", 400, details::kInvalidHost},
    {"GET / HTTP/1.1\r\nHost: a%4\r\n\r\n", 400, details::kInvalidHost},
    {"GET / HTTP/1.1\r\nHost: a%zz\r\n\r\n", 400, details::kInvalidHost},
    {"GET / HTTP/1.1\r\nHost: caf\xc3\xa9\r\n\r\n", 400, details::kInvalidHost},
    // Field lines (RFC 9112 §5).
    {"GET / HTTP/1.1\r\nHost : a\r\n", 400, details::kInvalidHeaderName},
    {"GET / HTTP/1.1\r\n: a\r\n", 400, details::kInvalidHeaderName},
    {"GET / HTTP/1.1\r\nA\x80: a\r\n", 400, details::kInvalidHeaderName},
    {"GET / HTTP/1.1\r\nno colon\r\n", 400, details::kInvalidHeaderName},
    {"GET / HTTP/1.1\r\nnocolon\r\n", 400, details::kInvalidHeaderName},
    {"GET / HTTP/1.1\r\n X: a\r\n", 400, details::kObsoleteFolding},
    {"GET / HTTP/1.1\r\nX: a\r\n\tb\r\n", 400, details::kObsoleteFolding},
    {"GET / HTTP/1.1\r\nX: a\r\n \r\n", 400, details::kObsoleteFolding},
    {"GET / HTTP/1.1\r\nX: a\n", 400, details::kBareLineFeed},
    {"GET / HTTP/1.1\r\nHost: a\r\n\n", 400, details::kBareLineFeed},
    {"GET / HTTP/1.1\r\nX: a\rb\r\n", 400, details::kBareCarriageReturn},
    {"GET / HTTP/1.1\r\nX: a\r\n\rb\r\n", 400, details::kBareCarriageReturn},
    {"GET / HTTP/1.1\r\nX: a\x0b\r\n", 400, details::kInvalidCharacters},
    {"GET / HTTP/1.1\r\nX: \x7f\r\n", 400, details::kInvalidCharacters},
    // Framing (RFC 9112 §6).
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 400,
     details::kMultipleContentLengths},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", 400,
     details::kInvalidContentLength},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", 400,
     details::kInvalidContentLength},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", 400,
     details::kInvalidContentLength},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", 400,
     details::kInvalidContentLength},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400, details::kInvalidContentLength},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000000000\r\n\r\n", 400,
     details::kInvalidContentLength},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
     details::kContentLengthAndChunked},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
     "chunked\r\n\r\n",
     400, details::kInvalidTransferEncoding},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400,
     details::kInvalidTransferEncoding},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 400,
     details::kInvalidTransferEncoding},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400,
     details::kInvalidTransferEncoding},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", 400,
     details::kInvalidTransferEncoding},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,chunked\r\n\r\n", 400,
     details::kInvalidTransferEncoding},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", 400,
     details::kInvalidTransferEncoding},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501,
     details::kInvalidTransferEncoding},
    {"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\nContent-Length: 1\r\n\r\n", 400,
     details::kConnectWithBody},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: a b\r\n\r\n", 400, details::kInvalidConnection},
};

}  // namespace

TEST_CASE("accepted heads mean what they say") {
  for (const Accepted& c : kAccepted) {
    CAPTURE(c.head);
    std::string head(c.head);
    std::string expected = "done " + std::to_string(head.size()) + "\n" + c.text;
    CHECK(parseRequest(head).text == expected);
    CHECK(parseRequest(head + "GET /next HTTP/1.1\r\n\r\n").text == expected);
  }
}

TEST_CASE("refused heads") {
  for (const Refused& c : kRefused) {
    CAPTURE(c.head);
    std::string expected = "error " + std::to_string(c.status) + " " + c.detail;
    CHECK(parseRequest(c.head).text == expected);
    CHECK(parseRequest(std::string(c.head) + "Y: z\r\n\r\n").text == expected);
  }
}

TEST_CASE("every CTL is refused in a name, a value and a target") {
  for (int c = 0; c < 256; c++) {
    CAPTURE(c);
    std::string byte(1, char(c));
    std::string start = "GET / HTTP/1.1\r\nHost: a\r\n";
    bool ctl = (c < 0x20 && c != '\t') || c == 0x7f;
    std::string value = start + "X: a" + byte + "b\r\n\r\n";
    CHECK((parseRequest(value).result.state == ParseState::kDone) == !ctl);
    if (ctl || c >= 0x80 || c == ' ' || c == '\t') {
      std::string name = start + "X" + byte + "Y: b\r\n\r\n";
      CHECK(parseRequest(name).result.state == ParseState::kError);
      std::string target = "GET /" + byte + " HTTP/1.1\r\nHost: a\r\n\r\n";
      CHECK(parseRequest(target).result.state == ParseState::kError);
    }
  }
}

TEST_CASE("HTTP/1.0 when it is switched on") {
  ParseOptions options;
  options.acceptHttp10 = true;
  auto text = [&](const char* head) { return parseRequest(head, options).text; };
  CHECK(text("GET / HTTP/1.0\r\n\r\n") == "done 18\nGET ||/ 10 framing 0 0 close\n");
  CHECK(text("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n") ==
        "done 42\nGET ||/ 10 framing 0 0 keep\nConnection=Keep-Alive\n");
  CHECK(text("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") ==
        "error 400 http1.transfer_encoding_not_allowed");
}

TEST_CASE("absolute form when it is switched off") {
  ParseOptions options;
  options.allowAbsoluteUrl = false;
  CHECK(parseRequest("GET http://h/ HTTP/1.1\r\nHost: a\r\n\r\n", options).text ==
        "error 400 http1.invalid_url");
}

TEST_CASE("what Connection nominates goes, unless it means the same to every hop") {
  std::string head =
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Mine, x-forwarded-for, Cookie, Content-Length\r\n"
      "X-MINE: 1\r\nX-Forwarded-For: 2\r\nx-mine: 3\r\nCookie: 4\r\n\r\n";
  CHECK(parseRequest(head).text ==
        "done " + std::to_string(head.size()) +
            "\nGET |a|/ 11 framing 0 0 keep\n"
            "Connection=X-Mine, x-forwarded-for, Cookie, Content-Length\n"
            "X-Forwarded-For=2\nCookie=4\n");
  std::string options;
  for (int i = 0; i < 33; i++) options += "a,";
  CHECK(parseRequest("GET / HTTP/1.1\r\nHost: a\r\nConnection: " + options + "\r\n\r\n").text ==
        "error 400 http1.connection_header_rejected");
}

TEST_CASE("limits: fields, bytes of the head") {
  ParseOptions options;
  options.limits.headers = 3;
  std::string three = "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\n";
  CHECK(parseRequest(three + "\r\n", options).result.state == ParseState::kDone);
  CHECK(parseRequest(three + "C: 3\r\n\r\n", options).text == "error 431 http1.too_many_headers");
  options = {};
  std::string head = "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(2000, 'x') + "\r\n\r\n";
  options.limits.headBytes = uint32_t(head.size());
  CHECK(parseRequest(head, options).result.state == ParseState::kDone);
  CHECK(parseRequest(head + "behind", options).result.state == ParseState::kDone);
  options.limits.headBytes--;
  CHECK(parseRequest(head, options).text == "error 431 http1.headers_too_large");
  CHECK(parseRequest("GET /" + std::string(3000, 'a'), options).text ==
        "error 431 http1.headers_too_large");
}

TEST_CASE("the limits by default: 100 fields, 60 KiB") {
  std::string fields;
  for (int i = 0; i < 99; i++) fields += "X: y\r\n";
  std::string start = "GET / HTTP/1.1\r\nHost: a\r\n";
  CHECK(parseRequest(start + fields + "\r\n").result.state == ParseState::kDone);
  CHECK(parseRequest(start + fields + "X: y\r\n\r\n").text == "error 431 http1.too_many_headers");
  std::string big(60 * 1024, 'x');
  CHECK(parseRequest(start + "X: " + big + "\r\n\r\n").text == "error 431 http1.headers_too_large");
}

TEST_CASE("a head that arrives slowly costs time in proportion to its size") {
  // One line of 60 KiB and 90 short ones, byte by byte: looking at all bytes each time would
  // be 3.7e9 of them.
  std::string head = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 90; i++) head += "X: y\r\n";
  head += "Y: " + std::string(60 * 1024 - head.size() - 7, 'y') + "\r\n\r\n";
  Guarded memory(head);
  ChunkPool pool;
  Arena arena(pool);
  RequestHead out(arena);
  ParseProgress progress;
  ParseResult result;
  bool steady = true;
  for (size_t n = 1; n <= head.size(); n++) {
    result = parseRequestHead(memory.view().substr(0, n), {}, progress, out);
    // What was looked at stays looked at.
    bool last = n == head.size();
    steady = steady && (last || (result.state == ParseState::kPartial && progress.scanned == n));
  }
  CHECK(steady);
  CHECK(result.state == ParseState::kDone);
  CHECK(out.headers.size() == 91);
}

TEST_CASE("bytes that were there before may be offered again, in part") {
  std::string head = "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
  ChunkPool pool;
  Arena arena(pool);
  RequestHead out(arena);
  ParseProgress progress;
  std::string_view bytes(head);
  for (size_t n : {30u, 20u, 30u, 0u, 1u}) {
    CHECK(parseRequestHead(bytes.substr(0, n), {}, progress, out).state == ParseState::kPartial);
  }
  CHECK(parseRequestHead(bytes, {}, progress, out).state == ParseState::kDone);
}

TEST_CASE("empty lines in front of a request") {
  CHECK(leadingEmptyLines("") == 0);
  CHECK(leadingEmptyLines("\r") == 0);
  CHECK(leadingEmptyLines("\r\n") == 2);
  CHECK(leadingEmptyLines("\r\n\r\nGET") == 4);
  CHECK(leadingEmptyLines("\r\n\r") == 2);
  CHECK(leadingEmptyLines("\n\r\n") == 0);
}
