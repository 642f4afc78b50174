// One attempt to have a request answered by one host: waits for a connection of the host's pool,
// sends the head, hands over what comes back, and counts.
//
//   idle ──start()──▶ waiting for a connection ─▶ sent ─▶ response coming in ─▶ idle
//                          └── failure, reset, cancel() ──▶ idle
//
// A request that fails on a reused connection before a byte of response came (the upstream closed
// it just then) is sent again once, on a new connection to the same host, if that is safe: its
// method is idempotent (RFC 9110 §9.2.2), or nothing of it had arrived when the upstream ended; and
// whatever was given of its body is kept. Of that the owner sees no more than another
// onUpstreamReady().
//
// In its last event (end of the response, reset) the object is idle and may be started again; a
// response's head is gone then.
//
// Ownership: part of its owner; its arena and the head outlive the attempt. Thread rule: the
// worker's loop.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/codec.h"
#include "proxy/stream_info.h"
#include "rcu/reader.h"
#include "upstream/http_pool.h"
#include "upstream/upstream_worker.h"

namespace millrace {

class UpstreamRequest;
struct WorkerContext;

// RFC 9110 §9.2.2: to be sent twice means the same as once.
bool isIdempotent(Method method);

// Who makes the attempt. The events of a response come in order, as in ResponseSink; after an end
// or a reset nothing follows.
class UpstreamRequestOwner {
 public:
  // The head was sent: the body may follow, if there is any, from its beginning.
  virtual void onUpstreamReady(UpstreamRequest& request) = 0;
  virtual void onUpstreamInformational(UpstreamRequest& request, ResponseHead& head) = 0;
  virtual void onUpstreamHeaders(UpstreamRequest& request, ResponseHead& head, bool end) = 0;
  virtual void onUpstreamData(UpstreamRequest& request, std::string_view data, bool end) = 0;
  virtual void onUpstreamTrailers(UpstreamRequest& request, HeaderList& trailers) = 0;
  // `sysErrno`: what connect(2) said, or 0. May come from inside start().
  virtual void onUpstreamReset(UpstreamRequest& request, ResetReason reason, int sysErrno) = 0;
  // Whether all that was given of the body could be given again.
  virtual bool keepsBody() const = 0;
  // Back-pressure of the request's body.
  virtual void onUpstreamWritable(UpstreamRequest& request, bool writable) = 0;
  // Whether the client, which takes too little of the response to be sent more, has taken something
  // since this was last asked.
  virtual bool clientMoves() { return false; }

 protected:
  ~UpstreamRequestOwner() = default;
};

// Where an attempt goes to.
struct UpstreamTarget {
  ClusterLocal* cluster = nullptr;
  const Host* host = nullptr;  // of the cluster's snapshot
  Pin pin;                     // that snapshot
  Priority priority = Priority::kDefault;
  PickContext wanted;  // for another host, should this one leave the cluster
};

class UpstreamRequest final : public ResponseSink, public PoolWaiter {
 public:
  // `info`: gets times, bytes and addresses as they become known.
  UpstreamRequest(UpstreamRequestOwner& owner, WorkerContext& worker, Arena& arena,
                  StreamInfo& info);
  UpstreamRequest(const UpstreamRequest&) = delete;
  UpstreamRequest& operator=(const UpstreamRequest&) = delete;

  // Only when idle. `headOnly`: the request has no body. Ends in onUpstreamReady(), now or later,
  // or in onUpstreamReset().
  void start(UpstreamTarget target, const RequestHead& head, bool headOnly);
  // Gives up, whatever is under way; no event follows.
  void cancel();

