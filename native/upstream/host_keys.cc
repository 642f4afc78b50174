#include "upstream/host_keys.h"

#include <algorithm>
#include <bit>

#include "base/random.h"
#include "upstream/balancer/hash.h"

namespace millrace {

const Host* HostKeys::find(std::string_view key) const {
  uint64_t hash = xxHash64(key, seed_);
  const Part* part = parts_[partOf(hash)].get();
  if (part == nullptr) return nullptr;
  for (size_t mask = part->size() - 1, i = hash & mask;; i = (i + 1) & mask) {
    const Cell& cell = (*part)[i];
    if (cell.host == nullptr) return nullptr;
    if (cell.hash == hash && cell.host->key() == key) return cell.host;
  }
}

HostKeysBuilder::HostKeysBuilder() {
  latest_.seed_ = Random().next();
}

void HostKeysBuilder::add(const Host& host) {
  uint64_t hash = xxHash64(host.key(), latest_.seed_);
  size_t part = HostKeys::partOf(hash);
  hosts_[part].push_back({hash, &host});
  changed_[part] = true;
}

void HostKeysBuilder::remove(const Host& host) {
  size_t part = HostKeys::partOf(xxHash64(host.key(), latest_.seed_));
  auto& hosts = hosts_[part];
  auto it = std::ranges::find(hosts, &host, &HostKeys::Cell::host);
  if (it == hosts.end()) return;
  *it = hosts.back();
  hosts.pop_back();
  changed_[part] = true;
}

std::shared_ptr<const HostKeys> HostKeysBuilder::take() {
  for (size_t part = 0; part < HostKeys::kParts; part++) {
    if (changed_[part]) rebuild(part);
  }
  return std::make_shared<const HostKeys>(latest_);
}

void HostKeysBuilder::rebuild(size_t part) {
  changed_[part] = false;
  const auto& hosts = hosts_[part];
  if (hosts.empty()) {
    latest_.parts_[part] = nullptr;
    return;
  }
  HostKeys::Part cells(std::bit_ceil(hosts.size() * 2));
  const size_t mask = cells.size() - 1;
  for (const HostKeys::Cell& cell : hosts) {
    size_t i = cell.hash & mask;
    while (cells[i].host != nullptr) i = (i + 1) & mask;
    cells[i] = cell;
  }
  latest_.parts_[part] = std::make_shared<const HostKeys::Part>(std::move(cells));
}

}  // namespace millrace
