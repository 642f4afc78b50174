// Vector and scalar scanning give the same answers: for every byte, at every place, in every
// alignment, at the very end of readable memory.
#include "base/scan.h"

#include <doctest/doctest.h>

#include <random>
#include <string>

#include "support/guarded.h"

using namespace millrace;

namespace {

using Scan = const char* (*)(const char*, const char*);
struct Pair {
  const char* name;
  Scan vector;
  Scan plain;
  char filler;
};
const Pair kPairs[] = {
    {"token", scanToken, scalar::scanToken, 'a'},
    {"token with marks", scanToken, scalar::scanToken, '!'},
    {"value", scanValue, scalar::scanValue, ' '},
    {"value with obs-text", scanValue, scalar::scanValue, '\xff'},
    {"target", scanTarget, scalar::scanTarget, '/'},
    {"line feed", scanLineFeed, scalar::scanLineFeed, '\r'},
};

// True when both agree on [p, end); says where not.
bool agree(const Pair& pair, const char* p, const char* end) {
  const char* v = pair.vector(p, end);
  const char* s = pair.plain(p, end);
  if (v == s) return true;
  MESSAGE(pair.name << ": vector " << (v - p) << ", scalar " << (s - p) << " of " << (end - p));
  return false;
}

}  // namespace

TEST_CASE("classes of bytes are those of the RFCs") {
  for (int c = 0; c < 256; c++) {
    CAPTURE(c);
    char ch = char(c);
    bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    bool mark = c != 0 && std::string_view("!#$%&'*+-.^_`|~").find(ch) != std::string_view::npos;
    CHECK(isByte(ch, kByteToken) == (alnum || mark));
    CHECK(isByte(ch, kByteValue) == (c == 9 || (c >= 0x20 && c != 0x7f)));
    CHECK(isByte(ch, kByteTarget) == (c > 0x20 && c < 0x7f && c != '#'));
    CHECK(isByte(ch, kByteQuoted) == (c == 9 || (c >= 0x20 && c != 0x7f && c != '"' && c != '\\')));
    CHECK(isByte(ch, kByteDigit) == (c >= '0' && c <= '9'));
  }
}

TEST_CASE("a backend was chosen") {
  CHECK(std::string_view(scanBackend()).size() > 0);
}

TEST_CASE("every byte at every place of runs up to 100 bytes") {
  Guarded memory(std::string(128, 'x'));
  for (const Pair& pair : kPairs) {
    bool same = true;
    for (size_t size = 0; size <= 100 && same; size++) {
      char* p = memory.before(size);
      char* end = memory.before(0);
      std::memset(p, pair.filler, size);
      same = agree(pair, p, end);
      // Past 48 bytes all lengths of the vector loops have been seen: a few places do.
      size_t step = size <= 48 ? 1 : 7;
      for (size_t at = 0; at < size && same; at += step) {
        for (int c = 0; c < 256 && same; c++) {
          p[at] = char(c);
          same = agree(pair, p, end);
        }
        p[at] = pair.filler;
      }
    }
    CHECK(same);
  }
}

TEST_CASE("every alignment") {
  Guarded memory(std::string(512, 'x'));
  for (const Pair& pair : kPairs) {
    bool same = true;
    for (size_t offset = 0; offset < 64; offset++) {
      char* p = memory.data() + offset;
      std::memset(memory.data(), pair.filler, 512);
      for (size_t at = 0; at < 200; at++) {
        p[at] = '\0';
        same = same && agree(pair, p, memory.before(0)) && agree(pair, p, p + at);
        p[at] = pair.filler;
      }
    }
    CHECK(same);
  }
}

TEST_CASE("random bytes") {
  std::mt19937 random(20261122);
  Guarded memory(std::string(512, 'x'));
  bool same = true;
  for (int round = 0; round < 20000 && same; round++) {
    size_t size = random() % 300;
    char* p = memory.before(size);
    int stops = int(random() % 4);  // runs of allowed bytes with few stops
    for (size_t i = 0; i < size; i++) {
      p[i] = stops == 3 ? char(random()) : char('!' + random() % 90);
    }
    for (int i = 0; i < stops && size != 0; i++) p[random() % size] = char(random());
    for (const Pair& pair : kPairs) same = same && agree(pair, p, memory.before(0));
  }
  CHECK(same);
}
