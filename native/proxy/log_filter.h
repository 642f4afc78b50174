// Filters of access logs: which streams are worth a line. Compiled on the main thread, immutable,
// read by every worker.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "proxy/header_matcher.h"
#include "proxy/runtime.h"
#include "proxy/spec.h"
#include "proxy/stream_info.h"

namespace millrace {

class LogFilter {
 public:
  // `where`: its path in the configuration, for errors.
  static Result<LogFilter> compile(const spec::LogFilter& spec, const std::string& where);

  // `runtime` may be null: nothing published. `noHeaders`: an empty list for streams that have no
  // request.
  bool passes(const StreamInfo& info, const RuntimeSnapshot* runtime,
              const HeaderList& noHeaders) const;

 private:
  bool compares(uint64_t actual, const RuntimeSnapshot* runtime) const;

  spec::LogFilter::Kind kind_ = spec::LogFilter::Kind::kAnd;
  spec::LogFilter::Op op_ = spec::LogFilter::Op::kEq;
  uint64_t value_ = 0;
  spec::RuntimeIndex flag_ = spec::kNoFlag;
  std::vector<LogFilter> children_;
  std::optional<HeaderMatcher> header_;
  uint64_t flagMask_ = 0;  // 0: any flag
};

}  // namespace millrace
