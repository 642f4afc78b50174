// What is matched and how, as the main thread states it: the matching section of src/native/,
// field by field. Plain data; any thread. Regular expressions arrive compiled; see dfa.h and
// regex_program.h for their meaning.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace millrace::spec {

using SlotId = uint32_t;       // an index into the slot table
using RuntimeIndex = int32_t;  // an index into the runtime snapshot
inline constexpr RuntimeIndex kNoFlag = -1;

// A DFA over bytes that must match the whole input. State 0 is dead; next[state * classCount +
// classes[byte]].
struct Dfa {
  std::vector<uint8_t> classes;  // 256 entries
  uint32_t classCount = 0;
  std::vector<uint16_t> next;
  std::vector<uint8_t> accepting;  // one entry a state, not 0: accepts
  uint32_t start = 0;
};

// A program for the linear-time matcher: triples [op, x, y].
struct RegexProgram {
  enum Op : int32_t { kClass, kSplit, kJump, kSave, kMatch, kAssertBegin, kAssertEnd };
  std::vector<int32_t> code;
  std::vector<uint8_t> sets;  // 32 bytes a class: 256 bits, least significant first
  uint32_t groups = 1;        // the whole match included
};

// A literal, or the number of a group.
using SubstitutionPart = std::variant<std::string, uint32_t>;

// Every match is replaced.
struct RegexRewrite {
  RegexProgram program;
  std::vector<SubstitutionPart> substitution;
};

struct StringMatcher {
  enum class Kind : uint8_t { kExact, kPrefix, kSuffix, kContains, kRegex };
  Kind kind = Kind::kExact;
  std::string value;
  Dfa dfa;  // for kRegex
  bool ignoreCase = false;
};

struct HeaderMatcher {
  enum class Kind : uint8_t { kPresent, kRange, kString };
  std::string name;  // lower case; ":method", ":path", ":authority", ":scheme" too
  Kind kind = Kind::kPresent;
  StringMatcher string;
  bool present = true;  // for kPresent: whether it must be present
  std::pair<int64_t, int64_t> range{
      0, 0};  // for kRange: start (inclusive) and end (exclusive), decimal
  bool invert = false;
  bool treatMissingAsEmpty = false;
};

// With `string`: the parameter is present and its value matches; else presence is what `present`
// says.
struct QueryMatcher {
  std::string name;
  std::optional<StringMatcher> string;
  bool present = true;
};

// numerator / denominator (100, 10,000 or 1,000,000) of requests, or what the runtime says.
struct Fraction {
  RuntimeIndex flag = kNoFlag;
  uint32_t numerator = 0;
  uint32_t denominator = 100;
};

// A runtime value; `denominator` 0: the code's own default denominator. `set` false: no such key
// (null).
struct RuntimeValue {
  bool set = false;
  double value = 0;
  uint32_t denominator = 0;
};

}  // namespace millrace::spec
