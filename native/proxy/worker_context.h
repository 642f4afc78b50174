// What everything in proxy/ that runs on one worker may use. Made by the worker; outlives every
// session. Thread rule: the worker's loop, but for the load figures.
#pragma once

#include <cstdint>
#include <memory>

#include "base/random.h"
#include "event/loop.h"
#include "net/net_context.h"
#include "proxy/access_log.h"
#include "proxy/date.h"
#include "proxy/runtime.h"
#include "proxy/session.h"
#include "rcu/reader.h"
#include "stats/shard.h"
#include "upstream/upstream_worker.h"

namespace millrace {

class WorkerClient;
struct HttpPools;
struct TcpPools;

// The slots that every worker reads, made once for each group of workers.
struct CommonSlots {
  SlotId date = kNoSlot;
  SlotId runtime = kNoSlot;
  SlotId directory = kNoSlot;  // names of clusters
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
  WorkerClient& client;
  bool draining = false;      // the whole process drains
  bool healthFailed = false;  // as draining, for listeners whose drain type is the default

  // Null: nothing was published.
  const RuntimeSnapshot* runtime() const { return slots.get<RuntimeSnapshot>(common.runtime); }

  // So little is never too much, and costs no look at the runtime.
  static constexpr uint64_t kLittleHeld = 4 * 1024 * 1024;
  // So much is held for peers that nothing new should begin. `flag`: a number of bytes that is to
  // count instead of the worker's own limit.
  bool full(spec::RuntimeIndex flag) const {
    if (__builtin_expect(net.bytesHeld() <= kLittleHeld, 1)) return false;
    return net.full(uint64_t(runtimeNumber(runtime(), flag, 0)));
  }
};

}  // namespace millrace
