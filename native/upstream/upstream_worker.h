// What one worker keeps of the clusters it has used: made on first use, brought up to date in the
// quiet period. Thread rule: the worker's loop.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/list.h"
#include "base/object_pool.h"
#include "rcu/reader.h"
#include "stats/shard.h"
#include "upstream/cluster.h"
#include "upstream/http_pool.h"
#include "upstream/waiting_hosts.h"

namespace millrace {

class NetContext;
class UpstreamWorker;

// Something that must know when a host fails its health checks. Worker's thread.
class HostWatcher : public ListNode<HostWatcher> {
 public:
  virtual void onHostFailed(const Host& host) = 0;

 protected:
  ~HostWatcher() = default;
};

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
  // The balancer's choice, or that of the request's key where hosts are added on demand; null:
  // there is none. The entry is the snapshot's.
  const HostEntry* pick(const PickContext& context);
  // For hosts of an on-demand cluster that pick() does not find.
  WaitingHosts& waiting() { return waiting_; }
  // The pool of `host`, which must be in the snapshot; made on first use. Null
  // when the cluster is draining, or the breaker allows no more pools and none of this worker's can
  // be closed for it. `client`: who asks; of a cluster whose connections are for one client each
  // (PROXY protocol, connection_pool_per_downstream_connection) it is the pool for that client; who
  // has no client (a mirrored request) shares one with others like it.
  HttpPool* pool(const Host& host, Priority priority, const PoolClient* client = nullptr);
  // Its slot is empty, or another cluster's: it takes no further requests.
  bool draining() const { return draining_; }
  // Connections to hosts that are likely to be picked next, up to `ratio` of what requests need
  // (predictive_preconnect_ratio). Only balancers whose next picks can be told beforehand.
  void predict(double ratio);
  // Requests waiting or under way, and what is provided for: these, connections that are idle, and
  // those being made. Kept by the pools.
  struct Demand {
    uint32_t streams = 0;
    uint32_t capacity = 0;
  };
  Demand& demand() { return demand_; }
  // A connection of a TCP proxy to `host`, to be closed if the host fails and the cluster says so.
  void watch(HostWatcher& watcher) { watchers_.pushBack(&watcher); }
  Pin pin() const { return pin_.again(); }
  StatBlock stats() const { return stats_; }
  ResponseStats& responses() { return responses_; }
  // A client was answered, by a host or in its place. `internal`: the client; `canary`: the host.
  void countCompleted(uint16_t status, bool internal, bool canary);
  HistogramCells& requestTime() const { return *requestTime_; }
  HistogramCells& connectTime() const { return *connectTime_; }
  HistogramCells& connectionLength() const { return *length_; }
  HistogramCells& requestsPerConnection() const { return *requestsPerConnection_; }
  UpstreamWorker& worker() const { return worker_; }
  void destroyDeferred() override;

 private:
  friend class UpstreamWorker;
  friend class HttpPool;
  friend class WaitingHosts;
  void update(Pin now);
  void drain();
  void hidePool(HttpPool& pool);
  void poolGone(HttpPool& pool);
  void finishIfDrained();
  void countPick(uint32_t events);
  bool takePool(Priority priority);
  void hostFailed(const Host& host);
  bool poolsForOne() const;
  template <typename F>
  void forPools(const Host& host, F fn);
  template <typename F>
  void forAllPools(F fn);

  UpstreamWorker& worker_;
  const SlotId slot_;
  Pin pin_;
  const ClusterSnapshot* snapshot_;  // what pin_ holds
  PickState picks_;
  StatBlock stats_;
  ResponseStats responses_;
  HistogramCells* requestTime_;
  HistogramCells* connectTime_;
  HistogramCells* length_;
  HistogramCells* requestsPerConnection_;
  List<HttpPool> pools_;
  // Of pools for one client each: by connection of the client and place of the host.
  std::map<std::pair<uint64_t, const Host*>, HttpPool*> byClient_;
  List<HostWatcher> watchers_;
  WaitingHosts waiting_;
  Demand demand_;
  PickState ahead_;  // where predict() looks ahead from
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
  // This client's connection (Connection::id()) is closed, and its requests are over: what is kept
  // for it alone goes too.
  void clientGone(uint64_t connection);
  // Where outlier events go; called on the worker's thread. Set before the worker starts.
  void setOutlierSink(std::function<void(const OutlierEvent&)> sink) {
    outlierSink_ = std::move(sink);
  }
  // Who is asked for hosts that requests name; called on the worker's thread. False: too much has
  // been asked that was not answered. Set before the worker starts.
  using HostSink = std::function<bool(SlotId slot, std::string_view key)>;
  void setHostSink(HostSink sink) { hostSink_ = std::move(sink); }
  bool want(SlotId slot, std::string_view key) const { return hostSink_ && hostSink_(slot, key); }
  // These hosts of an on-demand cluster will not be added.
  void refuseHosts(SlotId slot, const std::vector<std::string>& keys, HostRefusal why);
  // Whether a request got a connection that was there.
  void countAcquired(bool reused) { bump(reused ? poolHits_ : poolMisses_); }
  uint64_t poolHits() const { return poolHits_.load(std::memory_order_relaxed); }      // any thread
  uint64_t poolMisses() const { return poolMisses_.load(std::memory_order_relaxed); }  // any thread
  void report(const OutlierEvent& event) const {
    if (outlierSink_) outlierSink_(event);
  }
  // Closes what is left, the worker being about to stop: no stream is in flight any more.
  void closeAll();

  NetContext& net() const { return net_; }
  StatsShard& stats() const { return stats_; }
  uint32_t index() const { return index_; }
  ObjectPool<UpstreamConnection>& connections() { return connections_; }
  // Frees what was not needed since the last call, at most `most` of each kind; returns the bytes.
  size_t trim(size_t most) { return connections_.trim(most) + pools_.trim(most); }
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
  HostSink hostSink_;
  std::atomic<uint64_t> poolHits_{0}, poolMisses_{0};
  ObjectPool<UpstreamConnection> connections_;
  ObjectPool<HttpPool> pools_;
  ObjectPool<ClusterLocal> localPool_;
  std::vector<ClusterLocal*> locals_;  // by slot index
  List<ClusterLocal> draining_;        // their slot is empty, some connection is still busy
  // Pools that are for one client each, by its connection.
  std::unordered_map<uint64_t, List<HttpPool, OfClient>> ofClients_;
};

}  // namespace millrace
