#include "worker/worker_memory.h"

#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <cstdio>

#include "proxy/http_connection.h"
#include "proxy/tcp_proxy.h"
#include "proxy/worker_client.h"

namespace millrace {

WorkerMemory::WorkerMemory(WorkerContext& context, uint32_t workers)
    : context_(context),
      timer_([](void* self) { static_cast<WorkerMemory*>(self)->intervalOver(); }, this) {
  context.net.setMostHeld(memoryOfProcess() / kPartOfMemory / std::max(workers, 1u));
}

void WorkerMemory::intervalOver() {
  NetContext& net = context_.net;
  const size_t freed = net.trim(kMostFreed) + context_.http.connections.trim(kMostFreed) +
                       context_.http.streams.trim(kMostFreed) +
                       context_.tcp.sessions.trim(kMostFreed) + context_.upstream.trim(kMostFreed) +
                       context_.client.trim(kMostFreed);
  freed_ += freed;
  const uint64_t busy = context_.loop.busyNs() - busyNs_;
  busyNs_ += busy;
  const uint64_t held = net.bytesHeld();
  const bool worth = freed_ + (peak_ - std::min(peak_, held)) >= kWorthGivingBack;
  const bool atRest = busy < kIntervalMs * kNsPerMs / kRestOfTime;
  if (worth && atRest && freed < kWorthGivingBack) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    freed_ = 0;
    peak_ = held;
  }
  if (freed != 0 || worth || net.openConnections() != 0) arm();
}

namespace {

// The number that a file consists of; 0: there is none.
uint64_t numberIn(const char* path) {
  FILE* file = std::fopen(path, "re");
  if (file == nullptr) return 0;
  unsigned long long number = 0;
  const bool read = std::fscanf(file, "%llu", &number) == 1;
  std::fclose(file);
  return read ? number : 0;
}

}  // namespace

uint64_t memoryOfProcess() {
  uint64_t most = uint64_t(sysconf(_SC_PHYS_PAGES)) * uint64_t(sysconf(_SC_PAGESIZE));
  for (const char* path :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    if (uint64_t limit = numberIn(path); limit != 0) most = std::min(most, limit);
  }
  return most;
}

}  // namespace millrace
