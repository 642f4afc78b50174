// One test of one query parameter.
//
// Built on the main thread; then immutable, read by every worker.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "proxy/string_matcher.h"

namespace millrace {

// The value of the first parameter of that name; false: there is none. `query` as in
// QueryMatcher::matches().
bool findParameter(std::string_view query, std::string_view name, std::string_view& value);

class QueryMatcher {
 public:
  // `where`: its path in the configuration, for errors.
  static Result<QueryMatcher> compile(spec::QueryMatcher spec, const std::string& where);

  // `query` is what follows '?': a list of key or key=value, separated by '&', compared as it was
  // sent, without percent-decoding. Of a key that is repeated only the first counts
  // (route_components.proto, QueryParameterMatcher).
  bool matches(std::string_view query) const;

 private:
  std::string name_;
  std::optional<StringMatcher> string_;
  bool present_ = true;
};

}  // namespace millrace
