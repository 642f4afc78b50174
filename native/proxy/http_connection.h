// A client's connection that speaks HTTP: owns the socket and its codec, makes streams, and watches
// over deadlines.
//
//   idle ──first byte──▶ stream ──exchange over──▶ idle …
//   any ──too old──▶ announcing (the next response is the last) ──idle, drain timeout──▶ closed
//   any ──idle limit, drain, error, client gone──▶ closed
//
// A client that ended its side of the connection while its request is under way is gone, unless the
// runtime says that clients may (`millrace.http1_half_close`): nobody could tell it from one that
// waits, and work for the gone is what overload is made of. nginx and Envoy do so.
//
// While idle it holds no buffer and no stream. One timer serves all deadlines: it is moved when
// something is due earlier than it stands, and otherwise looks again when it fires. Thread rule:
// the worker's loop.
#pragma once

#include <cstdint>
#include <optional>

#include "base/object_pool.h"
#include "event/loop.h"
#include "http/http1_server.h"
#include "net/connection.h"
#include "proxy/http_manager.h"
#include "proxy/session.h"
#include "proxy/stream.h"
#include "proxy/worker_context.h"
#include "rcu/reader.h"

namespace millrace {

class HttpConnection final : public ConnectionOwner,
                             public Http1ServerCallbacks,
                             public Session,
                             public Deferred {
 public:
  // Takes over `fd`. `listener` pins the snapshot that `manager` is in. Null when the poller takes
  // no more.
  static HttpConnection* accept(WorkerContext& worker, ListenerLocal& home, Pin listener,
                                const HttpManager& manager, std::string_view chainName, int fd,
                                const Address& peer, const Address& local, uint32_t bufferLimit);
  // Use accept(); public for the pool only.
  HttpConnection(WorkerContext& worker, ListenerLocal& home, Pin listener,
                 const HttpManager& manager, Connection& connection, std::string_view chainName);
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  WorkerContext& worker() const { return worker_; }
  const HttpManager& manager() const { return *manager_; }
  const Pin& listener() const { return listener_; }  // what the manager is in
  // Goes over to the listener's configuration as this worker has it now. A request does so when its
  // headers are complete, and so is served by one configuration: listener, routes and clusters.
  void takeLatest();
  // The listener is gone from the configuration: there is nothing that a new request could be
  // served by as a whole. It is answered, so that its client knows.
  bool retired() const { return retired_; }
  Connection& connection() const { return connection_; }
  StatBlock stats() const { return stats_; }
  uint64_t startNs() const { return startNs_; }
  std::string_view chainName() const { return chainName_; }
  uint16_t localPort() const { return localPort_; }
  uint32_t bufferLimit() const { return bufferLimit_; }
  // What the client reached, or meant where the listener restores that. A system call.
  Address local() const;
  // Where the client meant to go, if a listener that restores that was given its connection
  // instead; null: nowhere else. System calls, the first time.
  const Address* meant();
  // The response that is about to begin is the last one here: closing is due.
  bool lastExchange();
  // Something is due at `deadlineMs` of the loop's clock.
  void dueAt(uint64_t deadlineMs);

  // ConnectionOwner
  size_t onData(Connection& c, std::span<char> bytes) override;
  void onReadEnd(Connection& c) override;
  void onClosed(Connection& c, CloseReason reason, int sysErrno) override;
  void onPeerLeft(Connection& c) override;
  void onDrained(Connection& c) override;
  void onHighWatermark(Connection& c) override;
  void onLowWatermark(Connection& c) override;
  // Http1ServerCallbacks
  RequestSink* newStream(ResponseEncoder& encoder, RequestHead*& head) override;
  void onProtocolError(uint16_t status, const char* detail) override;
  void onExchangeEnd(ExchangeEnd how) override;
  // Session
  void drain() override { drainNow_ = true; }
  void closeIfQuiet(uint64_t quietMs) override;
  void closeNow() override;

  void destroyDeferred() override;

 private:
  void onTimer();
  void clientGone(CloseReason how);
  bool mayHalfClose() const;
  void close(bool afterFlush);
  void countBytes();
  uint64_t idleTimeoutMs() const;
  uint64_t checkAge(uint64_t nowMs);
  uint64_t checkIdle(uint64_t nowMs);
  void moveStats(BlockId block);

  Connection& connection_;
  Http1ServerCodec codec_;
  WorkerContext& worker_;
  ListenerLocal& home_;
  Pin listener_;
  const HttpManager* manager_;
  Stream* stream_ = nullptr;
  StatBlock stats_;
  Timer timer_;
  std::string_view chainName_;
  std::optional<Address> meant_;  // empty: not asked for yet, or nowhere else
  uint64_t startNs_;
  uint64_t idleSinceMs_;
  uint64_t announcedMs_ = 0;  // since when it is too old; 0: it is not
  Progress progress_;
  uint64_t timerAtMs_ = 0;  // where timer_ stands; 0: not armed
  uint64_t countedRead_ = 0, countedWritten_ = 0;
  uint32_t requests_ = 0;
  uint32_t bufferLimit_ = 0;  // the listener's
  uint16_t localPort_ = 0;
  bool drainNow_ = false;
  bool retired_ = false;
  bool meantKnown_ = false;
  bool closing_ = false;
  CloseReason gone_ = CloseReason::kLocal;  // how the client left, if we closed because it did
};

struct HttpPools {
  ObjectPool<HttpConnection> connections;
  ObjectPool<Stream> streams;
};

}  // namespace millrace
