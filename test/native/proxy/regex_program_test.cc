#include "proxy/regex_program.h"

#include <doctest/doctest.h>

#include "proxy/regex_kit.h"
#include "proxy/regex_rewrite.h"
#include "support/repetitions.h"

using namespace millrace;
using namespace millrace::test;

namespace {

constexpr uint64_t kNoLimit = UINT64_MAX;

// Offsets of all groups of the first match at `from` or later; empty: no match.
Captures pike(const RegexProgram& program, std::string_view input, size_t from = 0) {
  ChunkPool pool;
  Arena arena(pool);
  RegexProgram::Searcher searcher(program, arena, kNoLimit);
  Captures out;
  if (!searcher.search(input, from)) return out;
  for (uint32_t g = 0; g < program.groups(); g++) {
    std::string_view text = searcher.group(g);
    if (text.data() == nullptr) {
      out.insert(out.end(), {-1, -1});
      continue;
    }
    int begin = int(text.data() - input.data());
    out.insert(out.end(), {begin, begin + int(text.size())});
  }
  return out;
}

RegexRewrite rewriteOf(std::string_view pattern, std::vector<spec::SubstitutionPart> parts) {
  Result<RegexRewrite> rewrite = RegexRewrite::compile({programOf(pattern), std::move(parts)}, "r");
  REQUIRE(rewrite.ok());
  return std::move(*rewrite);
}

std::string replaced(std::string_view pattern, std::vector<spec::SubstitutionPart> parts,
                     std::string_view text) {
  RegexRewrite rewrite = rewriteOf(pattern, std::move(parts));
  ChunkPool pool;
  Arena arena(pool);
  std::string_view out;
  REQUIRE(rewrite.replaceAll(text, arena, out));
  return std::string(out);
}

using P = std::vector<spec::SubstitutionPart>;

}  // namespace

TEST_CASE("a search finds what a backtracking matcher finds, groups included") {
  std::mt19937 random(1);
  RandomRegex patterns(random);
  const int patternCount = repetitions(3000);
  int matches = 0;
  for (int i = 0; i < patternCount; i++) {
    std::string pattern = patterns.make();
    Regex regex(pattern);
    Result<RegexProgram> program = RegexProgram::compile(programOf(regex), "p");
    REQUIRE(program.ok());
    for (int j = 0; j < 8; j++) {
      std::string input;
      for (uint32_t n = random() % 9; n > 0; n--) input.push_back("abc"[random() % 3]);
      size_t from = random() % (input.size() + 1);
      Captures expected;
      bool found = search(regex, input, from, expected);
      Captures actual = pike(*program, input, from);
      INFO("pattern ", pattern, " input ", input, " from ", from);
      REQUIRE(actual == (found ? expected : Captures()));
      matches += found;
    }
  }
  CHECK(matches > patternCount);
}

TEST_CASE("preference is leftmost-first") {
  auto first = [](std::string_view pattern, std::string_view input) {
    Result<RegexProgram> program = RegexProgram::compile(programOf(pattern), "p");
    REQUIRE(program.ok());
    Captures c = pike(*program, input);
    return c.empty() ? std::string("none")
                     : std::string(input.substr(size_t(c[0]), size_t(c[1] - c[0])));
  };
  CHECK(first("a|ab", "ab") == "a");
  CHECK(first("ab|a", "ab") == "ab");
  CHECK(first("a*", "aaab") == "aaa");
  CHECK(first("a*?", "aaab") == "");
  CHECK(first("x*", "aaa") == "");
  CHECK(first("b+", "aabba") == "bb");
  CHECK(first("^b", "ab") == "none");
  CHECK(first("b$", "bab") == "b");
  CHECK(first("(a|b)*c", "xxababc") == "ababc");
}

