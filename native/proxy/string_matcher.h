// One test of one string: exact, prefix, suffix, contains, or a regular expression over all of it.
//
// Built on the main thread; then immutable, read by every worker.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "proxy/dfa.h"
#include "proxy/match_spec.h"

namespace millrace {

class StringMatcher {
 public:
  StringMatcher() = default;
  // `where`: its path in the configuration, for errors. ignoreCase folds ASCII, and means nothing
  // for an expression.
  static Result<StringMatcher> compile(spec::StringMatcher spec, const std::string& where);
  bool matches(std::string_view text) const;

 private:
  spec::StringMatcher::Kind kind_ = spec::StringMatcher::Kind::kExact;
  bool ignoreCase_ = false;
  std::string value_;  // lower case with ignoreCase_
  Dfa dfa_;
};

}  // namespace millrace
