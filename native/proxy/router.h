// The last filter of every stream: chooses a cluster and a host, sends the request, and brings the
// response back.
//
//   start ─▶ waiting for a connection ─▶ request going out ─▶ response coming in ─▶ done
//                └── failure, overflow, timeout, reset before a response ──▶ local reply ──▶ done
//
// A request that fails on a reused connection before a byte of response came (the upstream closed
// it just then) is sent again once, on a new connection, if that is safe: an idempotent method
// without a body (RFC 9110 §9.2.2). Thread rule: the worker's loop.
#pragma once

#include <cstdint>

#include "http/codec.h"
#include "proxy/http_filter.h"
#include "rcu/reader.h"
#include "upstream/http_pool.h"

namespace millrace {

class Stream;

class Router final : public ResponseSink, public PoolWaiter {
 public:
  explicit Router(Stream& stream);
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  void onRequestHeaders(bool end);
  void onRequestData(std::string_view data, bool end);
  void onRequestTrailers(HeaderList& trailers);
  // The stream is over or was answered otherwise: whatever is under way upstream is given up.
  void cancel();
  // The route's timeout passed.
  void timedOut();
  // The client takes no more (false), or goes on taking (true).
  void setClientWritable(bool writable);

  // ResponseSink
  void onInformational(ResponseHead& head) override;
  void onResponseHeaders(ResponseHead& head, bool end) override;
  void onResponseData(std::string_view data, bool end) override;
  void onResponseTrailers(HeaderList& trailers) override;
  void onResponseReset(ResetReason reason) override;
  void onRequestWritable(bool writable) override;
  // PoolWaiter
  void onPoolReady(UpstreamConnection& connection) override;
  void onPoolFailure(PoolFailure reason, int sysErrno) override;

 private:
  void forward(const ForwardAction& action, bool end);
  bool prepareRequest(const ForwardAction& action);
  void acquire(bool fresh);
  void send(UpstreamConnection& connection);
  void requestOver();
  void pauseRequest(bool on);
  void countResponse(const ResponseHead& head);
  void countOutcome(Outcome outcome);
  void responseOver();
  bool maySendAgain(ResetReason reason) const;
  void failed(PoolFailure reason, int sysErrno);
  void noHost();
  void leaveUpstream();
  HostLocal& hostLocal() const;

  Stream& stream_;
  ResponseHead response_;
  ClusterLocal* cluster_ =
      nullptr;                  // valid while waiting or with an upstream; its snapshot is pinned
  const Host* host_ = nullptr;  // pinned too
  HttpPool* pool_ = nullptr;
  UpstreamConnection* upstream_ = nullptr;
  RequestEncoder* encoder_ = nullptr;
  Pin pin_;
  ClusterPick pick_;
  uint64_t timeoutMs_ = 0;
  uint64_t sentNs_ = 0;
  uint64_t givenBefore_ = 0;  // bytes given to the upstream connection before this exchange
  Priority priority_ = Priority::kDefault;
  bool requestEnded_ = false;
  bool headOnly_ = false;  // the request has no body
  bool waiting_ = false;   // for a connection; delivery of the request's body is paused
  bool pausedRequest_ = false;
  bool responseStarted_ = false;
  bool sentAgain_ = false;
  bool clientBlocked_ = false;
};

}  // namespace millrace
