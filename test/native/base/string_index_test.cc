#include "base/string_index.h"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <string>

#include "base/ascii.h"

using namespace millrace;

TEST_CASE("what was inserted is found, nothing else") {
  std::mt19937 random(1);
  for (Fold fold : {Fold::kNone, Fold::kLower}) {
    StringIndex index(fold);
    std::map<std::string, uint32_t> expected;
    auto word = [&] {
      std::string s;
      for (uint32_t n = random() % 20; n > 0; n--) s.push_back("abAB@[`{\xc3\xe4"[random() % 10]);
      return s;
    };
    for (uint32_t i = 0; i < 5000; i++) {
      std::string key = word();
      std::string stored = fold == Fold::kLower ? lowered(key) : key;
      CHECK(index.insert(key, i) == expected.insert({stored, i}).second);
    }
    CHECK(index.size() == expected.size());
    for (int i = 0; i < 20'000; i++) {
      std::string key = word();
      auto it = expected.find(fold == Fold::kLower ? lowered(key) : key);
      uint32_t value = it == expected.end() ? StringIndex::kNone : it->second;
      if (index.find(key) != value) FAIL_CHECK(key);
    }
  }
}

TEST_CASE("an empty table finds nothing, and the empty string is a key") {
  StringIndex index;
  CHECK(index.find("") == StringIndex::kNone);
  CHECK(index.insert("", 3));
  CHECK(index.find("") == 3);
  CHECK(index.find("a") == StringIndex::kNone);
}

TEST_CASE("folding eight bytes folds what folding one byte does") {
  for (int c = 0; c < 256; c++) {
    std::string text(17, char(c));
    std::string one(17, toLower(char(c)));
    CHECK(equalsLower(text, one));
    CHECK(lowered(text) == one);
    uint64_t word = 0x0101010101010101u * uint64_t(c);
    CHECK(toLower8(word) == 0x0101010101010101u * uint8_t(toLower(char(c))));
  }
}
