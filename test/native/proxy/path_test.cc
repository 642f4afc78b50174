#include "proxy/path.h"
#include "support/repetitions.h"

#include <doctest/doctest.h>

#include <random>
#include <string>

using namespace millrace;
using EscapedSlashes = spec::HttpManager::EscapedSlashes;

namespace {

struct Outcome {
  PathVerdict verdict;
  std::string path;
};

Outcome apply(const PathRules& rules, std::string_view path) {
  ChunkPool pool;
  Arena arena(pool);
  PathVerdict verdict = normalizePath(rules, path, arena);
  return {verdict, std::string(path)};
}

// The result of normalisation alone; "rejected" when it is.
std::string normal(std::string_view path) {
  Outcome out = apply({true, false, EscapedSlashes::kKeep}, path);
  bool changed = out.verdict == PathVerdict::kChanged;
  CHECK(changed == (out.verdict != PathVerdict::kReject && out.path != path));
  return out.verdict == PathVerdict::kReject ? "rejected" : out.path;
}

std::string merged(std::string_view path) {
  return apply({false, true, EscapedSlashes::kKeep}, path).path;
}

}  // namespace

TEST_CASE("dot segments are removed, as RFC 3986 section 5.2.4 does") {
  CHECK(normal("/a/b/c/./../../g") == "/a/g");
  CHECK(normal("/./g") == "/g");
  CHECK(normal("/../g") == "/g");
  CHECK(normal("/..g") == "/..g");
  CHECK(normal("/g..") == "/g..");
  CHECK(normal("/a/./b") == "/a/b");
  CHECK(normal("/a/../b") == "/b");
  CHECK(normal("/a/b/..") == "/a/");
  CHECK(normal("/a/b/.") == "/a/b/");
  CHECK(normal("/..") == "/");
  CHECK(normal("/.") == "/");
  CHECK(normal("/../../..") == "/");
  CHECK(normal("/a//../b") == "/a/b");
  CHECK(normal("/index.html") == "/index.html");
  CHECK(normal("/a/...") == "/a/...");
  CHECK(normal("/a/.b") == "/a/.b");
}

TEST_CASE("escaped dots are dots, and a backslash is a slash") {
  CHECK(normal("/a/%2e%2E/b") == "/b");
  CHECK(normal("/a/.%2e/b") == "/b");
  CHECK(normal("/a/%2e/b") == "/a/b");
  CHECK(normal("/a%2eb") == "/a.b");
  CHECK(normal("/a\\..\\b") == "/b");
  CHECK(normal("/a\\b") == "/a/b");
}

TEST_CASE("unreserved escapes are decoded, others stay as they came") {
  CHECK(normal("/%41%7a%30%2D%5f%7E") == "/Az0-_~");
  CHECK(normal("/%2f%2F%5c%25%3f%C3%a4") == "/%2f%2F%5c%25%3f%C3%a4");
  CHECK(normal("/%zz%4%") == "/%zz%4%");
}

TEST_CASE("decoding never makes a new escape") {
  CHECK(normal("/%%34%31") == "/%2541");
  CHECK(normal("/%%341") == "/%2541");
  CHECK(normal("/%4%31") == "/%2541");
  CHECK(normal("/%%34") == "/%4");
  CHECK(normal("/%%32%65%2e/x") == "/%252e./x");
  CHECK(normal("/%%30%30") == "/%2500");
}

TEST_CASE("what cannot stand in a path is escaped; NUL is rejected") {
  CHECK(normal("/a b\"<>^`{|}") == "/a%20b%22%3C%3E%5E%60%7B%7C%7D");
  CHECK(normal("/\xc3\xa4\x7f") == "/%C3%A4%7F");
  CHECK(normal("/a%00b") == "rejected");
  CHECK(normal(std::string_view("/a\0b", 4)) == "rejected");
}

TEST_CASE("the query is never touched") {
  CHECK(normal("/a/../b?c=/../%41\\//") == "/b?c=/../%41\\//");
  CHECK(merged("//a?b=//") == "/a?b=//");
  CHECK(apply({true, true, EscapedSlashes::kForward}, "/a?b=%2F%2e").path == "/a?b=%2F%2e");
}

TEST_CASE("what is no path is left alone") {
  PathRules all{true, true, EscapedSlashes::kReject};
  CHECK(apply(all, "*").verdict == PathVerdict::kAsIs);
  CHECK(apply(all, "").verdict == PathVerdict::kAsIs);
  CHECK(apply({}, "//a/..//%2f").verdict == PathVerdict::kAsIs);
}

TEST_CASE("runs of slashes are merged") {
  CHECK(merged("//dir///file") == "/dir/file");
  CHECK(merged("/dir//") == "/dir/");
  CHECK(merged("//") == "/");
  CHECK(merged("/a/b") == "/a/b");
  // After normalisation, so that what it uncovers is merged too.
  CHECK(apply({true, true, EscapedSlashes::kKeep}, "/a/\\b/.//c").path == "/a/b/c");
}

TEST_CASE("escaped slashes: keep, reject, redirect, forward") {
  auto with = [](EscapedSlashes action, std::string_view path, bool normalize = false) {
    return apply({normalize, false, action}, path);
  };
  CHECK(with(EscapedSlashes::kKeep, "/a%2fb").verdict == PathVerdict::kAsIs);
  for (const char* path : {"/a%2fb", "/a%2Fb", "/a%5cb", "/a%5Cb"}) {
    INFO(path);
    CHECK(with(EscapedSlashes::kReject, path).verdict == PathVerdict::kReject);
    CHECK(with(EscapedSlashes::kRedirect, path).verdict == PathVerdict::kRedirect);
    CHECK(with(EscapedSlashes::kForward, path).verdict == PathVerdict::kChanged);
  }
  CHECK(with(EscapedSlashes::kRedirect, "/a%2fb?c%2f").path == "/a/b?c%2f");
  CHECK(with(EscapedSlashes::kForward, "/a%5cb").path == "/a\\b");
  CHECK(with(EscapedSlashes::kForward, "/a%5cb", true).path == "/a/b");
  CHECK(with(EscapedSlashes::kForward, "/a/..%2fb", true).path == "/b");
  CHECK(with(EscapedSlashes::kReject, "/a%25b").verdict == PathVerdict::kAsIs);
  CHECK(with(EscapedSlashes::kReject, "/a%2").verdict == PathVerdict::kAsIs);
}

TEST_CASE("normalising twice is normalising once, and leaves no dot segment") {
  std::mt19937 random(5);
  static const char* pieces[] = {"/", ".",   "..",  "%2e", "%", "2",   "e",
                                 "4", "%41", "%25", "\\",  "a", "%2f", "%%3"};
  for (int i = 0; i < repetitions(200'000); i++) {
    std::string path = "/";
    for (uint32_t n = random() % 9; n > 0; n--) path += pieces[random() % 14];
    Outcome once = apply({true, false, EscapedSlashes::kKeep}, path);
    INFO("path ", path, " once ", once.path);
    REQUIRE(once.verdict != PathVerdict::kReject);
    REQUIRE(apply({true, false, EscapedSlashes::kKeep}, once.path).path == once.path);
    std::string ends = once.path + "/";
    REQUIRE(ends.find("/./") == std::string::npos);
    REQUIRE(ends.find("/../") == std::string::npos);
    REQUIRE(once.path.find('\\') == std::string::npos);
  }
}
