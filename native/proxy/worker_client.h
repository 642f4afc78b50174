// Requests that a worker makes itself, through the same pools as everybody's: mirrors of requests,
// and later what filters have to ask.
//
//   start() ─▶ attempt ─▶ response (handed to the sink, or dropped) ─▶ given back
//                 └── reset, timeout, cancel() ──────────────────────┘
//
// One attempt each, no retries. What is sent is copied, so that whoever asked may be gone before
// the answer comes. Thread rule: the worker's loop.
#pragma once

#include <cstdint>

#include "base/arena.h"
#include "base/list.h"
#include "base/object_pool.h"
#include "event/loop.h"
#include "proxy/body_buffer.h"
#include "proxy/stream_info.h"
#include "proxy/upstream_request.h"

namespace millrace {

// Who wants the response. After onCallEnd() nothing follows; it is not called for a call that was
// cancelled.
class ClientCallSink {
 public:
  virtual void onCallHeaders(const ResponseHead& head) = 0;
  virtual void onCallData(std::string_view data) = 0;
  // `complete` false: there is no response, or not all of it.
  virtual void onCallEnd(bool complete) = 0;

 protected:
  ~ClientCallSink() = default;
};

class ClientCall final : public UpstreamRequestOwner, public ListNode<ClientCall>, public Deferred {
 public:
  // Use WorkerClient::start(); public for the pool only.
  ClientCall(WorkerContext& worker, ClientCallSink* sink);
  ClientCall(const ClientCall&) = delete;
  ClientCall& operator=(const ClientCall&) = delete;

  // Gives up; the sink is not told.
  void cancel();

  // UpstreamRequestOwner
  void onUpstreamReady(UpstreamRequest& request) override;
  void onUpstreamInformational(UpstreamRequest&, ResponseHead&) override {}
  void onUpstreamHeaders(UpstreamRequest& request, ResponseHead& head, bool end) override;
  void onUpstreamData(UpstreamRequest& request, std::string_view data, bool end) override;
  void onUpstreamTrailers(UpstreamRequest& request, HeaderList& trailers) override;
  void onUpstreamReset(UpstreamRequest& request, ResetReason reason, int sysErrno) override;
  bool keepsBody() const override { return true; }
  void onUpstreamWritable(UpstreamRequest&, bool) override {}
  void destroyDeferred() override;

 private:
  friend class WorkerClient;
  void copy(const RequestHead& head, const BodyBuffer& body);
  void timedOut();
  void over(bool complete);

  WorkerContext& worker_;
  ClientCallSink* sink_;
  Arena arena_;
  RequestHead head_;
  BodyBuffer body_;
  StreamInfo info_;
  UpstreamRequest request_;
  Timer timeout_;
  bool headOnly_ = false;
  bool over_ = false;
};

class WorkerClient {
 public:
  struct Request {
    SlotId cluster = kNoSlot;
    const RequestHead& head;
    // Empty with a head that says otherwise: the request is sent with an empty body.
    const BodyBuffer& body;
    bool headOnly = true;
    Priority priority = Priority::kDefault;
    uint64_t timeoutMs = 0;          // 0: none
    std::string_view authority;      // instead of the head's
    ClientCallSink* sink = nullptr;  // null: the response is dropped
  };

  WorkerClient() = default;
  ~WorkerClient();
  WorkerClient(const WorkerClient&) = delete;
  WorkerClient& operator=(const WorkerClient&) = delete;

  // Copies what the request refers to. Null when there is no such cluster or no host in it; the
  // sink is not told then. It may be told before this returns.
  ClientCall* start(WorkerContext& worker, const Request& request);
  // See ObjectPool::trim.
  size_t trim(size_t most) { return pool_.trim(most); }
  // The worker is about to stop.
  void cancelAll();

 private:
  friend class ClientCall;
  ObjectPool<ClientCall> pool_;
  List<ClientCall> calls_;
};

}  // namespace millrace
