#include "upstream/balancer/hash.h"

#include <doctest/doctest.h>

#include <functional>
#include <string>

using namespace millrace;

TEST_CASE("xxHash64 gives the values of its reference implementation") {
  CHECK(xxHash64("") == 0xEF46DB3751D8E999);
  CHECK(xxHash64("a") == 0xD24EC4F1A98C6E5B);
  CHECK(xxHash64("abc") == 0x44BC2CF5AD770999);
  CHECK(xxHash64("Nobody inspects the spammish repetition") == 0xFBCEA83C8A378BF1);
  // The sanity test of the reference: bytes of a generator, with and without a seed.
  std::string buffer;
  uint64_t generator = 2654435761u;
  for (int i = 0; i < 222; i++) {
    buffer += char(generator >> 56);
    generator *= 11400714785074694797u;
  }
  constexpr uint64_t kSeed = 2654435761u;
  auto first = [&](size_t n) { return std::string_view(buffer).substr(0, n); };
  CHECK(xxHash64("", kSeed) == 0xAC75FDA2929B17EF);
  CHECK(xxHash64(first(1)) == 0xE934A84ADB052768);
  CHECK(xxHash64(first(1), kSeed) == 0x5014607643A9B4C3);
  CHECK(xxHash64(first(4)) == 0x9136A0DCA57457EE);
  CHECK(xxHash64(first(14)) == 0x8282DCC4994E35C8);
  CHECK(xxHash64(first(14), kSeed) == 0xC3BD6BF63DEB6DF0);
  CHECK(xxHash64(first(222)) == 0xB641AE8CB691C174);
  CHECK(xxHash64(first(222), kSeed) == 0x20CB8AB7AE10C14A);
}

#if defined(__GLIBCXX__) && __SIZEOF_SIZE_T__ == 8
TEST_CASE("murmurHash2 is what std::hash of this library is") {
  std::string text;
  for (int i = 0; i < 100; i++) {
    CHECK(murmurHash2(text) == std::hash<std::string>()(text));
    text += char(i * 7);
  }
}
#endif
