// Header mutations of one level (weighted cluster, route, virtual host, table): removed first, then
// added.
//
// Built on the main thread; then immutable, read by every worker.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/headers.h"
#include "proxy/spec.h"

namespace millrace {

class FormatProgram;
struct StreamInfo;

class HeaderMutations {
 public:
  HeaderMutations();
  ~HeaderMutations();
  HeaderMutations(HeaderMutations&&) noexcept;
  HeaderMutations& operator=(HeaderMutations&&) noexcept;

  // `where`: the path of these mutations in the configuration, for errors. Refused by name are
  // pseudo headers and host (rewrites change those), and fields that frame the message, which are
  // the codec's.
  static Result<HeaderMutations> compile(spec::HeaderMutations spec, const std::string& where);

  bool empty() const { return add_.empty() && remove_.empty(); }
  // All values are made from the message as it is after the removals; then overwriting ones are
  // set, then appending ones are added (Envoy's HeaderParser::evaluateHeaders). Literal values cost
  // no formatting and no copy: they live in the snapshot. Others are formatted into
  // headers.arena().
  void apply(HeaderList& headers, const StreamInfo& info) const;

 private:
  struct Name {
    std::string text;  // lower case
    HeaderId id = HeaderId::kOther;
  };
  struct Value {
    Name name;
    spec::HeaderValue::Action action = spec::HeaderValue::Action::kAppend;
    bool keepEmpty = false;
    std::string literal;
    std::unique_ptr<FormatProgram> format;  // null: `literal`
  };
  static Result<Value> compileValue(spec::HeaderValue spec, const std::string& where);
  static std::string_view textOf(const Value& value, const StreamInfo& info, Arena& arena);

  std::vector<Value> add_;
  std::vector<Name> remove_;
};

}  // namespace millrace
