// One test of one request header: presence, a number's range, or a string.
//
// Built on the main thread; then immutable, read by every worker.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/headers.h"
#include "proxy/request_fields.h"
#include "proxy/string_matcher.h"

namespace millrace {

class HeaderMatcher {
 public:
  // `where`: its path in the configuration, for errors.
  static Result<HeaderMatcher> compile(spec::HeaderMatcher spec, const std::string& where);

  // Several fields of the name count as one, joined by ',' (in the list's arena). An absent one
  // matches only where absence is asked for, or as the empty string with treatMissingAsEmpty;
  // `invert` does not turn "absent" into a match (route_components.proto, HeaderMatcher).
  bool matches(const RequestFields& request) const;

 private:
  enum class Pseudo : uint8_t { kNone, kMethod, kPath, kAuthority, kScheme };
  bool fieldValue(const RequestFields& request, std::string_view& value) const;
  bool valueMatches(std::string_view value) const;

  std::string name_;  // lower case
  HeaderId id_ = HeaderId::kOther;
  Pseudo pseudo_ = Pseudo::kNone;
  spec::HeaderMatcher::Kind kind_ = spec::HeaderMatcher::Kind::kPresent;
  bool present_ = true;
  bool invert_ = false;
  bool missingIsEmpty_ = false;
  int64_t from_ = 0, to_ = 0;  // [from, to)
  StringMatcher string_;
};

// "12", "-3", "+4" as a number; false for anything else, and for what int64_t cannot hold.
bool parseDecimal(std::string_view text, int64_t& out);

}  // namespace millrace
