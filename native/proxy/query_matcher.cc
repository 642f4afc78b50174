#include "proxy/query_matcher.h"

#include <utility>

namespace millrace {

bool findParameter(std::string_view query, std::string_view name, std::string_view& value) {
  while (!query.empty()) {
    size_t end = query.find('&');
    std::string_view item = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
    size_t equals = item.find('=');
    if (item.substr(0, equals) != name) continue;
    value = equals == std::string_view::npos ? std::string_view() : item.substr(equals + 1);
    return true;
  }
  return false;
}

Result<QueryMatcher> QueryMatcher::compile(spec::QueryMatcher spec, const std::string& where) {
  if (spec.name.empty()) return Error{"ERR_MILLRACE_MATCHER", where + ".name: must not be empty"};
  QueryMatcher m;
  m.name_ = std::move(spec.name);
  m.present_ = spec.present;
  if (spec.string) {
    Result<StringMatcher> s = StringMatcher::compile(std::move(*spec.string), where + ".string");
    if (!s) return s.error();
    m.string_ = std::move(*s);
  }
  return m;
}

bool QueryMatcher::matches(std::string_view query) const {
  std::string_view value;
  bool found = findParameter(query, name_, value);
  return string_ ? found && string_->matches(value) : found == present_;
}

}  // namespace millrace
