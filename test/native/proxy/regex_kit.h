// Regular expressions for tests: a small syntax, programs and automata made from it the way the
// main thread makes them, and a naive backtracking matcher that says what the answer must be.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/match_spec.h"

namespace millrace::test {

struct Node;

// Literals, \x for a literal x, \d, '.', [a-z] and [^a-z], (…), |, * + ? and their lazy forms, ^
// and
// $.
struct Regex {
  explicit Regex(std::string_view text);
  std::shared_ptr<Node> root;
  uint32_t groups;
};

// The naive matcher.
using Captures = std::vector<int>;  // 2 * groups, -1: unset
bool matchesAll(const Regex& regex, std::string_view input);
// The leftmost match at `from` or later, preferring what Perl prefers.
bool search(const Regex& regex, std::string_view input, size_t from, Captures& out);

spec::RegexProgram programOf(const Regex& regex);
// For a match of the whole input.
spec::Dfa dfaOf(const Regex& regex);
inline spec::RegexProgram programOf(std::string_view text) {
  return programOf(Regex(text));
}
inline spec::Dfa dfaOf(std::string_view text) {
  return dfaOf(Regex(text));
}

// A random expression over "abc"; what is repeated never matches the empty string, so that all
// matchers agree on groups.
class RandomRegex {
 public:
  explicit RandomRegex(std::mt19937& random) : random_(random) {}
  std::string make(int depth = 3) { return alternate(depth); }

 private:
  int roll(int n) { return int(random_() % uint32_t(n)); }
  std::string alternate(int depth);
  std::string concat(int depth);
  std::string item(int depth);
  std::string single();
  std::mt19937& random_;
};

}  // namespace millrace::test
