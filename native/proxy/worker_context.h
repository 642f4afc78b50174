// What everything in proxy/ that runs on one worker may use. Made by the worker; outlives every
// session. Thread rule: the worker's loop, but for the load figures.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/random.h"
#include "event/loop.h"
#include "net/net_context.h"
#include "proxy/access_log.h"
#include "proxy/date.h"
#include "proxy/runtime.h"
#include "rcu/reader.h"
#include "stats/shard.h"
#include "upstream/upstream_worker.h"

namespace millrace {

struct HttpPools;
struct TcpPools;

// The slots that every worker reads, made once for each group of workers.
struct CommonSlots {
  SlotId date = kNoSlot;
  SlotId runtime = kNoSlot;
  SlotId directory = kNoSlot;  // names of clusters
};

// How busy a worker is: written by it alone, read by the others when they accept.
struct alignas(64) WorkerLoad {
  std::atomic<uint32_t> connections{0};
  std::atomic<uint64_t> requests{0};
};

struct WorkerContext {
  uint32_t index;
  Loop& loop;
  NetContext& net;
  Reader& slots;
  StatsShard& stats;
  UpstreamWorker& upstream;
  WorkerLoad& load;
  CommonSlots common;
  DateSource date;
  AccessLogWriter& logs;
  Random random;
  HttpPools& http;
  TcpPools& tcp;
  bool draining = false;  // the whole process drains

  const RuntimeSnapshot* runtime() const { return slots.get<RuntimeSnapshot>(common.runtime); }
  // The cluster that a route or a chain of TCP chose; null when there is none (flag NC).
  ClusterLocal* cluster(const struct ClusterPick& pick) const;
};

}  // namespace millrace
