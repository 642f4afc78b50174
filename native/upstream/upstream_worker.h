// What one worker keeps of the clusters it has used: made on first use, brought up to date in the
// quiet period. Thread rule: the worker's loop.
#pragma once

#include <functional>
#include <vector>

#include "base/list.h"
#include "base/object_pool.h"
#include "rcu/reader.h"
#include "stats/shard.h"
#include "upstream/cluster.h"
#include "upstream/http_pool.h"

namespace millrace {

class NetContext;
class UpstreamWorker;

// One worker's side of one cluster.
class ClusterLocal final : public ListNode<ClusterLocal>, public Deferred {
 public:
  // `pin` holds the snapshot; `seed`: of what is random in balancing.
  ClusterLocal(UpstreamWorker& worker, SlotId slot, Pin pin, uint64_t seed);
  ClusterLocal(const ClusterLocal&) = delete;
  ClusterLocal& operator=(const ClusterLocal&) = delete;

  // The state that this turn of the loop sees; of a cluster that is gone, the last one.
  const ClusterSnapshot& snapshot() const { return *snapshot_; }
  SlotId slot() const { return slot_; }
  // The balancer's choice, or null. The entry is the snapshot's.
  const HostEntry* pick(const PickContext& context);
  // The pool of `host`, which must be in the snapshot unless it has one; made on first use. Null
  // when the breaker allows no more pools and none of this worker's can be closed for it.
  HttpPool* pool(const Host& host, Priority priority);
  Pin pin() const { return pin_.again(); }
  StatBlock stats() const { return stats_; }
  HistogramCells& requestTime() const { return *requestTime_; }
  HistogramCells& connectTime() const { return *connectTime_; }
  UpstreamWorker& worker() const { return worker_; }
  void destroyDeferred() override;

 private:
  friend class UpstreamWorker;
  friend class HttpPool;
  void update(Pin now);
  void drain();
  void poolGone(HttpPool& pool);
  void countPick(uint32_t events);
  bool takePool(Priority priority);

  UpstreamWorker& worker_;
  const SlotId slot_;
  Pin pin_;
  const ClusterSnapshot* snapshot_;  // what pin_ holds
  PickState picks_;
  StatBlock stats_;
  HistogramCells* requestTime_;
  HistogramCells* connectTime_;
  List<HttpPool> pools_;
  bool draining_ = false, gone_ = false;
};

class UpstreamWorker {
 public:
  // `index`: the worker's number, from 0. All references outlive this.
  UpstreamWorker(NetContext& net, Reader& slots, StatsShard& stats, uint32_t index, uint64_t seed);
  ~UpstreamWorker();
  UpstreamWorker(const UpstreamWorker&) = delete;
  UpstreamWorker& operator=(const UpstreamWorker&) = delete;

  // This worker's side of the cluster in `slot`; null when nothing is published there. Valid until
  // the next quiet period; what outlives the turn pins the slot.
  ClusterLocal* cluster(SlotId slot);
  // Called by the worker's observer for each slot that changed; slots of other kinds are none of
  // its business.
  void onSlotChanged(SlotId slot);
  // Where outlier events go; called on the worker's thread. Set before the worker starts.
  void setOutlierSink(std::function<void(const OutlierEvent&)> sink) {
    outlierSink_ = std::move(sink);
  }
  void report(const OutlierEvent& event) const {
    if (outlierSink_) outlierSink_(event);
  }
  // Closes what is left, the worker being about to stop: no stream is in flight any more.
  void closeAll();

  NetContext& net() const { return net_; }
  StatsShard& stats() const { return stats_; }
  uint32_t index() const { return index_; }
  ObjectPool<UpstreamConnection>& connections() { return connections_; }
  ObjectPool<HttpPool>& pools() { return pools_; }
  ObjectPool<ClusterLocal>& locals() { return localPool_; }

 private:
  friend class ClusterLocal;
  void remove(uint32_t index);

  NetContext& net_;
  Reader& slots_;
  StatsShard& stats_;
  const uint32_t index_;
  uint64_t seed_;
  std::function<void(const OutlierEvent&)> outlierSink_;
  ObjectPool<UpstreamConnection> connections_;
  ObjectPool<HttpPool> pools_;
  ObjectPool<ClusterLocal> localPool_;
  std::vector<ClusterLocal*> locals_;  // by slot index
  List<ClusterLocal> draining_;        // their slot is empty, some connection is still busy
};

}  // namespace millrace
