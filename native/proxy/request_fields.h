// The parts of a request that matchers look at.
#pragma once

#include <string_view>

namespace millrace {

class HeaderList;

// Views into the head of a live stream; nothing is owned. `headers` is without Host, which is
// `authority`.
struct RequestFields {
  std::string_view method;
  std::string_view path;  // with the query
  std::string_view authority;
  std::string_view scheme;
  const HeaderList* headers = nullptr;
};

}  // namespace millrace
