#include "proxy/dfa.h"

#include <doctest/doctest.h>

#include "proxy/regex_kit.h"
#include "support/repetitions.h"

using namespace millrace;
using namespace millrace::test;

namespace {

Dfa compiled(std::string_view pattern) {
  Result<Dfa> dfa = Dfa::compile(dfaOf(pattern), "d");
  REQUIRE(dfa.ok());
  return std::move(*dfa);
}

}  // namespace

TEST_CASE("an automaton matches the whole input or not at all") {
  Dfa dfa = compiled("/users/\\d+(/posts)?");
  CHECK(dfa.matches("/users/12"));
  CHECK(dfa.matches("/users/12/posts"));
  CHECK_FALSE(dfa.matches("/users/"));
  CHECK_FALSE(dfa.matches("/users/12/"));
  CHECK_FALSE(dfa.matches("x/users/12"));
  CHECK_FALSE(dfa.matches(""));
  CHECK(compiled("").matches(""));
  CHECK_FALSE(Dfa().matches(""));
}

TEST_CASE("an automaton answers as a backtracking matcher does") {
  std::mt19937 random(2);
  RandomRegex patterns(random);
  const int patternCount = repetitions(1500);
  int matches = 0;
  for (int i = 0; i < patternCount; i++) {
    std::string pattern = patterns.make(2);
    Regex regex(pattern);
    Dfa dfa = compiled(pattern);
    for (int j = 0; j < 10; j++) {
      std::string input;
      for (uint32_t n = random() % 9; n > 0; n--) input.push_back("abc"[random() % 3]);
      INFO("pattern ", pattern, " input ", input);
      bool expected = matchesAll(regex, input);
      REQUIRE(dfa.matches(input) == expected);
      matches += expected;
      if (expected) REQUIRE(input.starts_with(dfa.literalPrefix()));
    }
  }
  CHECK(matches > patternCount / 3);
}

TEST_CASE("every match begins with the literal prefix") {
  CHECK(compiled("/users/\\d+").literalPrefix() == "/users/");
  CHECK(compiled("/a|/b").literalPrefix() == "/");
  CHECK(compiled("/abc").literalPrefix() == "/abc");
  CHECK(compiled("/abc/?").literalPrefix() == "/abc");
  CHECK(compiled(".*x").literalPrefix() == "");
  CHECK(compiled("").literalPrefix() == "");
}

TEST_CASE("tables that would lead out of bounds are refused by name") {
  auto error = [](auto change) {
    spec::Dfa spec = dfaOf("ab");
    change(spec);
    Result<Dfa> r = Dfa::compile(std::move(spec), "m");
    return r.ok() ? std::string("ok") : r.error().message;
  };
  CHECK(error([](spec::Dfa&) {}) == "ok");
  CHECK(error([](spec::Dfa& d) { d.classes.pop_back(); }) == "m.classes: must have 256 entries");
  CHECK(error([](spec::Dfa& d) { d.classCount = 255; }) ==
        "m.classes: names a class beyond classCount");
  CHECK(error([](spec::Dfa& d) { d.classCount = 0; }) == "m.classCount: must be from 1 to 256");
  CHECK(error([](spec::Dfa& d) { d.next.pop_back(); }) ==
        "m.next: must have classCount entries for each state of accepting");
  CHECK(error([](spec::Dfa& d) { d.next[300] = 100; }) ==
        "m.next: leads to a state that is not there");
  CHECK(error([](spec::Dfa& d) { d.start = 100; }) == "m.start: is not a state");
  CHECK(error([](spec::Dfa& d) { d.next[7] = 1; }) == "m: state 0 must be dead");
  CHECK(error([](spec::Dfa& d) { d.accepting[0] = 1; }) == "m: state 0 must be dead");
}
