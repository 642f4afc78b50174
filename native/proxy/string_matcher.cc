#include "proxy/string_matcher.h"

#include <utility>

#include "base/ascii.h"

namespace millrace {
namespace {

bool containsLower(std::string_view text, std::string_view lower) {
  for (size_t i = 0; i + lower.size() <= text.size(); i++) {
    if (equalsLower(text.substr(i, lower.size()), lower)) return true;
  }
  return false;
}

}  // namespace

Result<StringMatcher> StringMatcher::compile(spec::StringMatcher spec, const std::string& where) {
  StringMatcher m;
  m.kind_ = spec.kind;
  m.ignoreCase_ = spec.ignoreCase;
  if (spec.kind == spec::StringMatcher::Kind::kRegex) {
    Result<Dfa> dfa = Dfa::compile(std::move(spec.dfa), where + ".dfa");
    if (!dfa) return dfa.error();
    m.dfa_ = std::move(*dfa);
    return m;
  }
  m.value_ = spec.ignoreCase ? lowered(spec.value) : std::move(spec.value);
  return m;
}

bool StringMatcher::matches(std::string_view text) const {
  using Kind = spec::StringMatcher::Kind;
  switch (kind_) {
    case Kind::kExact:
      return ignoreCase_ ? equalsLower(text, value_) : text == value_;
    case Kind::kPrefix:
      return ignoreCase_ ? startsWithLower(text, value_) : text.starts_with(value_);
    case Kind::kSuffix:
      return ignoreCase_ ? endsWithLower(text, value_) : text.ends_with(value_);
    case Kind::kContains:
      return ignoreCase_ ? containsLower(text, value_)
                         : text.find(value_) != std::string_view::npos;
    case Kind::kRegex:
      return dfa_.matches(text);
  }
  return false;
}

}  // namespace millrace
