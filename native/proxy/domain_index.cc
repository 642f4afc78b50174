#include "proxy/domain_index.h"

#include <algorithm>

namespace millrace {

bool DomainIndex::Wildcards::add(std::string_view part, uint32_t virtualHost) {
  if (!parts.insert(part, virtualHost)) return false;
  auto at = std::lower_bound(lengths.begin(), lengths.end(), part.size(), std::greater<>());
  if (at == lengths.end() || *at != part.size()) lengths.insert(at, part.size());
  return true;
}

Status DomainIndex::add(std::string_view domain, uint32_t virtualHost, const std::string& where) {
  if (domain.empty()) return Error{"ERR_MILLRACE_ROUTES", where + ": must not be empty"};
  bool isNew = true;
  if (domain == "*") {
    isNew = default_ == kNone;
    if (isNew) default_ = virtualHost;
  } else {
    onlyDefault_ = false;
    if (domain.front() == '*') {
      isNew = suffixes_.add(domain.substr(1), virtualHost);
    } else if (domain.back() == '*') {
      isNew = prefixes_.add(domain.substr(0, domain.size() - 1), virtualHost);
    } else {
      isNew = exact_.insert(domain, virtualHost);
    }
  }
  if (isNew) return Status();
  return Error{"ERR_MILLRACE_ROUTES",
               where + ": \"" + std::string(domain) + "\" is a domain of another virtual host"};
}

uint32_t DomainIndex::findNamed(std::string_view host) const {
  if (host.empty()) return kNone;
  uint32_t found = exact_.find(host);
  if (found != kNone) return found;
  for (size_t length : suffixes_.lengths) {
    if (length >= host.size()) continue;
    found = suffixes_.parts.find(host.substr(host.size() - length));
    if (found != kNone) return found;
  }
  for (size_t length : prefixes_.lengths) {
    if (length >= host.size()) continue;
    found = prefixes_.parts.find(host.substr(0, length));
    if (found != kNone) return found;
  }
  return default_;
}

}  // namespace millrace
