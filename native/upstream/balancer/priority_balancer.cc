#include "upstream/balancer/priority_balancer.h"

#include <algorithm>

namespace millrace {

// What build() knows of one priority: its hosts by health, and those by locality.
struct PriorityBalancer::Build {
  struct Hosts {
    std::vector<WeightedPlace> all;
    std::vector<std::vector<WeightedPlace>> byLocality;
  };
  struct PerPriority {
    Hosts any, healthy, degraded;
    std::vector<uint64_t> counted;  // by locality: hosts that are not excluded
  };

  TableContext& context;
  std::span<const double> localityWeights;
  bool split;  // hosts by locality are wanted
  std::vector<PerPriority> priorities;
  std::optional<ZoneIndex> zones;
  const ZoneRouting* zoneRouting = nullptr;  // of the priority that is being built

  void add(Hosts& to, const HostEntry& host, WeightedPlace place) {
    to.all.push_back(place);
    if (!split) return;
    if (to.byLocality.size() <= host.locality) to.byLocality.resize(host.locality + 1);
    to.byLocality[host.locality].push_back(place);
  }

  // `locality_weighted_lb_config`: what a locality gets, by its weight and what part of it can be
  // had.
  double localityWeight(const PerPriority& priority, const Hosts& hosts, size_t locality) const {
    if (locality >= hosts.byLocality.size() || locality >= localityWeights.size()) return 0;
    double eligible = double(hosts.byLocality[locality].size());
    double counted = double(priority.counted[locality]);
    if (eligible == 0 || counted == 0) return 0;
    double part = std::min(1.0, eligible / counted * context.lb.overprovisioning / 100);
    return localityWeights[locality] * part;
  }

  // Hashing balancers have one table of a priority: the weight of a locality is in that of its
  // hosts.
  std::vector<WeightedPlace> spread(const Hosts& hosts) const {
    std::vector<WeightedPlace> places;
    for (size_t i = 0; i < hosts.byLocality.size() && i < localityWeights.size(); i++) {
      double sum = 0;
      for (const WeightedPlace& p : hosts.byLocality[i]) sum += p.weight;
      for (const WeightedPlace& p : hosts.byLocality[i]) {
        double weight = p.weight / sum * localityWeights[i];
        if (weight > 0) places.push_back({p.place, weight});
      }
    }
    return places;
  }

  Branch branch(const PerPriority& priority, Hosts hosts) {
    Branch branch;
    if (split && hashes(context.lb.policy)) {
      branch.all = makeTable(context, spread(hosts));
      return branch;
    }
    if (split) {
      std::vector<double> weights;
      for (size_t i = 0; i < hosts.byLocality.size(); i++) {
        weights.push_back(localityWeight(priority, hosts, i));
        branch.localities.push_back(
            weights.back() > 0 ? makeTable(context, std::move(hosts.byLocality[i])) : nullptr);
      }
      branch.byWeight = AliasTable(weights);
      if (!branch.byWeight.empty()) return branch;
      branch.localities.clear();  // no locality has a weight: as if there were none
    }
    if (zoneRouting != nullptr) byZone(branch, hosts.all);
    branch.all = makeTable(context, std::move(hosts.all));
    return branch;
  }

  // Zone-aware routing of the first priority, which alone has it, as in Envoy.
  std::unique_ptr<const ZoneRouting> routeByZone(std::span<const uint32_t> members) {
    if (context.zones == nullptr || hashes(context.lb.policy) || priorities.empty()) return nullptr;
    std::vector<uint32_t> first;
    for (uint32_t place : members) {
      if (context.hosts[place].priority == 0) first.push_back(place);
    }
    zones.emplace(*context.zones, context.localities, context.hosts, first);
    std::vector<uint64_t> healthy(zones->size());
    for (const WeightedPlace& p : priorities[0].healthy.all) {
      healthy[zones->of(context.hosts[p.place])]++;
    }
    return ZoneRouting::build(context, *zones, healthy);
  }

