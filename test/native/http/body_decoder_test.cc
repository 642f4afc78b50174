// The end of bodies: by length, chunked, until the close. Every input is fed whole, split at each
// place, and byte by byte, always ending at an unmapped page.
#include "http/body_decoder.h"

#include <doctest/doctest.h>

#include <string>

#include "http/http1_parser.h"
#include "support/guarded.h"

using namespace millrace;

namespace {

struct Decoded {
  std::string data;
  std::string trailers;
  const char* error = nullptr;
  bool ended = false;
  size_t consumed = 0;
  std::string text() const {
    return data + "|" + trailers + "|" +
           (error != nullptr ? error
            : ended          ? "end"
                             : "more") +
           "|" + (error != nullptr ? "" : std::to_string(consumed));
  }
};

// Feeds `bytes` in pieces that end at `cuts`; what is not consumed is offered again with what
// follows.
Decoded decode(std::string_view bytes, BodyFraming framing, uint64_t length,
               std::initializer_list<size_t> cuts, bool byByte = false) {
  ChunkPool pool;
  Arena arena(pool);
  HeaderList trailers(arena);
  BodyDecoder decoder;
  decoder.start(framing, length);
  Decoded out;
  auto feed = [&](size_t upTo) {
    if (out.error != nullptr || out.ended) return;
    Guarded memory(bytes.substr(out.consumed, upTo - out.consumed));
    std::string_view rest = memory.view();
    while (true) {
      BodyDecoder::Step step = decoder.next(rest, &trailers);
      out.data += step.data;
      out.consumed += step.consumed;
      out.error = step.kind == BodyDecoder::Kind::kError ? step.detail : nullptr;
      out.ended = step.kind == BodyDecoder::Kind::kEnd || step.end;
      CHECK((step.kind != BodyDecoder::Kind::kError || step.detail != nullptr));
      CHECK(step.consumed <= rest.size());
      if (step.kind != BodyDecoder::Kind::kData || step.end) return;
      CHECK(!step.data.empty());
      rest.remove_prefix(step.consumed);
    }
  };
  if (byByte) {
    for (size_t n = 1; n <= bytes.size(); n++) feed(n);
  } else {
    for (size_t cut : cuts) feed(cut);
    feed(bytes.size());
  }
  for (const Header& h : trailers) {
    out.trailers += std::string(h.name) + "=" + std::string(h.value) + ";";
  }
  return out;
}

std::string everyWay(std::string_view bytes, BodyFraming framing, uint64_t length = 0) {
  std::string whole = decode(bytes, framing, length, {}).text();
  CHECK(decode(bytes, framing, length, {}, true).text() == whole);
  for (size_t n = 0; n <= bytes.size(); n++) {
    std::string split = decode(bytes, framing, length, {n}).text();
    if (split != whole) FAIL_CHECK("split at " << n << ": " << split << " whole: " << whole);
  }
  return whole;
}
std::string chunked(std::string_view bytes) {
  return everyWay(bytes, BodyFraming::kChunked);
}

}  // namespace

TEST_CASE("no body, and a length of 0") {
  CHECK(everyWay("x", BodyFraming::kNone) == "||end|0");
  CHECK(everyWay("x", BodyFraming::kLength, 0) == "||end|0");
  BodyDecoder decoder;
  decoder.start(BodyFraming::kLength, 0);
  CHECK(decoder.done());
}

TEST_CASE("a length") {
  CHECK(everyWay("hello", BodyFraming::kLength, 5) == "hello||end|5");
  CHECK(everyWay("hello more", BodyFraming::kLength, 5) == "hello||end|5");
  CHECK(everyWay("hell", BodyFraming::kLength, 5) == "hell||more|4");
  CHECK(everyWay("", BodyFraming::kLength, 5) == "||more|0");
}

TEST_CASE("until the close") {
  CHECK(everyWay("all of it\r\n0\r\n\r\n", BodyFraming::kUntilClose) ==
        "all of it\r\n0\r\n\r\n||more|16");
  BodyDecoder decoder;
  decoder.start(BodyFraming::kUntilClose, 0);
  CHECK(decoder.endsAtClose());
}

TEST_CASE("chunks") {
  CHECK(chunked("0\r\n\r\n") == "||end|5");
  CHECK(chunked("5\r\nhello\r\n0\r\n\r\nGET /") == "hello||end|15");
  CHECK(chunked("5\r\nhello\r\n6\r\n world\r\n000\r\n\r\n") == "hello world||end|28");
  CHECK(chunked("aB\r\n" + std::string(0xab, 'x') + "\r\n0\r\n\r\n") ==
        std::string(0xab, 'x') + "||end|182");
  CHECK(chunked("000000000000000a\r\n0123456789\r\n0\r\n\r\n") == "0123456789||end|35");
  CHECK(chunked("5\r\nhel") == "hel||more|6");
  CHECK(chunked("5\r\nhello\r\n0\r\n") == "hello||more|13");
}

