#include <doctest/doctest.h>

#include "proxy/header_matcher.h"
#include "proxy/query_matcher.h"
#include "proxy/regex_kit.h"
#include "proxy/route_kit.h"
#include "proxy/string_matcher.h"

using namespace millrace;
using namespace millrace::test;
using StringKind = spec::StringMatcher::Kind;
using HeaderKind = spec::HeaderMatcher::Kind;

namespace {

bool stringMatches(StringKind kind, std::string value, bool ignoreCase, std::string_view text) {
  spec::StringMatcher spec{kind, std::move(value), {}, ignoreCase};
  if (kind == StringKind::kRegex) spec.dfa = dfaOf(spec.value);
  Result<StringMatcher> matcher = StringMatcher::compile(std::move(spec), "s");
  REQUIRE(matcher.ok());
  return matcher->matches(text);
}

bool headerMatches(spec::HeaderMatcher spec, const Request& request) {
  Result<HeaderMatcher> matcher = HeaderMatcher::compile(std::move(spec), "h");
  REQUIRE(matcher.ok());
  return matcher->matches(request.route());
}

spec::HeaderMatcher present(std::string name, bool yes = true, bool invert = false,
                            bool missingIsEmpty = false) {
  spec::HeaderMatcher spec;
  spec.name = std::move(name);
  spec.present = yes;
  spec.invert = invert;
  spec.treatMissingAsEmpty = missingIsEmpty;
  return spec;
}

spec::HeaderMatcher text(std::string name, StringKind kind, std::string value, bool invert = false,
                         bool missingIsEmpty = false) {
  spec::HeaderMatcher spec = present(std::move(name), true, invert, missingIsEmpty);
  spec.kind = HeaderKind::kString;
  spec.string.kind = kind;
  if (kind == StringKind::kRegex) spec.string.dfa = dfaOf(value);
  spec.string.value = std::move(value);
  return spec;
}

spec::HeaderMatcher range(std::string name, int64_t from, int64_t to, bool invert = false,
                          bool missingIsEmpty = false) {
  spec::HeaderMatcher spec = present(std::move(name), true, invert, missingIsEmpty);
  spec.kind = HeaderKind::kRange;
  spec.range = {from, to};
  return spec;
}

bool queryMatches(std::string_view query, std::string name, std::optional<std::string> prefix,
                  bool present = true) {
  spec::QueryMatcher spec{std::move(name), std::nullopt, present};
  if (prefix) spec.string = spec::StringMatcher{StringKind::kPrefix, *prefix, {}, false};
  Result<QueryMatcher> matcher = QueryMatcher::compile(std::move(spec), "q");
  REQUIRE(matcher.ok());
  StringIndex names;
  matcher->number(names);
  ChunkPool pool;
  Arena arena(pool);
  QueryValues values(names, query, arena);
  return matcher->matches(values);
}

}  // namespace

TEST_CASE("strings: exact, prefix, suffix, contains, regex") {
  CHECK(stringMatches(StringKind::kExact, "abc", false, "abc"));
  CHECK_FALSE(stringMatches(StringKind::kExact, "abc", false, "aBc"));
  CHECK(stringMatches(StringKind::kExact, "aBc", true, "AbC"));
  CHECK_FALSE(stringMatches(StringKind::kExact, "abc", true, "abcd"));
  CHECK(stringMatches(StringKind::kPrefix, "ab", false, "abc"));
  CHECK_FALSE(stringMatches(StringKind::kPrefix, "ab", false, "a"));
  CHECK(stringMatches(StringKind::kPrefix, "AB", true, "aBc"));
  CHECK(stringMatches(StringKind::kSuffix, "bc", false, "abc"));
  CHECK_FALSE(stringMatches(StringKind::kSuffix, "bc", false, "c"));
  CHECK(stringMatches(StringKind::kSuffix, "BC", true, "aBc"));
  CHECK(stringMatches(StringKind::kContains, "b", false, "abc"));
  CHECK_FALSE(stringMatches(StringKind::kContains, "x", false, "abc"));
  CHECK(stringMatches(StringKind::kContains, "LongerThanEight", true, "x longerthaneighT y"));
  CHECK_FALSE(stringMatches(StringKind::kContains, "longer", true, "long"));
  CHECK(stringMatches(StringKind::kRegex, "\\d+", false, "123"));
  CHECK_FALSE(stringMatches(StringKind::kRegex, "\\d+", false, "123x"));
  // Only ASCII folds: these are the bytes around 'A' and 'Z', and an 'Ä' in UTF-8 and Latin-1.
  CHECK_FALSE(stringMatches(StringKind::kExact, "@[`{@[`{@", true, "`{@[`{@[`"));
  CHECK_FALSE(stringMatches(StringKind::kExact, "\xc3\x84", true, "\xc3\xa4"));
  CHECK_FALSE(stringMatches(StringKind::kExact, "12345678\xc4", true, "12345678\xe4"));
}

