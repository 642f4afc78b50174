// Formats of access logs and of header values, compiled to small programs that run without
// allocation.
//
// A program is compiled on the main thread and immutable from then on; any worker may run it. The
// text of a format (`%REQ(X?Y):Z%`) is parsed in TypeScript; what arrives is a list of operators by
// Envoy's names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "proxy/format_value.h"
#include "proxy/spec.h"
#include "proxy/stream_info.h"

namespace millrace {

class FormatProgram {
 public:
  // The longest line. A line that would be longer is formatted again with every value cut to an
  // equal share, so that its structure (quotes, keys, newline) stays whole.
  static constexpr size_t kMaxLineBytes = 64 * 1024;
  // Bounds of a format, so that the above always works out; more is refused.
  static constexpr size_t kMaxLiteralBytes = 16 * 1024;
  static constexpr size_t kMaxSteps = 512;
  static constexpr uint32_t kMaxDepth = 16;  // of nested JSON

  // For a line of an access log. Values that came over the network are escaped, so that no peer can
  // forge a line or a field: in text `"` and `\` get a backslash and control bytes become \xHH;
  // JSON is escaped as JSON asks, and bytes that are not UTF-8 become U+FFFD. JSON lines end in a
  // newline; text ends as the format does. `where`: the format's path in the configuration, for
  // errors (ERR_MILLRACE_FORMAT).
  static Result<FormatProgram> compile(const spec::Format& format, const std::string& where);
  // For a header's value: nothing is escaped, and what is absent is empty.
  static Result<FormatProgram> compileValue(const std::vector<spec::FormatOp>& ops,
                                            const std::string& where);

  // Writes the line to `out` and returns its length. Give it kMaxLineBytes; with less room a line
  // that does not fit even when its values are cut ends where the room ends.
  size_t run(const StreamInfo& info, char* out, size_t cap) const;

  // Whether any operator prints the local address of that side (asking the kernel for it costs a
  // system call).
  bool usesDownstreamLocal() const { return usesDownstreamLocal_; }
  bool usesUpstreamLocal() const { return usesUpstreamLocal_; }

  FormatProgram(FormatProgram&&) noexcept = default;
  FormatProgram& operator=(FormatProgram&&) noexcept = default;

 private:
  friend class FormatCompiler;
  FormatProgram() = default;

  enum class StepKind : uint8_t {
    kLiteral,    // bytes of literals_
    kValue,      // a value as text; absent_ where it is absent
    kJsonValue,  // a value with its JSON type; null where it is absent
    kJsonPart,   // a value inside a JSON string that is open
    // Only with omitEmpty, where commas depend on what is there:
    kOpen,      // { or [, and remember where it began
    kMember,    // comma if not the first, and the key; undone if its value is absent
    kOptional,  // a value with its JSON type, or nothing at all
    kPresent,   // what came since kMember counts as a value
    kClose,     // } or ]; an empty one is as if it were absent
  };
  struct Step {
    StepKind kind;
    char bracket = 0;                         // kOpen, kClose
    uint32_t literalAt = 0, literalSize = 0;  // kLiteral, kMember
    uint32_t op = 0;                          // index into ops_
  };
  struct Run;

  void execute(Run& run) const;

  std::string literals_;
  std::vector<FormatOp> ops_;
  std::vector<Step> steps_;
  std::string_view absent_ = "-";
  bool escapes_ = true;
  bool usesDownstreamLocal_ = false;
  bool usesUpstreamLocal_ = false;
};

}  // namespace millrace
