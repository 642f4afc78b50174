// What a pick costs with each balancer, what its tables weigh, and what a change of one host costs
// the main thread. Prints one line of JSON.
//   balancers
#include <malloc.h>
#include <time.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "upstream/cluster.h"

using namespace millrace;

namespace {

constexpr uint64_t kPicks = 2'000'000;
constexpr int kChanges = 200;

spec::Host host(uint64_t id, bool weighted) {
  std::string ip = "10." + std::to_string(id >> 16 & 255) + '.' + std::to_string(id >> 8 & 255) +
                   '.' + std::to_string(id & 255);
  spec::Host h;
  h.id = id;
  h.address.ip = ip;
  h.address.port = 80;
  h.weight = weighted ? 1 + uint32_t(id % 5) : 1;
  return h;
}

// What this thread computed: other programs do not count.
uint64_t threadCpuNs() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return uint64_t(now.tv_sec) * kNsPerSec + uint64_t(now.tv_nsec);
}

// What the allocator has given out.
double allocated() {
  struct mallinfo2 info = mallinfo2();
  return double(info.uordblks + info.hblkhd);
}

spec::Cluster clusterOf(uint64_t hosts, spec::LbPolicy policy, bool weighted) {
  spec::Cluster cluster;
  cluster.name = "web";
  cluster.lb.policy = policy;
  for (uint64_t id = 0; id < hosts; id++) cluster.hosts.push_back(host(id, weighted));
  return cluster;
}

// A cluster in force, with all that is kept of it beside what the balancer adds.
double clusterBytes(uint64_t hosts, uint32_t workers) {
  spec::Cluster cluster = clusterOf(hosts, spec::LbPolicy::kRandom, false);
  StatsRegistry stats;
  ClusterRegistry clusters(stats, workers);
  double before = allocated();
  std::unique_ptr<ClusterSnapshot> snapshot = std::move(*clusters.build(1, cluster));
  return allocated() - before;
}

struct Kind {
  const char* name;
  spec::LbPolicy policy;
  bool weighted;
};

constexpr Kind kKinds[] = {{"round_robin", spec::LbPolicy::kRoundRobin, false},
                           {"round_robin_weighted", spec::LbPolicy::kRoundRobin, true},
                           {"random", spec::LbPolicy::kRandom, false},
                           {"random_weighted", spec::LbPolicy::kRandom, true},
                           {"least_request", spec::LbPolicy::kLeastRequest, false},
                           {"least_request_weighted", spec::LbPolicy::kLeastRequest, true},
                           {"ring_hash", spec::LbPolicy::kRingHash, false},
                           {"maglev", spec::LbPolicy::kMaglev, false}};

void measure(const Kind& kind, uint64_t hosts, bool last) {
  double oneWorker = clusterBytes(hosts, 1);
  double perWorker = (clusterBytes(hosts, 9) - oneWorker) / 8;
  StatsRegistry stats;
  std::atomic<bool> built{false};
  ClusterRegistry clusters(stats, 1, [&] { built = true; });
  std::unique_ptr<ClusterSnapshot> snapshot =
      std::move(*clusters.build(1, clusterOf(hosts, kind.policy, kind.weighted)));

  PickState state(1);
  PickContext context;
  uint64_t begin = threadCpuNs();
  for (uint64_t i = 0; i < kPicks; i++) {
    context.hash = i * 0x9E3779B97F4A7C15u;
    const HostEntry* picked = snapshot->pick(context, state);
    asm volatile("" : : "r"(picked) : "memory");
  }
  double pickNs = double(threadCpuNs() - begin) / double(kPicks);

  uint64_t changesNs = 0;
  for (int i = 0; i < kChanges; i++) {
    spec::Host changed = host(uint64_t(i) % hosts, kind.weighted);
    changed.health = i % 2 == 0 ? Health::kUnhealthy : Health::kHealthy;
    spec::HostDelta delta;
    delta.set.push_back(changed);
    begin = threadCpuNs();
    auto next = std::move(*clusters.update(1, delta));
    changesNs += threadCpuNs() - begin;
    if (next == nullptr) {
      // Tables that take long are built elsewhere; only what the main thread does counts.
      while (!built) std::this_thread::yield();
      built = false;
      begin = threadCpuNs();
      next = std::move(clusters.takeBuilt().at(0));
      changesNs += threadCpuNs() - begin;
    }
    begin = threadCpuNs();
    snapshot = std::move(next);  // the one before is destroyed
    changesNs += threadCpuNs() - begin;
  }
  double changeUs = double(changesNs) / kChanges / 1000;
  std::printf(
      "{\"balancer\":\"%s\",\"hosts\":%llu,\"pickNs\":%.1f,\"changeUs\":%.1f,"
      "\"tableBytesPerHost\":%.1f,\"bytesPerHost\":%.0f,\"bytesPerWorker\":%.0f}%s",
      kind.name, static_cast<unsigned long long>(hosts), pickNs, changeUs,
      double(snapshot->balancer().memory()) / double(hosts), oneWorker / double(hosts),
      perWorker / double(hosts), last ? "" : ",");
}

}  // namespace

int main() {
  std::printf("[");
  for (const Kind& kind : kKinds) {
    for (uint64_t hosts : {10, 1'000, 10'000, 100'000}) {
      measure(kind, hosts, &kind == &kKinds[std::size(kKinds) - 1] && hosts == 100'000);
    }
  }
  std::printf("]\n");
}
