// The operators of formats: what each reads from the facts of a stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/headers.h"
#include "proxy/format_time.h"
#include "proxy/spec.h"
#include "proxy/stream_info.h"

namespace millrace {

enum class FormatOpKind : uint8_t {
#define X(id, name) id,
#include "proxy/format_ops.inc"
#undef X
  kCount
};

// Envoy's name of an operator.
const char* formatOpName(FormatOpKind kind);
// The operator of that name (aliases too: REQUEST_HEADER is REQ); nothing where Millrace has none.
std::optional<FormatOpKind> formatOpFromName(std::string_view name);

// What an operator yielded.
struct FormatValue {
  enum class Kind : uint8_t { kAbsent, kNumber, kText };
  Kind kind = Kind::kAbsent;
  bool foreign = false;  // text from over the network: to be escaped
  uint64_t number = 0;
  std::string_view text;  // into the stream's facts, the program, or `scratch`

  // Where operators that make text put it. Longer percent-decoded query parameters are cut here.
  static constexpr size_t kScratchBytes = 4096;
  char scratch[kScratchBytes];

  // Not initialised beyond that: scratch is large.
  FormatValue() {}  // NOLINT
  void set(uint64_t n) {
    kind = Kind::kNumber;
    number = n;
  }
  void set(std::string_view s, bool fromPeer = false) {
    kind = Kind::kText;
    foreign = fromPeer;
    text = s;
  }
  // As set(), but what is empty is absent.
  void setUnlessEmpty(std::string_view s, bool fromPeer = false) {
    kind = s.empty() ? Kind::kAbsent : Kind::kText;
    foreign = fromPeer;
    text = s;
  }
};

// One operator with its arguments, compiled. Immutable.
class FormatOp {
 public:
  // Error: ERR_MILLRACE_FORMAT, naming `where` and the operator.
  static Result<FormatOp> compile(const spec::FormatOperator& spec, const std::string& where);

  void evaluate(const StreamInfo& info, FormatValue& out) const;
  FormatOpKind kind() const { return kind_; }
  // Values are cut to so many bytes.
  uint32_t maxBytes() const { return maxBytes_; }

  using Mark = uint64_t StreamInfo::*;
  using AddressField = const Address* StreamInfo::*;
  using TextField = std::string_view StreamInfo::*;
  enum class AddressPart : uint8_t { kAll, kHost, kPort };
  AddressField address() const { return address_; }

 private:
  // A header's name; pseudo headers are facts of the stream.
  struct Name {
    enum class Pseudo : uint8_t { kNone, kMethod, kPath, kAuthority, kScheme, kStatus, kUnset };
    Pseudo pseudo = Pseudo::kUnset;
    HeaderId id = HeaderId::kOther;
    std::string text;  // lower case
  };
  enum class PathSource : uint8_t { kOriginalOrCurrent, kOriginal, kCurrent };

  static Name nameOf(const std::string& name);
  void bindField();
  Status compileArguments(const spec::FormatOperator& spec);
  Status compileDuration(const spec::FormatOperator& spec);
  Status compilePath(const spec::FormatOperator& spec);
  bool header(const HeaderList* list, const StreamInfo& info, const Name& name,
              FormatValue& out) const;
  void headers(const HeaderList* list, const StreamInfo& info, FormatValue& out) const;
  void durationBetween(uint64_t fromNs, uint64_t toNs, uint64_t unitNs, FormatValue& out) const;
  void path(const StreamInfo& info, FormatValue& out) const;
  void queryParam(const StreamInfo& info, FormatValue& out) const;
  bool evaluateNumber(const StreamInfo& info, FormatValue& out) const;
  void setAddress(const Address* address, FormatValue& out) const;
  void evaluateText(const StreamInfo& info, FormatValue& out) const;

  FormatOpKind kind_ = FormatOpKind::kHostname;
  uint32_t maxBytes_ = UINT32_MAX;
  AddressField address_ = nullptr;  // operators that print an address
  AddressPart part_ = AddressPart::kAll;
  TextField field_ = nullptr;  // operators that print one fact as it is, absent where it is empty
  Name main_, alternative_;    // REQ, RESP, TRAILER
  std::string text_;           // HOSTNAME, ENVIRONMENT; the name of QUERY_PARAM
  TimeFormat time_;            // START_TIME, EMIT_TIME
  Mark from_ = nullptr, to_ = nullptr;  // COMMON_DURATION
  uint64_t unitNs_ = 1'000'000;
  PathSource pathSource_ = PathSource::kOriginalOrCurrent;
  bool withQuery_ = true;
  bool keepWhitespace_ = false;  // RESPONSE_CODE_DETAILS
};

}  // namespace millrace
