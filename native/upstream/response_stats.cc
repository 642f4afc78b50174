#include "upstream/response_stats.h"

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

StatBlock& ResponseStats::block(ResponseGroup group) {
  StatBlock& block = blocks_[size_t(group)];
  if (!block) block = shard_.block(names_.block(group));
  return block;
}

void ResponseStats::count(const Response& response) {
  uint16_t status = response.status;
  if (status < 100 || status > 599) return;
  size_t place = kPlaces.of[status];
  auto countIn = [&](ResponseGroup group) {
    StatBlock cells = block(group);
    size_t codes = 0;
    if (hasClasses(group)) {
      ++cells[0];
      ++cells[kFirstClass + status / 100 - 1];
      codes = kFirstCode;
    }
    if (place != 0) ++cells[codes + place - 1];
  };
  if (response.retried) return countIn(ResponseGroup::kRetried);
  countIn(ResponseGroup::kAll);
  countIn(response.internal ? ResponseGroup::kInternal : ResponseGroup::kExternal);
  if (response.canary) countIn(ResponseGroup::kCanary);
}

}  // namespace millrace
