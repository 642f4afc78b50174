// From the host of a request to its virtual host: exact names first, then the longest "*suffix",
// then the longest "prefix*", then "*" (route_components.proto, VirtualHost.domains). Comparing
// ignores case. Hash tables: a look-up costs one probe, and one more for each different length of
// wildcard.
//
// Filled on the main thread; then immutable, read by every worker.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/string_index.h"

namespace millrace {

class DomainIndex {
 public:
  static constexpr uint32_t kNone = StringIndex::kNone;

  // A domain belongs to one virtual host. `where`: its path in the configuration, for the error.
  Status add(std::string_view domain, uint32_t virtualHost, const std::string& where);

  // The virtual host, or kNone. `host` is compared as it is, a port included.
  uint32_t find(std::string_view host) const {
    // The usual single "*" costs nothing.
    return onlyDefault_ ? default_ : findNamed(host);
  }

 private:
  // Wildcards of one kind. A wildcard stands for at least one character.
  struct Wildcards {
    StringIndex parts{Fold::kLower};  // without the '*'
    std::vector<size_t> lengths;      // of the parts, each once, longest first
    bool add(std::string_view part, uint32_t virtualHost);
  };
  uint32_t findNamed(std::string_view host) const;

  StringIndex exact_{Fold::kLower};
  Wildcards suffixes_;  // "*.example.com"
  Wildcards prefixes_;  // "example.*"
  uint32_t default_ = kNone;
  bool onlyDefault_ = true;
};

}  // namespace millrace