TEST_CASE("extensions are checked and dropped") {
  CHECK(chunked("1;a\r\nx\r\n0;b=c\r\n\r\n") == "x||end|17");
  CHECK(chunked("1 ; a = b ;c;d=\"e\\\"\\\\ f;\t\"\r\nx\r\n0\r\n\r\n") == "x||end|36");
  CHECK(chunked("1;a=\"\xff\"\r\nx\r\n0\r\n\r\n") == "x||end|17");
  for (const char* bad :
       {"1;\r\n", "1;;a\r\n", "1;a=\r\n", "1;=b\r\n", "1;a b\r\n", "1;a \r\n", "1;a=b c\r\n",
        "1;a=\"b\r\n", "1;a=\"b\"c\r\n", "1;a=\"\x01\"\r\n", "1;a=\"\\\x01\"\r\n", "1;a\x80\r\n",
        "1;a\n", "1;a=b\n", "1;a=b \r\n", "1;a,\r\n"}) {
    CAPTURE(bad);
    CHECK(chunked(bad) == std::string("||") + details::kInvalidChunkExtension + "|");
  }
}

TEST_CASE("sizes that are none") {
  for (const char* bad :
       {"\r\n", "g\r\n", "-1\r\n", "+1\r\n", "0x1\r\n", " 1\r\n", "1 \r\n", "1\t\r\n", "1 2\r\n",
        "1\n", "1\r1", "1\r\r\n", ";a\r\n", "1_0\r\n", "1\x80\r\n", "00000000000000001\r\n",
        "ffffffffffffffff\r\n", "4000000000000000\r\n", "10000000000000000\r\n"}) {
    CAPTURE(bad);
    CHECK(chunked(bad) == std::string("||") + details::kInvalidChunkSize + "|");
  }
  CHECK(chunked("3fffffffffffffff\r\nx") == "x||more|19");
}

TEST_CASE("what must follow the data of a chunk") {
  for (const char* bad : {"1\r\nxx", "1\r\nx\n", "1\r\nx\r0", "1\r\nx\r\r\n", "1\r\nx0\r\n"}) {
    CAPTURE(bad);
    CHECK(chunked(bad) == std::string("x||") + details::kInvalidChunkEnd + "|");
  }
}

TEST_CASE("a size line has a limit") {
  std::string ext(BodyDecoder::kChunkLineBytes - 4, 'a');
  CHECK(chunked("1;" + ext + "\r\nx\r\n0\r\n\r\n") == "x||end|" + std::to_string(ext.size() + 12));
  CHECK(chunked("1;a" + ext + "\r\nx") ==
        std::string("||") + details::kInvalidChunkExtension + "|");
}

TEST_CASE("trailers") {
  CHECK(chunked("0\r\nA: b\r\nExpires:\t c \r\n\r\nrest") == "|A=b;Expires=c;|end|25");
  CHECK(chunked("0\r\nA:\r\n\r\n") == "|A=;|end|9");
  for (const char* bad : {"0\r\nA\r\n", "0\r\n: b\r\n", "0\r\nA : b\r\n", "0\r\n A: b\r\n",
                          "0\r\nA: \x01\r\n", "0\r\nA: b\rc\r\n", "0\r\nContent-Length: 1\r\n",
                          "0\r\nTransfer-Encoding: chunked\r\n", "0\r\nHost: h\r\n"}) {
    CAPTURE(bad);
    CHECK(chunked(bad) == std::string("||") + details::kInvalidTrailer + "|");
  }
  CHECK(chunked("0\r\nA: b\n") == std::string("||") + details::kBareLineFeed + "|");
  CHECK(chunked("0\r\n\n") == std::string("||") + details::kBareLineFeed + "|");
}

TEST_CASE("trailers have limits") {
  std::string tooLarge = std::string("||") + details::kTrailersTooLarge + "|";
  CHECK(chunked("0\r\nA: " + std::string(9000, 'x')) == tooLarge);
  std::string line = "A: " + std::string(7000, 'x') + "\r\n", many;
  for (int i = 0; i < 9; i++) many += line;
  CHECK(decode("0\r\n" + many + "\r\n", BodyFraming::kChunked, 0, {}).error ==
        details::kTrailersTooLarge);
  many.clear();
  for (int i = 0; i < 101; i++) many += "A: b\r\n";
  CHECK(decode("0\r\n" + many + "\r\n", BodyFraming::kChunked, 0, {}).error ==
        details::kTrailersTooLarge);
}

TEST_CASE("trailers may be dropped, but not unchecked") {
  BodyDecoder decoder;
  decoder.start(BodyFraming::kChunked, 0);
  CHECK(decoder.next("0\r\nA: b\r\n\r\n", nullptr).kind == BodyDecoder::Kind::kEnd);
  decoder.start(BodyFraming::kChunked, 0);
  CHECK(decoder.next("0\r\nA b\r\n\r\n", nullptr).kind == BodyDecoder::Kind::kError);
}