  void byZone(Branch& branch, const std::vector<WeightedPlace>& hosts) {
    std::vector<std::vector<WeightedPlace>> each(zones->size());
    for (const WeightedPlace& p : hosts) each[zones->of(context.hosts[p.place])].push_back(p);
    for (auto& places : each) branch.localities.push_back(makeTable(context, std::move(places)));
    branch.byZone = zoneRouting;
  }
};

std::unique_ptr<const PriorityBalancer> PriorityBalancer::build(
    TableContext& context, std::span<const uint32_t> members,
    std::span<const double> localityWeights) {
  auto balancer = std::make_unique<PriorityBalancer>();
  const spec::Lb& lb = context.lb;
  balancer->policy_ = lb.policy;
  balancer->failTrafficOnPanic_ = lb.failTrafficOnPanic;
  balancer->overprovisioning_ = lb.overprovisioning;
  balancer->panicThreshold_ = lb.panicThreshold;
  Build build{context, localityWeights, lb.localityWeighted && !localityWeights.empty(), {}, {}};
  std::vector<PriorityHealth>& health = balancer->health_;
  for (uint32_t place : members) {
    const HostEntry& host = context.hosts[place];
    if (host.priority >= health.size()) {
      health.resize(host.priority + 1);
      build.priorities.resize(host.priority + 1);
    }
    uint64_t count = lb.weightedPriorityHealth ? host.weight : 1;
    PriorityHealth& h = health[host.priority];
    Build::PerPriority& p = build.priorities[host.priority];
    h.hosts += count;
    h.excluded += host.excluded ? count : 0;
    h.healthy += host.health == Health::kHealthy ? count : 0;
    h.degraded += host.health == Health::kDegraded ? count : 0;
    if (build.split && !host.excluded) {
      if (p.counted.size() <= host.locality) p.counted.resize(host.locality + 1);
      p.counted[host.locality]++;
    }
    if (host.weight == 0) continue;
    WeightedPlace weighted{place, double(host.weight)};
    build.add(p.any, host, weighted);
    if (host.health == Health::kHealthy) build.add(p.healthy, host, weighted);
    if (host.health == Health::kDegraded) build.add(p.degraded, host, weighted);
  }
  balancer->shares_ = sharesOf(health, lb.overprovisioning, lb.panicThreshold);
  std::unique_ptr<const ZoneRouting> zones = build.routeByZone(members);
  for (size_t i = 0; i < health.size(); i++) {
    Build::PerPriority& p = build.priorities[i];
    p.counted.resize(std::max(p.counted.size(), localityWeights.size()));
    Tables& tables = balancer->tables_.emplace_back();
    if (i == 0) tables.zones = std::move(zones);
    build.zoneRouting = tables.zones.get();
    if (balancer->shares_.panic[i]) {
      tables.panic = makeTable(
          context, build.split && hashes(lb.policy) ? build.spread(p.any) : std::move(p.any.all));
      continue;
    }
    tables.healthy = build.branch(p, std::move(p.healthy));
    // As in Envoy, balancers that hash know no degraded hosts.
    if (!hashes(lb.policy)) tables.degraded = build.branch(p, std::move(p.degraded));
    if (balancer->shares_.loads.healthy[i] == 100) balancer->only_ = int(i);
  }
  return balancer;
}

PriorityLoads PriorityBalancer::loadsWithout(const std::vector<bool>& tried) const {
  return sharesOf(health_, overprovisioning_, panicThreshold_, tried).loads;
}

size_t PriorityBalancer::memory() const {
  size_t bytes = sizeof *this + tables_.capacity() * sizeof(Tables);
  auto table = [&](const std::unique_ptr<const HostTable>& t) {
    if (t != nullptr) bytes += t->memory();
  };
  for (const Tables& tables : tables_) {
    table(tables.panic);
    if (tables.zones != nullptr) bytes += tables.zones->memory();
    for (const Branch* branch : {&tables.healthy, &tables.degraded}) {
      table(branch->all);
      for (const auto& locality : branch->localities) table(locality);
      bytes += branch->byWeight.memory();
    }
  }
  return bytes;
}

// ---- On a worker --------------------------------------------------------------------------------

const HostTable* PriorityBalancer::Branch::choose(PickState& state) const {
  if (localities.empty()) return all.get();
  if (byZone == nullptr) return localities[byWeight.pick(state.random.next())].get();
  uint32_t zone = byZone->choose(state);
  if (zone == ZoneRouting::kNowhere) return nullptr;
  // Shares are those of healthy hosts: a zone may have no degraded ones.
  bool any = zone == ZoneRouting::kAnywhere || localities[zone] == nullptr;
  return any ? all.get() : localities[zone].get();
}

const HostTable* PriorityBalancer::table(size_t priority, bool degraded, PickState& state) const {
  const Tables& tables = tables_[priority];
  if (shares_.panic[priority]) {
    state.events |= kPickPanic;
    return failTrafficOnPanic_ ? nullptr : tables.panic.get();
  }
  return (degraded ? tables.degraded : tables.healthy).choose(state);
}

const HostTable* PriorityBalancer::table(const PickContext& context, PickState& state,
                                         uint64_t hash) const {
  if (context.loads == nullptr && only_ >= 0) {
    return tables_[size_t(only_)].healthy.choose(state);
  }
  // As Envoy does it: the healthy hosts of all priorities, then the degraded ones.
  const PriorityLoads& loads = context.loads == nullptr ? shares_.loads : *context.loads;
  uint64_t number = hash % 100;
  for (bool degraded : {false, true}) {
    const std::vector<uint8_t>& part = degraded ? loads.degraded : loads.healthy;
    for (size_t i = 0; i < part.size() && i < tables_.size(); i++) {
      if (number < part[i]) return table(i, degraded, state);
      number -= part[i];
    }
  }
  return nullptr;
}

const HostEntry* PriorityBalancer::pick(const PickContext& context, PickState& state,
                                        std::span<const HostEntry> hosts) const {
  const HostEntry* host = nullptr;
  for (uint32_t attempt = 0;; attempt++) {
    // A request with a hash keeps its priority too.
    uint64_t hash = context.hash && hashes(policy_) ? *context.hash : state.random.next();
    const HostTable* from = table(context, state, hash);
    if (from == nullptr) return host;
    host = &hosts[from->pick({hosts, state, hash, attempt})];
    if (context.filter == nullptr || attempt == context.attempts ||
        !context.filter->rejects(*host)) {
      return host;
    }
  }
}

}  // namespace millrace
