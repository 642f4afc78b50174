#include "proxy/query_matcher.h"

#include <algorithm>
#include <utility>

namespace millrace {

namespace {

// Calls `fn(name, value)` for each parameter until it returns false.
template <typename Fn>
void forEachParameter(std::string_view query, Fn fn) {
  while (!query.empty()) {
    size_t end = query.find('&');
    std::string_view item = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
    size_t equals = item.find('=');
    std::string_view value =
        item.substr(equals == std::string_view::npos ? item.size() : equals + 1);
    if (!fn(item.substr(0, equals), value)) return;
  }
}

}  // namespace

bool findParameter(std::string_view query, std::string_view name, std::string_view& value) {
  bool found = false;
  forEachParameter(query, [&](std::string_view key, std::string_view text) {
    found = key == name;
    if (found) value = text;
    return !found;
  });
  return found;
}

bool QueryValues::find(uint32_t number, std::string_view& value) {
  if (query_.empty()) return false;
  if (values_ == nullptr) read();
  value = values_[number];
  return value.data() != nullptr;
}

void QueryValues::read() {
  size_t left = names_.size();
  values_ = left <= kFew ? few_ : arena_.array<std::string_view>(left);
  std::fill(values_, values_ + left, std::string_view());
  forEachParameter(query_, [&](std::string_view key, std::string_view text) {
    uint32_t number = names_.find(key);
    if (number == StringIndex::kNone || values_[number].data() != nullptr) return true;
    values_[number] = text;
    return --left != 0;
  });
}

void QueryMatcher::number(StringIndex& names) {
  number_ = uint32_t(names.size());
  if (!names.insert(name_, number_)) number_ = names.find(name_);
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

bool QueryMatcher::matches(QueryValues& query) const {
  std::string_view value;
  bool found = query.find(number_, value);
  return string_ ? found && string_->matches(value) : found == present_;
}

}  // namespace millrace
