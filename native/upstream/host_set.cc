#include "upstream/host_set.h"

#include <algorithm>
#include <unordered_set>

#include "base/clock.h"

namespace millrace {

// ---- HostMetadata -------------------------------------------------------------------------------

HostMetadata::HostMetadata(std::vector<std::string> flat) {
  sorted_.reserve(flat.size() / 2);
  for (size_t i = 0; i + 1 < flat.size(); i += 2) {
    sorted_.emplace_back(std::move(flat[i]), std::move(flat[i + 1]));
  }
  std::sort(sorted_.begin(), sorted_.end());
}

bool HostMetadata::has(std::string_view key, std::string_view value) const {
  auto less = [](const auto& pair, std::string_view wanted) { return pair.first < wanted; };
  auto it = std::lower_bound(sorted_.begin(), sorted_.end(), key, less);
  for (; it != sorted_.end() && it->first == key; ++it) {
    if (it->second == value) return true;
  }
  return false;
}

std::string_view HostMetadata::first(std::string_view key) const {
  auto less = [](const auto& pair, std::string_view wanted) { return pair.first < wanted; };
  auto it = std::lower_bound(sorted_.begin(), sorted_.end(), key, less);
  return it != sorted_.end() && it->first == key ? std::string_view(it->second)
                                                 : std::string_view();
}

// ---- HostHistory --------------------------------------------------------------------------------

HostHistory::~HostHistory() {
  // One by one: a chain can be long when an old snapshot was pinned for long.
  std::shared_ptr<HostHistory> link = std::move(next);
  while (link != nullptr && link.use_count() == 1) {
    std::shared_ptr<HostHistory> after = std::move(link->next);
    link = std::move(after);
  }
}

// ---- HostSet ------------------------------------------------------------------------------------

struct HostSet::Resolved {
  Address address;
  std::vector<Address> additional;
};

static Result<Address> addressOf(const spec::Address& a) {
  return a.isUnix() ? Address::unixPath(a.path) : Address::ip(a.ip, a.port);
}

Status HostSet::check(const spec::Address& address) {
  auto usable = addressOf(address);
  return usable ? Status{} : Status{usable.error()};
}

Result<HostSet::Resolved> HostSet::resolve(const spec::Host& spec) {
  auto address = addressOf(spec.address);
  if (!address) return address.error();
  Resolved resolved{*address, {}};
  for (const spec::Address& more : spec.additionalAddresses) {
    auto next = addressOf(more);
    if (!next) return next.error();
    resolved.additional.push_back(*next);
  }
  return resolved;
}

Status HostSet::set(const spec::Host& spec) {
  auto addresses = resolve(spec);
  if (!addresses) return addresses.error();
  put(spec, std::move(*addresses));
  return {};
}

Status HostSet::replace(const std::vector<spec::Host>& hosts) {
  std::unordered_set<uint64_t> named;
  std::vector<uint64_t> gone;
  for (const spec::Host& host : hosts) named.insert(host.id);
  for (const auto& [id, owned] : byId_) {
    if (!named.contains(id)) gone.push_back(id);
  }
  // In a fixed order, so that places do not depend on the hash.
  std::sort(gone.begin(), gone.end());
  return apply({hosts, std::move(gone)});
}

Status HostSet::apply(const spec::HostDelta& delta) {
  std::vector<Resolved> addresses;
  addresses.reserve(delta.set.size());
  for (const spec::Host& host : delta.set) {
    auto resolved = resolve(host);
    if (!resolved) return resolved.error();
    addresses.push_back(std::move(*resolved));
  }
  for (uint64_t id : delta.remove) remove(id);
  for (size_t i = 0; i < delta.set.size(); i++) put(delta.set[i], std::move(addresses[i]));
  return {};
}

void HostSet::put(const spec::Host& spec, Resolved addresses) {
  auto [it, isNew] = byId_.try_emplace(spec.id);
  Owned& owned = it->second;
  if (!isNew && (owned.host->address() != addresses.address ||
                 owned.host->additionalAddresses() != addresses.additional ||
                 owned.host->hostname() != spec.hostname)) {
    take(owned);
    isNew = true;
  }
  uint64_t since = 0;
  if (isNew) {
    if (holes_.empty()) {
      owned.place = uint32_t(entries_.size());
      entries_.emplace_back();
    } else {
      owned.place = holes_.back();
      holes_.pop_back();
    }
    owned.host =
        std::make_shared<const Host>(spec.id, owned.place, addresses.address,
                                     std::move(addresses.additional), spec.hostname, workers_);
    if (keys_ != nullptr) keys_->add(*owned.host);
    owned.metadata = nullptr;
    addToIndex(owned);
    owned.reported = 0;
    if (spec.health == Health::kHealthy) since = monotonicNs();
  } else {
    const HostEntry& before = entries_[owned.place];
    since = before.healthySinceNs;
    if (spec.health == Health::kHealthy && before.health == Health::kUnhealthy) {
      since = monotonicNs();
    }
    counts_[size_t(before.health)]--;
    if (before.health != Health::kUnhealthy && spec.health == Health::kUnhealthy) {
      changes_.push_back({owned.host.get(), HostChange::Kind::kFailed});
    }
  }
  auto metadata =
      spec.metadata.empty() ? nullptr : std::make_shared<const HostMetadata>(spec.metadata);
  bool same = metadata == nullptr
                  ? owned.metadata == nullptr
                  : owned.metadata != nullptr && owned.metadata->sorted() == metadata->sorted();
  if (!same) {
    if (owned.metadata != nullptr) kept_.push_back(std::move(owned.metadata));
    owned.metadata = std::move(metadata);
  }
  counts_[size_t(spec.health)]++;
  entries_[owned.place] = {.host = owned.host.get(),
                           .metadata = owned.metadata.get(),
                           .healthySinceNs = since,
                           .weight = weightOf(owned, spec),
                           .locality = spec.locality,
                           .priority = spec.priority,
                           .health = spec.health,
                           .status = spec.statusNow(),
                           .excluded = spec.excluded,
                           .canary = spec.canary};
}

void HostSet::addToIndex(const Owned& owned) {
  if (index_->add(owned.host->addressText(), owned.place)) return;
  index_ = std::make_shared<HostIndex>(uint32_t(byId_.size()));
  for (uint32_t place = 0; place < entries_.size(); place++) {
    const Host* host = entries_[place].host;
    if (host != nullptr) index_->add(host->addressText(), place);
  }
  index_->add(owned.host->addressText(), owned.place);  // its entry is not made yet
}

// ---- Weights that hosts report ------------------------------------------------------------------

uint32_t HostSet::weightOf(const Owned& owned, const spec::Host& spec) const {
  // 0 is the one weight that takes a host out.
  if (!byReports_ || spec.weight == 0) return spec.weight;
  if (owned.reported != 0) return owned.reported;
  return spec.priority < medians_.size() ? medians_[spec.priority] : 1;
}

bool HostSet::reweigh(const spec::ClientWeights& rules, uint64_t nowNs) {
  uint64_t blackoutNs = rules.blackout * kNsPerMs, expirationNs = rules.expiration * kNsPerMs;
  std::vector<std::vector<uint32_t>> known;  // by priority
  for (auto& [id, owned] : byId_) {
    owned.reported = owned.host->reportedWeight().get(nowNs, blackoutNs, expirationNs);
    size_t priority = entries_[owned.place].priority;
    if (known.size() <= priority) known.resize(priority + 1);
    if (owned.reported != 0) known[priority].push_back(owned.reported);
  }
  medians_.assign(known.size(), 1);
  for (size_t i = 0; i < known.size(); i++) {
    if (known[i].empty()) continue;
    auto middle = known[i].begin() + long(known[i].size() / 2);
    std::nth_element(known[i].begin(), middle, known[i].end());
    medians_[i] = *middle;
  }
  bool changed = false;
  for (auto& [id, owned] : byId_) {
    HostEntry& entry = entries_[owned.place];
    if (entry.weight == 0) continue;
    uint32_t weight = owned.reported != 0 ? owned.reported : medians_[entry.priority];
    changed |= entry.weight != weight;
    entry.weight = weight;
  }
  return changed;
}

// The host leaves its place; older snapshots may still point to it.
void HostSet::take(Owned& owned) {
  index_->remove(owned.host->addressText(), owned.place);
  counts_[size_t(entries_[owned.place].health)]--;
  entries_[owned.place] = {};
  holes_.push_back(owned.place);
  if (keys_ != nullptr) keys_->remove(*owned.host);
  changes_.push_back({owned.host.get(), HostChange::Kind::kRemoved});
  kept_.push_back(std::move(owned.host));
  if (owned.metadata != nullptr) kept_.push_back(std::move(owned.metadata));
}

void HostSet::remove(uint64_t id) {
  auto it = byId_.find(id);
  if (it == byId_.end()) return;
  take(it->second);
  byId_.erase(it);
}

std::shared_ptr<const HostKeys> HostSet::keys() {
  if (keys_ == nullptr) {
    keys_ = std::make_unique<HostKeysBuilder>();
    for (const auto& [id, owned] : byId_) keys_->add(*owned.host);
  }
  return keys_->take();
}

bool HostSet::takeChanges(HostHistory& history) {
  if (changes_.empty() && kept_.empty()) return false;
  history.changes = std::move(changes_);
  history.kept = std::move(kept_);
  changes_.clear();
  kept_.clear();
  return true;
}

void HostSet::giveAll(HostHistory& history) {
  for (auto& [id, owned] : byId_) take(owned);
  byId_.clear();
  takeChanges(history);
}

}  // namespace millrace
