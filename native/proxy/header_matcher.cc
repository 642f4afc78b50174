#include "proxy/header_matcher.h"

#include <charconv>
#include <utility>

#include "base/ascii.h"

namespace millrace {

bool parseDecimal(std::string_view text, int64_t& out) {
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  const char* end = text.data() + text.size();
  auto [at, error] = std::from_chars(text.data(), end, out, 10);
  return error == std::errc() && at == end;
}

Result<HeaderMatcher> HeaderMatcher::compile(spec::HeaderMatcher spec, const std::string& where) {
  HeaderMatcher m;
  if (spec.name.empty()) return Error{"ERR_MILLRACE_MATCHER", where + ".name: must not be empty"};
  m.name_ = lowered(spec.name);
  if (m.name_[0] == ':') {
    m.pseudo_ = m.name_ == ":method"      ? Pseudo::kMethod
                : m.name_ == ":path"      ? Pseudo::kPath
                : m.name_ == ":authority" ? Pseudo::kAuthority
                : m.name_ == ":scheme"    ? Pseudo::kScheme
                                          : Pseudo::kNone;
    if (m.pseudo_ == Pseudo::kNone) {
      return Error{"ERR_MILLRACE_MATCHER", where + ".name: no such pseudo header: " + m.name_};
    }
  } else if (m.name_ == "host") {
    m.pseudo_ = Pseudo::kAuthority;  // a head carries it apart from its other fields
  } else {
    m.id_ = headerId(m.name_);
  }
  m.kind_ = spec.kind;
  m.present_ = spec.present;
  m.invert_ = spec.invert;
  m.missingIsEmpty_ = spec.treatMissingAsEmpty;
  m.from_ = spec.range.first;
  m.to_ = spec.range.second;
  if (spec.kind == spec::HeaderMatcher::Kind::kString) {
    Result<StringMatcher> s = StringMatcher::compile(std::move(spec.string), where + ".string");
    if (!s) return s.error();
    m.string_ = std::move(*s);
  }
  return m;
}

bool HeaderMatcher::fieldValue(const RequestFields& request, std::string_view& value) const {
  switch (pseudo_) {
    case Pseudo::kNone:
      break;
    case Pseudo::kMethod:
      value = request.method;
      return !value.empty();
    case Pseudo::kPath:
      value = request.path;
      return !value.empty();
    case Pseudo::kAuthority:
      value = request.authority;
      return !value.empty();
    case Pseudo::kScheme:
      value = request.scheme;
      return !value.empty();
  }
  if (id_ != HeaderId::kOther && !request.headers->has(id_)) return false;
  bool found = false;
  value = request.headers->joined(name_, found);
  return found;
}

bool HeaderMatcher::valueMatches(std::string_view value) const {
  switch (kind_) {
    case spec::HeaderMatcher::Kind::kPresent:
      return present_;
    case spec::HeaderMatcher::Kind::kRange: {
      int64_t number = 0;
      return parseDecimal(value, number) && number >= from_ && number < to_;
    }
    case spec::HeaderMatcher::Kind::kString:
      return string_.matches(value);
  }
  return false;
}

bool HeaderMatcher::matches(const RequestFields& request) const {
  std::string_view value;
  if (!fieldValue(request, value) && !missingIsEmpty_) {
    return kind_ == spec::HeaderMatcher::Kind::kPresent && present_ == invert_;
  }
  return valueMatches(value) != invert_;
}

}  // namespace millrace
