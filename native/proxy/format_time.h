// Points in time as text, in UTC: the strftime conversions that make sense in a log, and fractions
// of a second.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace millrace {

// A compiled pattern. Immutable; any thread.
class TimeFormat {
 public:
  static constexpr size_t kMaxText = 512;

  // ISO 8601 with milliseconds, Envoy's default: 2016-04-15T20:17:00.310Z.
  TimeFormat() = default;
  // %Y %m %d %H %M %S %y %C %j %e %I %p %a %A %b %B %h %u %w %F %T %D %R %r %c %x %X %z %Z %s %%
  // and %f, %1f to %9f (digits of the fraction of a second; the clock has six). Anything else, a
  // line break among it, is refused: ERR_MILLRACE_FORMAT.
  static Result<TimeFormat> compile(std::string_view pattern);

  // Writes at most kMaxText bytes; returns how many.
  size_t run(uint64_t wallUs, char* out) const;

 private:
  struct Part {
    char conversion;  // 0: `literal`; 'f': `digits` of the fraction
    uint8_t digits = 0;
    std::string literal;
  };
  std::vector<Part> parts_;  // empty: the default
};

}  // namespace millrace