TEST_CASE("headers: presence") {
  Request with("/", {{"X-A", "1"}, {"User-Agent", "u"}});
  CHECK(headerMatches(present("x-a"), with));
  CHECK(headerMatches(present("user-agent"), with));
  CHECK_FALSE(headerMatches(present("x-b"), with));
  CHECK_FALSE(headerMatches(present("via"), with));
  CHECK(headerMatches(present("x-b", false), with));
  CHECK_FALSE(headerMatches(present("x-a", false), with));
  CHECK_FALSE(headerMatches(present("x-a", true, true), with));
  CHECK(headerMatches(present("x-b", true, true), with));
  CHECK(headerMatches(present("x-b", true, false, true), with));  // missing counts as there, empty
}

TEST_CASE("headers: several fields are one value") {
  Request request("/", {{"x-a", "1"}, {"accept", "y"}, {"X-A", "2"}});
  CHECK(headerMatches(text("x-a", StringKind::kExact, "1,2"), request));
  CHECK_FALSE(headerMatches(text("x-a", StringKind::kExact, "1"), request));
  CHECK(headerMatches(text("x-a", StringKind::kRegex, "\\d(,\\d)*"), request));
}

TEST_CASE("headers: pseudo headers") {
  Request request("/a?b", {});
  CHECK(headerMatches(text(":path", StringKind::kExact, "/a?b"), request));
  CHECK(headerMatches(text(":method", StringKind::kExact, "GET"), request));
  CHECK(headerMatches(text(":authority", StringKind::kExact, "example.com"), request));
  CHECK(headerMatches(text("Host", StringKind::kExact, "example.com"), request));
  CHECK(headerMatches(text(":scheme", StringKind::kExact, "http"), request));
  Result<HeaderMatcher> unknown = HeaderMatcher::compile(present(":status"), "h");
  REQUIRE_FALSE(unknown.ok());
  CHECK(unknown.error().message == "h.name: no such pseudo header: :status");
}

TEST_CASE("headers: ranges, with the examples of the proto") {
  auto in = [](std::string value, bool invert = false) {
    Request request("/", {{"n", value}});
    return headerMatches(range("n", -10, 0, invert), request);
  };
  CHECK(in("-1"));
  CHECK(in("-10"));
  for (const char* value : {"0", "somestring", "10.9", "-1somestring", "", "+-1", "- 1", "--1"}) {
    INFO(value);
    CHECK_FALSE(in(value));
    CHECK(in(value, true));
  }
  CHECK_FALSE(in("-1", true));
  Request plus("/", {{"n", "+5"}, {"big", "9223372036854775808"}});
  CHECK(headerMatches(range("n", 5, 6), plus));
  CHECK_FALSE(headerMatches(range("big", INT64_MIN, INT64_MAX), plus));
}

TEST_CASE("headers: missing ones, with the examples of the proto") {
  Request none("/");
  CHECK(headerMatches(range("header1", 0, 10, true, true), none));
  CHECK_FALSE(headerMatches(range("header2", 0, 10, true, false), none));
  CHECK(headerMatches(text("header3", StringKind::kRegex, "^$", false, true), none));
  CHECK_FALSE(headerMatches(text("header4", StringKind::kRegex, "^$"), none));
}

TEST_CASE("query parameters are compared as they were sent, the first of a name only") {
  CHECK(queryMatches("a=1&b=2", "b", "2"));
  CHECK_FALSE(queryMatches("a=1&b=2", "c", ""));
  CHECK(queryMatches("b&a=1", "b", std::nullopt));
  CHECK(queryMatches("b", "b", ""));
  CHECK_FALSE(queryMatches("bb=1", "b", std::nullopt));
  CHECK(queryMatches("bb=1", "b", std::nullopt, false));
  CHECK_FALSE(queryMatches("b=1", "b", std::nullopt, false));
  CHECK_FALSE(queryMatches("b=1&b=2", "b", "2"));
  CHECK(queryMatches("b=%32", "b", "%32"));
  CHECK(queryMatches("b=1=2", "b", "1=2"));
  CHECK_FALSE(queryMatches("b=1=2", "b=1", "2"));
  CHECK(queryMatches("&&b=", "b", ""));
  CHECK_FALSE(queryMatches("", "b", std::nullopt));
}

TEST_CASE("a query is read once, however many matchers ask") {
  // 30,000 parameters and 1,000 names that are not among them: one pass finds that out.
  std::string query;
  for (int i = 0; i < 30'000; i++) query += "a&";
  query += "p7=seven&p7=again&p8&p9=";
  std::vector<QueryMatcher> matchers;
  StringIndex names;
  for (int i = 0; i < 1000; i++) {
    spec::QueryMatcher spec{"p" + std::to_string(i), std::nullopt, true};
    if (i == 7) spec.string = spec::StringMatcher{StringKind::kExact, "seven", {}, false};
    Result<QueryMatcher> matcher = QueryMatcher::compile(std::move(spec), "q");
    REQUIRE(matcher.ok());
    matcher->number(names);
    matchers.push_back(std::move(*matcher));
  }
  ChunkPool pool;
  Arena arena(pool);
  QueryValues values(names, query, arena);
  for (int i = 0; i < 1000; i++) {
    bool there = matchers[size_t(i)].matches(values);
    CHECK(there == (i >= 7 && i <= 9));
    // Whoever read again would find other names.
    if (i == 0) std::fill(query.begin(), query.begin() + 60'000, '?');
  }
}
