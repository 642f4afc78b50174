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

#include "base/list.h"
#include "event/loop.h"
#include "http/http1_client.h"
#include "net/connection.h"
#include "upstream/cluster.h"

namespace millrace {

class ClusterLocal;
class HttpPool;
class UpstreamConnection;

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

// One connection with its codec. Allocated from the worker's pool; belongs to its HttpPool.
class UpstreamConnection final : public ConnectionOwner,
                                 public Deferred,
                                 public ListNode<UpstreamConnection> {
 public:
  UpstreamConnection(HttpPool& pool, Connection& connection, const ClusterSnapshot& cluster,
                     uint64_t nowNs);

  // Begins an exchange on a connection that acquire() or onPoolReady() gave. See
  // Http1ClientCodec::start.
  RequestEncoder& start(ResponseSink& sink, ResponseHead& head);
  // Ends the exchange before its time: the connection is closed, nothing more reaches the sink.
  void cancel();

  Connection& connection() { return *connection_; }
  const Address& localAddress() const { return local_; }
  const Http1ClientCodec& codec() const { return codec_; }
  // Requests started on it, the current one included: more than 1 says that a failure without a
  // byte of response may be nothing but a keep-alive that ran out.
  uint32_t requests() const { return requests_; }

  size_t onData(Connection& c, std::span<char> bytes) override;
  void onReadEnd(Connection& c) override;
  void onConnected(Connection& c) override;
  void onClosed(Connection& c, CloseReason reason, int sysErrno) override;
  void onHighWatermark(Connection& c) override;
  void onLowWatermark(Connection& c) override;
  void destroyDeferred() override;

 private:
  friend class HttpPool;
  enum class State : uint8_t { kConnecting, kIdle, kBusy, kClosed };
  void exchangeEnded();
  void countBytes();
  void idleTooLong();

  HttpPool& pool_;
  Connection* connection_;
  const Http1ClientOptions
      options_;  // its own: the snapshot it came from may be gone before the connection
  Http1ClientCodec codec_;
  Timer idleTimer_;
  Address local_;
  uint64_t createdNs_;
  uint64_t countedRead_ = 0, countedWritten_ = 0;
  uint32_t requests_ = 0;
  State state_ = State::kConnecting;
  Priority priority_ = Priority::kDefault;         // whose breaker it counts for
  Priority requestPriority_ = Priority::kDefault;  // of the request that it is busy with
  CloseReason endReason_ = CloseReason::kLocal;
};

class HttpPool final : public ListNode<HttpPool>, public Deferred {
 public:
  // `host` is in the cluster's snapshot until drain(). `priority`: whose breaker it counts for.
  HttpPool(ClusterLocal& cluster, const Host& host, Priority priority)
      : cluster_(cluster), host_(host), priority_(priority) {}
  HttpPool(const HttpPool&) = delete;
  HttpPool& operator=(const HttpPool&) = delete;

  struct Acquired {
    UpstreamConnection* connection = nullptr;  // ready now
    PoolFailure failure = PoolFailure::kNone;  // known now
    int sysErrno = 0;
    // Neither: `waiter` waits.
  };
  // A request counts for the breaker from when it has a connection until the exchange is over.
  // `fresh`: only a connection that has served no request yet will do.
  Acquired acquire(PoolWaiter& waiter, Priority priority, bool fresh);
  // The waiter no longer wants a connection.
  void forget(PoolWaiter& waiter);

  // The host is gone from the cluster: idle connections close now, busy ones when they are done.
  // `last` holds a snapshot that it was in.
  void drain(Pin last);
  bool draining() const { return draining_; }
  // Nobody waits for it or uses it.
  bool unused() const { return waiting_ == 0 && used_.empty() && !draining_; }
  Priority priority() const { return priority_; }
  const Host& host() const { return host_; }
  ClusterLocal& cluster() const { return cluster_; }
  void destroyDeferred() override;

 private:
  friend class UpstreamConnection;
  // Returns errno, 0 on success.
  int open(Priority priority);
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
  uint32_t connecting_ = 0, waiting_ = 0;
  const Priority priority_;
  bool draining_ = false, finished_ = false;
};

}  // namespace millrace
