#include "upstream/outlier.h"

#include <algorithm>

#include "upstream/cluster.h"
#include "upstream/upstream_worker.h"

namespace millrace {

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// What a count is about, and who is told.
struct Counted {
  UpstreamWorker& worker;
  const ClusterSnapshot& cluster;
  const Host& host;

  HostOutcomes& counts() const { return host.outcomes().get(host.workers()); }
  HostOutcomes::Window& window() const { return counts().windows[worker.index()]; }
  void tell(OutlierKind kind) const { worker.report({cluster.slot(), host.id(), kind}); }

  // One more of a row. A complete row is told, and another one begins.
  void failure(std::atomic<uint32_t>& row, uint32_t limit, OutlierKind kind) const {
    if (row.fetch_add(1, kRelaxed) + 1 != limit) return;
    row.store(0, kRelaxed);
    tell(kind);
  }
};

// A success ends a row. It reads only, as long as all is well: the line stays shared.
void endRow(std::atomic<uint32_t>& row) {
  if (row.load(kRelaxed) != 0) row.store(0, kRelaxed);
}

void countStatus(const Counted& of, const spec::Outlier& limits, uint16_t status) {
  HostOutcomes& counts = of.counts();
  bump(of.window().total);
  if (status < 500 || status > 599) {
    bump(of.window().success);
    endRow(counts.consecutive5xx);
    endRow(counts.consecutiveGatewayFailure);
    return;
  }
  if (status >= 502 && status <= 504) {
    of.failure(counts.consecutiveGatewayFailure, limits.consecutiveGatewayFailure,
               OutlierKind::kConsecutiveGatewayFailure);
  } else {
    endRow(counts.consecutiveGatewayFailure);
  }
  of.failure(counts.consecutive5xx, limits.consecutive5xx, OutlierKind::kConsecutive5xx);
}

void countLocalOrigin(const Counted& of, const spec::Outlier& limits, bool success) {
  HostOutcomes& counts = of.counts();
  bump(of.window().localTotal);
  if (success) {
    bump(of.window().localSuccess);
    endRow(counts.consecutiveLocalOriginFailure);
  } else {
    of.failure(counts.consecutiveLocalOriginFailure, limits.consecutiveLocalOriginFailure,
               OutlierKind::kConsecutiveLocalOriginFailure);
  }
}

}  // namespace

void countResponse(UpstreamWorker& worker, const ClusterSnapshot& cluster, const Host& host,
                   uint16_t status) {
  if (const spec::Outlier* limits = cluster.outlier()) {
    countStatus({worker, cluster, host}, *limits, status);
  }
}

void countOutcome(UpstreamWorker& worker, const ClusterSnapshot& cluster, const Host& host,
                  Outcome outcome) {
  const spec::Outlier* limits = cluster.outlier();
  if (limits == nullptr) return;
  Counted of{worker, cluster, host};
  if (limits->splitExternalLocalOriginErrors) {
    bool success = outcome == Outcome::kConnected || outcome == Outcome::kConnectedFinal;
    return countLocalOrigin(of, *limits, success);
  }
  switch (outcome) {
    case Outcome::kConnected:
      return;  // the response decides
    case Outcome::kConnectedFinal:
      return countStatus(of, *limits, 200);
    case Outcome::kConnectFailed:
      return countStatus(of, *limits, 503);
    case Outcome::kTimeout:
      return countStatus(of, *limits, 504);
  }
}

void reportImmediateFail(UpstreamWorker& worker, const ClusterSnapshot& cluster, const Host& host) {
  if (!cluster.reportsImmediateFail()) return;
  Counted of{worker, cluster, host};
  std::atomic<bool>& told = of.counts().immediateFailTold;
  if (told.load(kRelaxed) || told.exchange(true, kRelaxed)) return;
  of.tell(OutlierKind::kImmediateFail);
}

namespace {

// Calls `fn(host, counts)` for the hosts that anything was ever counted for.
template <typename F>
void forCounted(const ClusterSnapshot& cluster, F fn) {
  for (const HostEntry& entry : cluster.hosts()) {
    if (entry.host == nullptr) continue;
    if (HostOutcomes* counts = entry.host->outcomes().ifAny()) fn(*entry.host, *counts);
  }
}

// As above, for the hosts with these ids.
template <typename F>
void forIds(const ClusterSnapshot& cluster, std::vector<uint64_t> ids, F fn) {
  std::sort(ids.begin(), ids.end());
  forCounted(cluster, [&](const Host& host, HostOutcomes& counts) {
    if (std::binary_search(ids.begin(), ids.end(), host.id())) fn(counts);
  });
}

}  // namespace

std::vector<OutlierCount> readWindow(const ClusterSnapshot& cluster) {
  std::vector<OutlierCount> all;
  forCounted(cluster, [&all](const Host& host, HostOutcomes& counts) {
    uint32_t sums[4] = {};
    for (uint32_t w = 0; w < host.workers(); w++) {
      const HostOutcomes::Window& window = counts.windows[w];
      sums[0] += window.total.load(kRelaxed);
      sums[1] += window.success.load(kRelaxed);
      sums[2] += window.localTotal.load(kRelaxed);
      sums[3] += window.localSuccess.load(kRelaxed);
    }
    uint32_t since[4];
    for (int i = 0; i < 4; i++) since[i] = sums[i] - counts.readBefore[i];
    std::copy(std::begin(sums), std::end(sums), counts.readBefore);
    if (since[0] == 0 && since[2] == 0) return;
    // A success may be seen a moment before its total.
    all.push_back({host.id(), since[0], std::min(since[0], since[1]), since[2],
                   std::min(since[2], since[3])});
  });
  return all;
}

void resetConsecutive(const ClusterSnapshot& cluster, std::vector<uint64_t> hosts) {
  forIds(cluster, std::move(hosts), [](HostOutcomes& counts) {
    counts.consecutive5xx.store(0, kRelaxed);
    counts.consecutiveGatewayFailure.store(0, kRelaxed);
    counts.consecutiveLocalOriginFailure.store(0, kRelaxed);
  });
}

void immediateFailTaken(const ClusterSnapshot& cluster, std::vector<uint64_t> hosts) {
  forIds(cluster, std::move(hosts),
         [](HostOutcomes& counts) { counts.immediateFailTold.store(false, kRelaxed); });
}

// ---- OutcomesOnDemand

OutcomesOnDemand::~OutcomesOnDemand() {
  std::unique_ptr<HostOutcomes> last(ifAny());
}

HostOutcomes& OutcomesOnDemand::make(uint32_t workers) {
  auto mine = std::make_unique<HostOutcomes>(workers);
  HostOutcomes* there = nullptr;
  // Another worker may have been first. Release: whoever finds it sees it whole.
  if (made_.compare_exchange_strong(there, mine.get(), std::memory_order_release,
                                    std::memory_order_acquire)) {
    return *mine.release();
  }
  return *there;
}

}  // namespace millrace
