// One test of one query parameter.
//
// Built on the main thread; then immutable, read by every worker.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/arena.h"
#include "base/result.h"
#include "base/string_index.h"
#include "proxy/string_matcher.h"

namespace millrace {

// The value of the first parameter of that name; false: there is none. `query` as in
// QueryMatcher::matches().
bool findParameter(std::string_view query, std::string_view name, std::string_view& value);

// The parameters that some matchers ask for, in one query: read in one pass when the first of them
// asks, however many follow. One thread, for the time of a call.
class QueryValues {
 public:
  // `names`: of those matchers (QueryMatcher::number). `query` as in QueryMatcher::matches().
  QueryValues(const StringIndex& names, std::string_view query, Arena& arena)
      : names_(names), query_(query), arena_(arena) {}
  QueryValues(const QueryValues&) = delete;
  QueryValues& operator=(const QueryValues&) = delete;

  // The value of the first parameter of the name with that number; false: there is none.
  bool find(uint32_t number, std::string_view& value);

 private:
  static constexpr size_t kFew = 4;  // so many need no memory of the arena
  void read();

  const StringIndex& names_;
  const std::string_view query_;
  Arena& arena_;
  std::string_view few_[kFew];
  std::string_view* values_ = nullptr;  // by number; data() null: not there. null: not read yet
};

class QueryMatcher {
 public:
  // `where`: its path in the configuration, for errors.
  static Result<QueryMatcher> compile(spec::QueryMatcher spec, const std::string& where);

  // Enters its name into `names`, where all that are asked together are numbered.
  void number(StringIndex& names);

  // `query` is what follows '?': a list of key or key=value, separated by '&', compared as it was
  // sent, without percent-decoding. Of a key that is repeated only the first counts
  // (route_components.proto, QueryParameterMatcher).
  bool matches(QueryValues& query) const;

 private:
  std::string name_;
  std::optional<StringMatcher> string_;
  bool present_ = true;
  uint32_t number_ = StringIndex::kNone;
};

}  // namespace millrace
