// The HTTP/1 connections of one worker to one host.
//
//   connecting ──up──▶ idle ◀──exchange over, reusable──┐
//                       └──acquire (most recently used first)──▶ busy ──not reusable, error──▶
//                       closed
//   idle ──idle timeout, peer closed, host removed──▶ closed
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
};

class HttpPool final : public ListNode<HttpPool>, public Deferred {
 public:
  // `host` is in the cluster's snapshot until drain(). `priority`: whose breaker it counts for.
  // `client`: for which client alone it is; null: for all.
  HttpPool(ClusterLocal& cluster, const Host& host, Priority priority, const PoolClient* client);
  HttpPool(const HttpPool&) = delete;
  HttpPool& operator=(const HttpPool&) = delete;

  struct Acquired {
    UpstreamConnection* connection = nullptr;  // ready now
    PoolFailure failure = PoolFailure::kNone;  // known now
    int sysErrno = 0;
    // Neither: `waiter` waits.
  };
  // A request counts for the breaker from when it has a connection until the exchange is over.
  // At most so many connections are opened ahead of requests at once, as in Envoy.
  static constexpr int kMostAhead = 3;
  // `fresh`: only a connection that has served no request yet will do.
  Acquired acquire(PoolWaiter& waiter, Priority priority, bool fresh);
  // The waiter no longer wants a connection.
  void forget(PoolWaiter& waiter);

  // The host is gone from the cluster: idle connections close now, busy ones when they are done.
  // `last` holds a snapshot that it was in.
  void drain(Pin last);
  bool draining() const { return draining_; }
  // The host failed its health checks: as drain() for the connections that there are now.
  void renew();
  // Opens a connection if another request would make it wanted; false when none was opened.
  bool predict(double ratio);
  // Nobody waits for it or uses it.
  bool unused() const { return waiting_ == 0 && used_.empty() && !draining_; }
  Priority priority() const { return priority_; }
  // The connection of the client that it is for; 0: of all.
  uint64_t clientConnection() const { return clientConnection_; }
  const Host& host() const { return host_; }
  ClusterLocal& cluster() const { return cluster_; }
  void destroyDeferred() override;

 private:
  friend class UpstreamConnection;
  Acquired tryAcquire(PoolWaiter& waiter, Priority priority, bool fresh);
  // Returns errno, 0 on success.
  int open(Priority priority, CxReason reason, bool* opened = nullptr);
  void preconnect();
  bool wants(double ratio, uint32_t anticipated) const;
  bool hostHealthy() const;
  void countConnecting(int delta);
  void putIdle(UpstreamConnection& c);
  void takeOut(UpstreamConnection& c);
  void countClosed(const UpstreamConnection& c, CloseReason reason, int sysErrno, bool neverUp);
  void ready(UpstreamConnection& c);
  void closed(UpstreamConnection& c, CloseReason reason, int sysErrno, bool neverUp);
  void failWaiters(PoolFailure reason, int sysErrno);
  void stopWaiting(PoolWaiter& waiter);
  bool beginRequest(UpstreamConnection& c, Priority priority);
  void requestOver(UpstreamConnection& c);
  void finishIfDrained();
  HostLocal& local() const;

  ClusterLocal& cluster_;
  const Host& host_;
  Pin last_;                       // keeps host_ once it is gone from the cluster
  List<UpstreamConnection> idle_;  // most recently used first
  List<UpstreamConnection> used_;  // connecting and busy
  List<PoolWaiter> waiters_;       // oldest first
  uint32_t connecting_ = 0, waiting_ = 0, busy_ = 0, idleCount_ = 0;
  const uint64_t clientConnection_;
  const std::string preface_;  // what each connection begins with
  const Priority priority_;
  bool draining_ = false, finished_ = false;
};

}  // namespace millrace
