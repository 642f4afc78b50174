// The HTTP/1 connections of one worker to one host.
//
//   connecting ──up──▶ busy ◀──acquire (most recently used first)── idle
//                       │                                           ▲ the loop has polled again
//                       └──exchange over, reusable──▶ resting ──────┘
//   busy ──not reusable, error──▶ closed
//   resting, idle ──idle timeout, peer closed or spoke unasked, host removed──▶ closed
//
// What the peer says behind a response (its end, above all) may come a moment after it: no request
// gets a connection before the loop has polled once more, nor while the connection has anything to
// say. A connection that does not come up is the failure of those that it was made for.
//
// The pool lives until its last connection is freed: whatever is under way may still come back to
// it. It is drained when the host leaves the cluster, when the client that it is for is gone, and
// when connections are to be made differently (ClusterConfig::connectVersion); from then on nobody
// finds it any more.
//
// Thread rule: the worker's loop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/list.h"
#include "event/loop.h"
#include "upstream/cluster.h"
#include "upstream/destination.h"
#include "upstream/upstream_connection.h"

namespace millrace {

class ClusterLocal;
class HttpPool;

// Why a connection was made.
enum class CxReason : uint8_t {
  kRequest,     // one waits for it
  kPreconnect,  // per_upstream_preconnect_ratio
  kPrediction,  // predictive_preconnect_ratio
};

enum class PoolFailure : uint8_t {
  kNone,
  kOverflow,  // a circuit breaker: too many requests wait or are under way
  kConnectFailed,
  kConnectTimeout,
};

// A request that waits for a connection. Exactly one of the two is called, from the loop, unless
// the waiter was taken back with HttpPool::forget().
class PoolWaiter : public ListNode<PoolWaiter> {
 public:
  virtual void onPoolReady(UpstreamConnection& connection) = 0;
  // `sysErrno`: what connect(2) said; 0 where nothing did.
  virtual void onPoolFailure(PoolFailure reason, int sysErrno) = 0;

 protected:
  ~PoolWaiter() = default;

 private:
  friend class HttpPool;
  Priority priority_ = Priority::kDefault;
  bool waits_ = false;
  bool fresh_ = false;
  bool counted_ = false;  // for the breaker: what rests already is not pending
};

// Marks the list of all pools of one client, whatever the cluster.
struct OfClient {};

class HttpPool final : public ListNode<HttpPool>,
                       public ListNode<OfClient>,
                       public AfterPoll,
                       public Deferred {
 public:
  // `host` is in the cluster's snapshot until drain(). `priority`: whose breaker it counts for.
  // `client`: for which client alone it is; null: for all, and for whoever has no client.
  HttpPool(ClusterLocal& cluster, const Host& host, Priority priority, const PoolClient* client);
  HttpPool(const HttpPool&) = delete;
  HttpPool& operator=(const HttpPool&) = delete;
  ~HttpPool() { MR_DASSERT(connections_ == 0 && waiting_ == 0); }

  struct Acquired {
    UpstreamConnection* connection = nullptr;  // ready now
    PoolFailure failure = PoolFailure::kNone;  // known now
    int sysErrno = 0;
    // Neither: `waiter` waits.
  };
  // A request counts for the breaker from when it has a connection until the exchange is over.
  // At most so many connections are opened ahead of requests at once, as in Envoy.
  static constexpr int kMostAhead = 3;
  // What the last poll said of a connection is believed for so long: in a turn with much to do,
  // looking once more costs a system call, and is cheaper than a request that meets the end of a
  // connection or an answer that it did not ask for.
  static constexpr uint64_t kKnownForNs = 50'000;
  // `fresh`: only a connection that has served no request yet will do.
  Acquired acquire(PoolWaiter& waiter, Priority priority, bool fresh);
  // The waiter no longer wants a connection.
  void forget(PoolWaiter& waiter);

  // Not for new requests any more: idle connections close now, busy ones when they are done.
  // `last` holds a snapshot that the host was in.
  void drain(Pin last);
  bool draining() const { return draining_; }
  // The host failed its health checks: as drain() for the connections that there are now.
  void renew();
  // The cluster's idle timeout, or the most that a connection may last, is another one: it holds
  // for those that are idle as well, from when they became so.
  void idleTimesChanged();
  // Opens a connection if another request would make it wanted; false when none was opened.
  bool predict(double ratio);
  // Nobody waits for it or uses it.
  bool unused() const { return waiting_ == 0 && used_.empty() && !draining_; }
  Priority priority() const { return priority_; }
  // The connection of the client that it is for; 0: it is for all.
  uint64_t clientConnection() const { return clientConnection_; }
  const Host& host() const { return host_; }
  ClusterLocal& cluster() const { return cluster_; }
  void onPolled() override;
  void destroyDeferred() override;

 private:
  friend class ClusterLocal;
  friend class UpstreamConnection;
  Acquired tryAcquire(PoolWaiter& waiter, Priority priority, bool fresh);
  // Returns errno, 0 on success.
  int open(Priority priority, CxReason reason, bool* opened = nullptr);
  void preconnect();
  bool wants(double ratio, uint32_t anticipated) const;
  bool hostHealthy() const;
  void countConnecting(int delta);
  void release(UpstreamConnection& c);
  void rest(UpstreamConnection& c);
  void settle();
  UpstreamConnection* silentOne();
  void use(UpstreamConnection& c);
  void takeOut(UpstreamConnection& c);
  void closeIdle();
  void countClosed(const UpstreamConnection& c, CloseReason reason, int sysErrno, bool neverUp);
  void ready(UpstreamConnection& c);
  bool handOn(UpstreamConnection& c, List<PoolWaiter>& waiters);
  void lookAfterPoll();
  void wait(PoolWaiter& waiter, Priority priority, bool fresh, bool counted);
  bool lacking() const;
  void provide();
  void closed(UpstreamConnection& c, CloseReason reason, int sysErrno, bool neverUp);
  void connectFailed(PoolFailure reason, int sysErrno);
  void stopWaiting(PoolWaiter& waiter);
  bool beginRequest(UpstreamConnection& c, Priority priority);
  void requestOver(UpstreamConnection& c);
  void connectionFreed();
  void uncount();
  void finishIfOver();
  const ClusterSnapshot& making() const;
  HostLocal& local() const;

  ClusterLocal& cluster_;
  const Host& host_;
  Pin last_;                          // keeps host_ once it is gone from the cluster
  List<UpstreamConnection> idle_;     // most recently used first
  List<UpstreamConnection> resting_;  // most recently used last
  List<UpstreamConnection> used_;     // connecting and busy
  List<PoolWaiter> waiters_;          // oldest first
  List<PoolWaiter> freshWaiters_;     // those that only a new connection will do for
  uint32_t connecting_ = 0, waiting_ = 0, busy_ = 0;
  uint32_t waitingFresh_ = 0;  // of waiting_
  uint32_t idleCount_ = 0;     // with those that rest
  uint32_t restingCount_ = 0;
  uint32_t connections_ = 0;  // those whose onClosed() has not returned
  const uint64_t clientConnection_;
  const std::string preface_;  // what each connection begins with
  const Priority priority_;
  bool draining_ = false, finished_ = false;
  bool counted_ = true;  // for the breaker of pools
};

}  // namespace millrace
