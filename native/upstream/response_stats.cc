#include "upstream/response_stats.h"

#include <algorithm>
#include <string>

namespace millrace {

namespace {

constexpr uint16_t kCodes[] = {
#define X(code) code,
#include "upstream/response_codes.inc"
#undef X
};

constexpr StatLeaf shown(const char* name) {
  return {name, StatKind::kCounter, true};
}

constexpr StatLeaf kCodeLeaves[] = {
#define X(code) shown("upstream_rq_" #code),
#include "upstream/response_codes.inc"
#undef X
};

// Of the groups that have classes of their own: first all, then 1xx to 5xx, then the codes.
constexpr size_t kFirstClass = 1, kFirstCode = 6;
constexpr StatLeaf kGroupLeaves[] = {
    shown("upstream_rq_completed"), shown("upstream_rq_1xx"), shown("upstream_rq_2xx"),
    shown("upstream_rq_3xx"),       shown("upstream_rq_4xx"), shown("upstream_rq_5xx"),
#define X(code) shown("upstream_rq_" #code),
#include "upstream/response_codes.inc"
#undef X
};

// By status: the place among the codes, counted from 1; 0: not one by one.
struct Places {
  uint8_t of[600] = {};
  constexpr Places() {
    for (size_t i = 0; i < std::size(kCodes); i++) of[kCodes[i]] = uint8_t(i + 1);
  }
};
constexpr Places kPlaces;
static_assert(std::size(kCodes) < 255);

constexpr const char* kPrefixes[kResponseGroups] = {"", "retry.", "external.", "internal.",
                                                    "canary."};

bool hasClasses(ResponseGroup group) {
  return group != ResponseGroup::kAll && group != ResponseGroup::kRetried;
}

}  // namespace

ResponseStatNames::ResponseStatNames(const StatScope& cluster, StatsRegistry& stats)
    : stats_(stats) {
  for (size_t i = 0; i < kResponseGroups; i++) {
    StatScope scope{cluster.prefix + kPrefixes[i], cluster.taggedPrefix + kPrefixes[i],
                    cluster.tags};
    if (hasClasses(ResponseGroup(i))) {
      blocks_[i] = stats_.block(scope, kGroupLeaves);
    } else {
      blocks_[i] = stats_.block(scope, kCodeLeaves);
    }
  }
}

ResponseStatNames::~ResponseStatNames() {
  for (BlockId id : blocks_) stats_.release(id);
}

std::shared_ptr<const ZoneStatNames> ZoneStatNames::make(const StatScope& cluster,
                                                         std::string_view own,
                                                         std::span<const spec::Locality> localities,
                                                         StatsRegistry& stats) {
  bool any = std::any_of(localities.begin(), localities.end(),
                         [](const spec::Locality& l) { return !l.zone.empty(); });
  if (own.empty() || !any) return nullptr;
  auto names = std::make_shared<ZoneStatNames>(stats);
  for (const spec::Locality& locality : localities) {
    std::optional<BlockId>& block = names->blocks_.emplace_back();
    if (locality.zone.empty()) continue;
    std::string zones = "zone." + std::string(own) + "." + locality.zone + ".";
    block = stats.block({cluster.prefix + zones, cluster.taggedPrefix + zones, cluster.tags},
                        kGroupLeaves);
  }
  return names;
}

ZoneStatNames::~ZoneStatNames() {
  for (const std::optional<BlockId>& block : blocks_) {
    if (block) stats_.release(*block);
  }
}

StatBlock& ResponseStats::block(ResponseGroup group) {
  StatBlock& block = blocks_[size_t(group)];
  if (!block) block = shard_.block(names_.block(group));
  return block;
}

namespace {

void countIn(StatBlock cells, bool classes, uint16_t status) {
  size_t codes = 0;
  if (classes) {
    ++cells[0];
    ++cells[kFirstClass + status / 100 - 1];
    codes = kFirstCode;
  }
  size_t place = kPlaces.of[status];
  if (place != 0) ++cells[codes + place - 1];
}

bool isCounted(uint16_t status) {
  return status >= 100 && status <= 599;
}

}  // namespace

void ResponseStats::count(const Response& response) {
  if (!isCounted(response.status)) return;
  auto count = [&](ResponseGroup group) {
    countIn(block(group), hasClasses(group), response.status);
  };
  if (response.retried) return count(ResponseGroup::kRetried);
  count(ResponseGroup::kAll);
  count(response.internal ? ResponseGroup::kInternal : ResponseGroup::kExternal);
  if (response.canary) count(ResponseGroup::kCanary);
}

void ResponseStats::countZone(const BlockId& zone, uint16_t status) {
  if (isCounted(status)) countIn(shard_.block(zone), true, status);
}

}  // namespace millrace
