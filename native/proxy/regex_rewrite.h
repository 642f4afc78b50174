// Replacing what a regular expression finds in a path.
//
// Built on the main thread; then immutable, read by every worker.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "base/result.h"
#include "proxy/regex_program.h"

namespace millrace {

class RegexRewrite {
 public:
  // How many instructions one rewrite may execute. Each search is linear, but an expression can
  // look at the whole rest of the input for each of its matches; this much is tens of milliseconds,
  // a hundred times what a path of 4 KiB takes.
  static constexpr uint64_t kMaxSteps = 1 << 22;

  // `where`: its path in the configuration, for errors.
  static Result<RegexRewrite> compile(spec::RegexRewrite spec, const std::string& where);

  // Replaces every match, as RE2::GlobalReplace does. `out` is `text` itself when nothing matched,
  // else in the arena. False: more than kMaxSteps, `out` is not set.
  bool replaceAll(std::string_view text, Arena& arena, std::string_view& out) const;

 private:
  struct Part {
    std::string literal;
    uint32_t group = 0;
    bool isGroup = false;
  };
  RegexProgram program_;
  std::vector<Part> parts_;
};

}  // namespace millrace
