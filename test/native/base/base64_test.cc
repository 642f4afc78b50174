// Base64: the vectors of RFC 4648 §10, every byte, and what is none.
#include "base/base64.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>

using namespace millrace;

namespace {

std::string encoded(std::string_view data) {
  std::string out(base64Size(data.size()), ' ');
  encodeBase64(data, out.data());
  return out;
}

// "!" when it is no Base64.
std::string decoded(std::string_view text) {
  std::string out(base64DecodedSize(text.size()), ' ');
  size_t size = 0;
  if (!decodeBase64(text, out.data(), size)) return "!";
  out.resize(size);
  return out;
}

}  // namespace

TEST_CASE("base64 has the vectors of its RFC") {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (auto [data, text] : vectors) {
    CHECK(encoded(data) == text);
    CHECK(decoded(text) == data);
  }
}

TEST_CASE("base64 gives every byte back") {
  std::string all;
  for (int i = 0; i < 256; i++) {
    all += char(i);
    CHECK(decoded(encoded(all)) == all);
  }
}

TEST_CASE("base64 is taken in one form only") {
  for (const char* text : {"Zg", "Zg=", "Zg===", "=Zg=", "Z===", "====", "Zm=v", "Zm9v=", "Zm9*",
                           "Zm9v Zg==", "Zg==Zm9v", "Zh==", "Zm9=", "Zm9_", "\xff\xff\xff\xff"}) {
    CHECK_MESSAGE(decoded(text) == "!", text);
  }
}