  // The body, between onUpstreamReady() and the end of the request; thrown away at other times.
  void encodeData(std::string_view data, bool end) {
    if (encoder_ != nullptr) encoder_->encodeData(data, end);
  }
  void encodeTrailers(const HeaderList& trailers) {
    if (encoder_ != nullptr) encoder_->encodeTrailers(trailers);
  }
  // The client takes no more (false), or goes on taking (true).
  void setClientWritable(bool writable);
  // Writes into the stream's facts what this attempt, and not another one, was.
  void describe();
  // A response was taken for good (or, `retried`, thrown away for another attempt): counted for the
  // cluster and the host.
  void countResponse(const ResponseHead& head, bool retried);
  // It has taken too long, by whatever deadline.
  void countTimeout();

  // The deadlines of one attempt run from now on: the request has been sent in full. 0: none.
  void startTimeouts(uint64_t perTryMs, uint64_t idleMs);
  // The earliest deadline, loop ms; 0: none.
  uint64_t nextDeadlineMs() const;
  enum class Deadline : uint8_t { kNone, kPerTry, kPerTryIdle };
  // Which one has passed; each is told once.
  Deadline passedDeadline(uint64_t nowMs);

  bool active() const { return waiting_ || upstream_ != nullptr; }
  bool connected() const { return upstream_ != nullptr; }
  // Whether the host took something of the request since this was last asked.
  bool moves() { return upstream_ != nullptr && progress_.moved(upstream_->connection()); }
  bool awaitingHeaders() const { return active() && !headersSeen_; }
  // A response has begun; so until the next start().
  bool headersSeen() const { return headersSeen_; }
  // The head went out in this attempt.
  bool sent() const { return sent_; }
  // Another attempt was begun because this one took too long.
  bool hedged() const { return hedged_; }
  void markHedged() { hedged_ = true; }

  const Host* host() const { return host_; }  // of the last start()
  HostLocal& hostLocal() const;
  StatBlock clusterStats() const { return stats_; }
  ClusterLocal& cluster() const { return *cluster_; }  // while active, and in its last event
  uint64_t sentNs() const { return sentNs_; }

  // ResponseSink
  void onInformational(ResponseHead& head) override;
  void onResponseHeaders(ResponseHead& head, bool end) override;
  void onResponseData(std::string_view data, bool end) override;
  void onResponseTrailers(HeaderList& trailers) override;
  void onResponseReset(ResetReason reason) override;
  void onRequestWritable(bool writable) override;
  bool clientMoves() override { return owner_.clientMoves(); }
  // PoolWaiter
  void onPoolReady(UpstreamConnection& connection) override;
  void onPoolFailure(PoolFailure reason, int sysErrno) override;

 private:
  void acquire(bool fresh);
  void send(UpstreamConnection& connection);
  bool maySendAgain(ResetReason reason) const;
  bool stillThere();
  void failed(PoolFailure reason, int sysErrno);
  void leave();
  void readLoad(const HeaderList& fields);
  void leaveBroken();
  void touch();
  void countOutcome(Outcome outcome);

  UpstreamRequestOwner& owner_;
  WorkerContext& worker_;
  StreamInfo& info_;
  ResponseHead response_;
  const RequestHead* head_ = nullptr;
  ClusterLocal* cluster_ = nullptr;
  const Host* host_ = nullptr;
  HttpPool* pool_ = nullptr;
  UpstreamConnection* upstream_ = nullptr;
  RequestEncoder* encoder_ = nullptr;
  Pin pin_;
  StatBlock stats_;
  uint64_t sentNs_ = 0;
  uint64_t givenBefore_ = 0;  // bytes given to the upstream connection before this exchange
  // Loop ms; 0: none.
  uint64_t perTryAtMs_ = 0, idleMs_ = 0, idleAtMs_ = 0;
  Progress progress_;
  PickContext wanted_;
  Priority priority_ = Priority::kDefault;
  bool headOnly_ = false;
  bool waiting_ = false;  // for a connection
  bool headersSeen_ = false;
  bool sent_ = false;
  bool sentAgain_ = false;
  bool hedged_ = false;
  bool loadRead_ = false;  // the response's headers said something of the host's load
  bool clientBlocked_ = false;
};

}  // namespace millrace
