#include "upstream/balancer/zone_routing.h"

#include <algorithm>

namespace millrace {

namespace {

constexpr uint64_t kWhole = 10'000;  // shares are hundredths of a percent, as Envoy's

ZoneName zoneOf(std::span<const spec::Locality> localities, uint32_t locality) {
  if (locality >= localities.size()) return {};
  const spec::Locality& l = localities[locality];
  return {l.region, l.zone, l.subZone};
}

uint64_t shareOf(uint64_t part, uint64_t all) {
  return all == 0 ? 0 : kWhole * part / all;
}

}  // namespace

// ---- The proxies --------------------------------------------------------------------------------

LocalZones LocalZones::count(std::optional<ZoneName> own,
                             std::span<const spec::Locality> localities,
                             std::span<const HostEntry> hosts) {
  LocalZones zones;
  zones.own = std::move(own);
  for (const HostEntry& host : hosts) {
    if (host.host == nullptr || host.priority != 0) continue;
    ZoneName name = zoneOf(localities, host.locality);
    zones.hosts[name]++;
    zones.health.hosts++;
    zones.health.excluded += host.excluded;
    zones.health.degraded += host.health == Health::kDegraded;
    if (host.health != Health::kHealthy) continue;
    zones.health.healthy++;
    zones.healthy[std::move(name)]++;
  }
  return zones;
}

bool LocalZones::operator==(const LocalZones& other) const {
  return own == other.own && hosts == other.hosts && healthy == other.healthy &&
         health.degraded == other.health.degraded && health.excluded == other.health.excluded;
}

// ---- The hosts ----------------------------------------------------------------------------------

ZoneIndex::ZoneIndex(const LocalZones& local, std::span<const spec::Locality> localities,
                     std::span<const HostEntry> hosts, std::span<const uint32_t> members) {
  std::vector<bool> used;
  for (uint32_t place : members) {
    uint32_t locality = hosts[place].locality;
    if (used.size() <= locality) used.resize(locality + 1);
    used[locality] = true;
  }
  std::map<ZoneName, uint32_t> numbers;
  for (uint32_t i = 0; i < used.size(); i++) {
    if (used[i]) numbers[zoneOf(localities, i)] = 0;
  }
  if (local.own && numbers.contains(*local.own)) {
    hasOwn_ = true;
    names_.push_back(*local.own);
  }
  for (auto& [name, number] : numbers) {
    if (hasOwn_ && name == names_[0]) continue;
    number = uint32_t(names_.size());
    names_.push_back(name);
  }
  byLocality_.resize(used.size());
  for (uint32_t i = 0; i < used.size(); i++) {
    if (used[i]) byLocality_[i] = numbers[zoneOf(localities, i)];
  }
}

// ---- Shares -------------------------------------------------------------------------------------

std::unique_ptr<const ZoneRouting> ZoneRouting::build(TableContext& context, const ZoneIndex& zones,
                                                      std::span<const uint64_t> healthy) {
  const LocalZones& local = *context.zones;
  const spec::ZoneAware& spec = context.lb.zoneAware;
  context.counts.zonesComputed++;
  if (zones.size() < 2 || local.hosts.size() < 2) return nullptr;
  if (!local.own || !local.hosts.contains(*local.own)) {
    context.counts.localNotOk++;
    return nullptr;
  }
  uint64_t all = 0;
  for (uint64_t n : healthy) all += n;
  if (all < spec.minClusterSize) {
    context.counts.zoneTooSmall++;
    return nullptr;
  }
  auto routing = std::make_unique<ZoneRouting>();
  routing->enabledPercent_ = spec.enabledPercent;
  routing->localPanic_ = inPanic(local.health, context.lb.panicThreshold);
  routing->failOnPanic_ = context.lb.failTrafficOnPanic;
  routing->share(local, zones, healthy);
  return routing;
}

void ZoneRouting::share(const LocalZones& local, const ZoneIndex& zones,
                        std::span<const uint64_t> healthy) {
  uint64_t all = 0;
  for (uint64_t n : healthy) all += n;
  // What proxies of a zone send, and what its hosts take.
  auto sent = [&](size_t zone) {
    auto it = local.healthy.find(zones.name(zone));
    return it == local.healthy.end() ? 0 : shareOf(it->second, local.health.healthy);
  };
  auto taken = [&](size_t zone) { return shareOf(healthy[zone], all); };
  if (zones.hasOwn()) {
    uint64_t own = taken(0);
    if (own > 0 && own >= sent(0)) {
      direct_ = true;
      return;
    }
    // A zone without hosts counts as one whose proxies send nothing.
    stay_ = own > 0 ? own * kWhole / sent(0) : 0;
  }
  uint64_t sum = 0;
  for (size_t zone = 0; zone < zones.size(); zone++) {
    bool own = zone == 0 && zones.hasOwn();
    uint64_t room = taken(zone);
    if (!own && room > sent(zone)) sum += room - sent(zone);
    upTo_.push_back(sum);
  }
}

// ---- On a worker --------------------------------------------------------------------------------

uint32_t ZoneRouting::choose(PickState& state) const {
  if (enabledPercent_ < 100 && below(state.random.next(), 100) >= enabledPercent_) return kAnywhere;
  if (localPanic_) {
    state.events |= kPickLocalNotOk;
    return failOnPanic_ ? kNowhere : kAnywhere;
  }
  if (direct_) {
    state.events |= kPickZoneLocal;
    return 0;
  }
  if (stay_ > 0 && below(state.random.next(), kWhole) < stay_) {
    state.events |= kPickZoneSampled;
    return 0;
  }
  state.events |= kPickZoneCross;
  uint64_t room = upTo_.back();
  if (room == 0) {
    // Because shares are rounded.
    state.events |= kPickZoneFull;
    return below(state.random.next(), uint32_t(upTo_.size()));
  }
  auto at =
      std::upper_bound(upTo_.begin(), upTo_.end(), below(state.random.next(), uint32_t(room)));
  return uint32_t(at - upTo_.begin());
}

}  // namespace millrace
