// Where a client keeps the address of its host: in a cookie, or in a header of its own
// (envoy/extensions/http/stateful_session). Immutable; any worker.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/arena.h"
#include "http/headers.h"
#include "proxy/filter_spec.h"

namespace millrace {

class SessionState {
 public:
  explicit SessionState(const spec::StatefulSession& spec);

  // Without a state, sessions are not kept.
  bool any() const { return kind_ != Kind::kNone; }
  // Whether sessions are kept on this path. A query counts as the end of it.
  bool covers(std::string_view path) const;
  // The address that the request names, in `arena` or in the request; empty: none. `nowSeconds`:
  // since 1970.
  std::string_view read(const RequestHead& head, uint64_t nowSeconds, Arena& arena) const;
  // Tells the client that it is `address`. What it points to is in the arena of `headers`.
  void write(std::string_view address, uint64_t nowSeconds, HeaderList& headers) const;

 private:
  using Kind = spec::StatefulSession::State;
  static std::string_view readCookie(std::string_view value, uint64_t nowSeconds);

  const Kind kind_;
  const std::string name_;  // of the cookie; of the header, in lower case
  const uint64_t ttl_;      // seconds; 0: until the client ends
  const std::string path_;
  const std::string cookieTail_;  // what follows the value in Set-Cookie
};

}  // namespace millrace
