// Filters of access logs; see log_filter.h.
#include "proxy/log_filter.h"

#include <utility>

#include "base/clock.h"

namespace millrace {

Result<LogFilter> LogFilter::compile(const spec::LogFilter& spec, const std::string& where) {
  LogFilter f;
  f.kind_ = spec.kind;
  f.op_ = spec.op;
  f.value_ = spec.value;
  f.flag_ = spec.flag;
  for (size_t i = 0; i < spec.filters.size(); i++) {
    auto child = compile(spec.filters[i], where + ".filters[" + std::to_string(i) + "]");
    if (!child) return child.error();
    f.children_.push_back(std::move(*child));
  }
  if (spec.kind == spec::LogFilter::Kind::kHeader) {
    auto header = HeaderMatcher::compile(spec.header, where + ".header");
    if (!header) return header.error();
    f.header_ = std::move(*header);
  }
  for (const std::string& name : spec.flags) {
    uint64_t bit = 0;
    for (size_t i = 0; i < size_t(ResponseFlag::kCount); i++) {
      if (kResponseFlagNames[i].brief == name) bit = uint64_t{1} << i;
    }
    if (bit == 0) {
      return Error{"ERR_MILLRACE_LOG_FILTER", where + ".flags: no response flag \"" + name + "\""};
    }
    f.flagMask_ |= bit;
  }
  return f;
}

bool LogFilter::compares(uint64_t actual, const RuntimeSnapshot* runtime) const {
  const auto wanted = uint64_t(runtimeNumber(runtime, flag_, double(value_)));
  switch (op_) {
    case spec::LogFilter::Op::kEq:
      return actual == wanted;
    case spec::LogFilter::Op::kGe:
      return actual >= wanted;
    case spec::LogFilter::Op::kLe:
      return actual <= wanted;
    case spec::LogFilter::Op::kNe:
      return actual != wanted;
  }
  return false;
}

bool LogFilter::passes(const StreamInfo& info, const RuntimeSnapshot* runtime,
                       const HeaderList& noHeaders) const {
  switch (kind_) {
    case spec::LogFilter::Kind::kStatus:
      return compares(info.responseCode, runtime);
    case spec::LogFilter::Kind::kDuration:
      // A stream that never ended has no duration to compare, as in Envoy.
      return info.endNs >= info.startNs && info.endNs != 0 &&
             compares((info.endNs - info.startNs) / kNsPerMs, runtime);
    case spec::LogFilter::Kind::kAnd:
      for (const LogFilter& f : children_) {
        if (!f.passes(info, runtime, noHeaders)) return false;
      }
      return true;
    case spec::LogFilter::Kind::kOr:
      for (const LogFilter& f : children_) {
        if (f.passes(info, runtime, noHeaders)) return true;
      }
      return false;
    case spec::LogFilter::Kind::kHeader:
      return header_->matches({info.method, info.path, info.authority, info.scheme,
                               info.requestHeaders == nullptr ? &noHeaders : info.requestHeaders});
    case spec::LogFilter::Kind::kFlag:
      return flagMask_ == 0 ? info.responseFlags != 0 : (info.responseFlags & flagMask_) != 0;
  }
  return false;
}

}  // namespace millrace