TEST_CASE("searching takes time linear in the input") {
  // Backtracking needs 2^n steps for these.
  Result<RegexProgram> program = RegexProgram::compile(programOf("(a?a?a?a?a?a?a?a?)(a|a)*b"), "p");
  REQUIRE(program.ok());
  ChunkPool pool;
  Arena arena(pool);
  std::string input(20'000, 'a');
  RegexProgram::Searcher searcher(*program, arena, 100 * input.size());
  CHECK_FALSE(searcher.search(input, 0));
  CHECK_FALSE(searcher.exhausted());
}

TEST_CASE("programs that would leave their bounds are refused by name") {
  using Op = spec::RegexProgram::Op;
  auto error = [](std::vector<int32_t> code, size_t sets = 1, uint32_t groups = 1) {
    Result<RegexProgram> r =
        RegexProgram::compile({std::move(code), std::vector<uint8_t>(sets * 32), groups}, "x");
    return r.ok() ? std::string("ok") : r.error().message;
  };
  CHECK(error({Op::kMatch, 0, 0}) == "ok");
  CHECK(error({}) == "x.code: must be triples");
  CHECK(error({Op::kMatch, 0}) == "x.code: must be triples");
  CHECK(error({Op::kClass, 0, 0}) == "x.code[0]: runs past the end");
  CHECK(error({Op::kClass, 1, 0, Op::kMatch, 0, 0}) == "x.code[0]: names a set that is not there");
  CHECK(error({Op::kJump, 1, 0}) == "x.code[0]: leads out of the program");
  CHECK(error({Op::kSplit, 0, -1}) == "x.code[0]: leads out of the program");
  CHECK(error({Op::kSave, 2, 0, Op::kMatch, 0, 0}) == "x.code[0]: saves a group that is not there");
  CHECK(error({9, 0, 0, Op::kMatch, 0, 0}) == "x.code[0]: is no known instruction");
  CHECK(error({Op::kMatch, 0, 0}, 1, 0) == "x.groups: must be 1 to 1000");
}

TEST_CASE("replacing does what RE2::GlobalReplace does") {
  CHECK(replaced("b", P{"bb"}, "ababababab") == "abbabbabbabbabb");
  CHECK(replaced("b+", P{"bb"}, "bbbbbb") == "bb");
  CHECK(replaced("b*", P{"bb"}, "bbbbbb") == "bb");
  CHECK(replaced("b*", P{"bb"}, "aaaaa") == "bbabbabbabbabbabb");
  CHECK(replaced("b*", P{"bb"}, "ace") == "bbabbcbbebb");
  CHECK(replaced("^", P{"(START)"}, "foo") == "(START)foo");
  CHECK(replaced("$", P{"(END)"}, "") == "(END)");
  CHECK(replaced("(qu|[b-df-hj-np-tv-z]*)([a-z]+)", P{2u, 1u, "ay"}, "the-quick") ==
        "ethay-ickquay");
  // One whole character passes between two empty matches.
  CHECK(replaced("x*", P{"-"}, "\u00e9\u20ac") == "-\u00e9-\u20ac-");
  CHECK(replaced("x*", P{"-"}, "\xe9q") == "-\xe9-q-");
}

TEST_CASE("the rewrites of Envoy's documentation") {
  CHECK(replaced("^/service/([^/]+)(/.*)$", P{2u, "/instance/", 1u}, "/service/foo/v1/api") ==
        "/v1/api/instance/foo");
  CHECK(replaced("one", P{"two"}, "/xxx/one/yyy/one/zzz") == "/xxx/two/yyy/two/zzz");
  CHECK(replaced("^(.*?)one(.*)$", P{1u, "two", 2u}, "/xxx/one/yyy/one/zzz") ==
        "/xxx/two/yyy/one/zzz");
  CHECK(replaced("/[xX][xX][xX]/", P{"/yyy/"}, "/aaa/XxX/bbb") == "/aaa/yyy/bbb");
}

TEST_CASE("a group that took no part is empty, and a text without a match stays itself") {
  CHECK(replaced("(a)|b", P{"[", 1u, "]"}, "ab") == "[a][]");
  RegexRewrite rewrite = rewriteOf("z", P{"y"});
  ChunkPool pool;
  Arena arena(pool);
  std::string text = "/abc";
  std::string_view out;
  CHECK(rewrite.replaceAll(text, arena, out));
  CHECK(out.data() == text.data());
}

TEST_CASE("a rewrite that would take too long says so") {
  // Every match looks at all that is left for a 'b' that never comes.
  RegexRewrite rewrite = rewriteOf("a(.*b)?", P{"c"});
  ChunkPool pool;
  Arena arena(pool);
  std::string_view out;
  std::string text(20'000, 'a');
  CHECK_FALSE(rewrite.replaceAll(text, arena, out));
  CHECK(rewrite.replaceAll(std::string_view(text).substr(0, 500), arena, out));
  CHECK(out == std::string(500, 'c'));
}

TEST_CASE("substitutions are checked") {
  Result<RegexRewrite> r = RegexRewrite::compile({programOf("(a)"), P{"x", 2u}}, "w");
  REQUIRE_FALSE(r.ok());
  CHECK(r.error().message == "w.substitution[1]: names a group that is not there");
  r = RegexRewrite::compile({programOf("(a)"), P{"x\r\n"}}, "w");
  REQUIRE_FALSE(r.ok());
}
