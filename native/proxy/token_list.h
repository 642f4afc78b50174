// Lists such as "a, b,c" and numbers in header values. Pure functions; any thread.
#pragma once

#include <charconv>
#include <cstdint>
#include <string_view>

namespace millrace {

// Calls `fn(token)` for each member of a list separated by commas, without the blanks around it and
// not for empty ones, until it returns false.
template <typename Fn>
void forEachToken(std::string_view list, Fn fn) {
  for (size_t at = 0; at < list.size();) {
    size_t end = list.find(',', at);
    if (end == std::string_view::npos) end = list.size();
    size_t from = at, to = end;
    while (from < to && (list[from] == ' ' || list[from] == '\t')) from++;
    while (to > from && (list[to - 1] == ' ' || list[to - 1] == '\t')) to--;
    if (from < to && !fn(list.substr(from, to - from))) return;
    at = end + 1;
  }
}

// The whole text is a decimal number that fits.
inline bool parseNumber(std::string_view text, uint64_t& out) {
  uint64_t value = 0;
  auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || rest != text.data() + text.size()) return false;
  out = value;
  return true;
}

}  // namespace millrace
