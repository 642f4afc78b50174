// One HTTP/1 connection of a pool, with its codec. Thread rule: the worker's loop.
#pragma once

#include <cstdint>

#include "base/list.h"
#include "event/loop.h"
#include "http/http1_client.h"
#include "net/connection.h"
#include "upstream/cluster.h"

namespace millrace {

class HttpPool;

// Allocated from the worker's pool; belongs to its HttpPool.
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
  // After a reset: the peer had spoken its last word, or had said something else, before its system
  // had a byte of the request, or nothing of it ever left. It was never looked at, and may be sent
  // elsewhere whatever it means (RFC 9110 §9.2.2: "some means to detect that the original request
  // was never applied"; RFC 9112 §9.5 has the case).
  bool untouched() const { return untouched_; }

  size_t onData(Connection& c, std::span<char> bytes) override;
  void onReadEnd(Connection& c) override;
  void onConnected(Connection& c) override;
  void onClosed(Connection& c, CloseReason reason, int sysErrno) override;
  bool moves(Connection&) override { return codec_.responseMoves(); }
  void onHighWatermark(Connection& c) override;
  void onLowWatermark(Connection& c) override;
  void destroyDeferred() override;

 private:
  friend class HttpPool;
  enum class State : uint8_t { kConnecting, kIdle, kBusy, kClosed };
  // Which of the pool's lists it is on.
  enum class Place : uint8_t { kUsed, kResting, kIdle };
  void exchangeEnded();
  void countBytes();
  bool nothingArrived() const;
  void becomeIdle();
  void armIdleTimer();
  void idleTooLong();

  HttpPool& pool_;
  Connection* connection_;
  const Http1ClientOptions
      options_;  // its own: the snapshot it came from may be gone before the connection
  Http1ClientCodec codec_;
  Timer idleTimer_;
  Address local_;
  uint64_t createdNs_;
  uint64_t connectedNs_ = 0;
  uint64_t countedRead_ = 0, countedWritten_ = 0;
  uint64_t givenBefore_ = 0;  // bytes, before the request that it is busy with
  uint64_t restsSince_ = 0;   // Loop::turns()
  uint64_t idleSinceMs_ = 0;
  uint32_t requests_ = 0;
  State state_ = State::kConnecting;
  Priority priority_ = Priority::kDefault;         // whose breaker it counts for
  Priority requestPriority_ = Priority::kDefault;  // of the request that it is busy with
  CloseReason endReason_ = CloseReason::kLocal;
  Place place_ = Place::kUsed;
  bool closeWhenIdle_ = false;  // its host failed
  bool cutShort_ = false;       // it ends in the middle of an exchange
  bool untouched_ = false;
};

}  // namespace millrace
