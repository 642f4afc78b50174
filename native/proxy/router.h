// The last filter of every stream: chooses a cluster and hosts, makes one attempt or several, and
// brings one response back.
//
//   start ─▶ attempt ─▶ response ─────────────────────────────────────────▶ done
//              │  ▲          └── to be retried ─┐
//              │  └── back-off ◀────────────────┤
//              └── failure, overflow, timeout ──┴── no retry ─▶ local reply ─▶ done
//
// An attempt is an UpstreamRequest; what is worth another one is RetryState's to say. With hedging,
// several are under way, and the first good response wins. A body that may have to be sent again
// is kept, up to the buffer limit; beyond it there are no retries. What comes before any attempt
// could take it is kept until one can. Where hosts are added on demand,
// an attempt whose host is not there yet waits for it (upstream/waiting_hosts.h).
//
// Thread rule: the worker's loop.
#pragma once

#include <cstdint>
#include <memory>

#include "proxy/body_buffer.h"
#include "proxy/host_selection.h"
#include "proxy/http_filter.h"
#include "proxy/retry_hosts.h"
#include "proxy/retry_state.h"
#include "proxy/timeouts.h"
#include "proxy/upstream_request.h"

namespace millrace {

class Stream;

class Router final : public UpstreamRequestOwner, public HostWaiter {
 public:
  // Part of the stream, which is not complete yet.
  Router(Stream& stream, WorkerContext& worker, Arena& arena, StreamInfo& info);
  ~Router();
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  void onRequestHeaders(bool end);
  void onRequestData(std::string_view data, bool end);
  void onRequestTrailers(HeaderList& trailers);
  // The stream is over or was answered otherwise: whatever is under way upstream is given up.
  void cancel();
  // The route's timeout passed.
  void timedOut();
  // See FilterCallbacks.
  void overrideHost(std::string_view address, bool strict) {
    selection_.overrideHost(address, strict);
  }
  // The client takes no more (false), or goes on taking (true).
  void setClientWritable(bool writable);
  // Whether a host took something of the request since this was last asked.
  bool requestMoves();
  // The earliest deadline of an attempt, or of the back-off, loop ms; 0: none.
  uint64_t nextDeadlineMs() { return timed_ ? earliestDeadlineMs() : 0; }
  void onDeadline(uint64_t nowMs);
  // Ready for another route (an internal redirect), with nothing under way. Gives up the body that
  // was kept.
  void reset(BodyBuffer& body);

  // UpstreamRequestOwner
  void onUpstreamReady(UpstreamRequest& request) override;
  void onUpstreamInformational(UpstreamRequest& request, ResponseHead& head) override;
  void onUpstreamHeaders(UpstreamRequest& request, ResponseHead& head, bool end) override;
  void onUpstreamData(UpstreamRequest& request, std::string_view data, bool end) override;
  void onUpstreamTrailers(UpstreamRequest& request, HeaderList& trailers) override;
  void onUpstreamReset(UpstreamRequest& request, ResetReason reason, int sysErrno) override;
  bool keepsBody() const override { return keeping_ && !bodyLost_; }
  void onUpstreamWritable(UpstreamRequest& request, bool writable) override;
  bool clientMoves() override;
  // HostWaiter
  void onHostFound() override;
  void onHostRefused(HostRefusal why) override;

 private:
  // Attempts beyond the first, made when they are needed; in the arena.
  struct Extra {
    UpstreamRequest request;
    Extra* next;
  };
  enum class Retry : uint8_t { kNo, kYes, kLimitExceeded, kOverflow };
  // A body that is kept for nothing but a stale connection: what HAProxy's buffer holds.
  static constexpr size_t kResendBytes = 16 * 1024;

  // router.cc
  void forward(const ForwardAction& action);
  void startFirst(ClusterLocal& cluster, const HostEntry& picked);
  bool prepareRequest(const ForwardAction& action, const Host& host);
  void prepareRetries(const ForwardAction& action);
  ClusterLocal* findCluster(const ForwardAction& action);
  void start(UpstreamRequest& request, ClusterLocal& cluster, const HostEntry& picked);
  const HostEntry* pickAgain(ClusterLocal& cluster);
  void setAttemptHeaders();
  void requestOver();
  bool hold(std::string_view data);
  bool keep(std::string_view data);
  void keepForResend(std::string_view data);
  bool taken();
  void pauseRequest(bool on);
  template <typename Fn>
  void forEachActive(Fn fn);
  UpstreamRequest* anyActive();

  // router_host.cc: hosts that a cluster adds as requests name them
  std::string_view hostKey(const spec::OnDemand& rules);
  void hostMissing(ClusterLocal& cluster);
  void tooManyWait(const spec::OnDemand& rules);
  void replyOverflow();

  // router_extra.cc: mirrors and internal redirects
  void chooseMirrors(const ForwardAction& action);
  void sendMirrors();
  SlotId mirrorSlot(const MirrorAction& mirror);
  bool followRedirect(UpstreamRequest& request, ResponseHead& head, bool end);

  // router_response.cc
  void responseOver(UpstreamRequest& request);
  void take(UpstreamRequest& request);
  void fail(UpstreamRequest& request, ResetReason reason);
  void timeOutReply(const char* details);
  bool takesPart(uint32_t perMillion);
  bool inMaintenance(const ClusterLocal& cluster);
  bool dropForOverload(const ClusterLocal& cluster);
  void noHealthyUpstream();
  void reply(LocalReply what);

  // router_retry.cc
  bool retryForHeaders(UpstreamRequest& request, ResponseHead& head, bool end);
  bool retryForReset(UpstreamRequest& request, ResetReason reason);
  Retry tryRetry(bool wanted, const ResponseHead* head);
  bool takeRetry();
  void giveRetry();
  void retryNow();
  void startAgain(ClusterLocal& cluster, const HostEntry& picked);
  bool waitsForAnother(const UpstreamRequest& request);
  void perTryTimeout(UpstreamRequest& request, UpstreamRequest::Deadline which);
  UpstreamRequest& idleAttempt();
  uint64_t earliestDeadlineMs();
  void dueAt(uint64_t ms);

  Stream& stream_;
  const ForwardAction* action_ = nullptr;  // the route's, once it is being followed
  SlotId slot_ = kNoSlot;                  // of the cluster
  Pin pin_;                                // the cluster as it was chosen: whose numbers count
  ClusterPick pick_;
  HostSelection selection_;
  StatBlock stats_;  // of that cluster
  UpstreamRequest first_;
  Extra* extras_ = nullptr;
  UpstreamRequest* final_ = nullptr;        // whose response goes to the client
  RetryState* retry_ = nullptr;             // null: no retries (any more)
  std::unique_ptr<RetryHosts> retryHosts_;  // null: every host will do
  uint64_t triedHost_ = 0;                  // of the last attempt
  BodyBuffer body_;
  HeaderList* trailers_ = nullptr;
  RequestTimeouts timeouts_;
  uint64_t retryAtMs_ = 0;  // back-off until then, loop ms; 0: no retry is pending
  uint32_t attempts_ = 0;
  uint8_t triedPriority_ = 0;
  bool triedCanary_ = false;
  Priority priority_ = Priority::kDefault;
  bool requestEnded_ = false;
  bool headOnly_ = false;      // the request has no body
  bool keeping_ = false;       // the body, as it comes
  bool forResend_ = false;     // it is kept for a connection that proves stale, and nothing else
  bool bodyLost_ = false;      // body_ is not all that came: no further attempt can be made
  bool mirroring_ = false;     // some mirror gets this request
  bool timed_ = false;         // there are deadlines to look at
  bool retryTaken_ = false;    // counted among the cluster's retries
  bool timeoutRetry_ = false;  // the pending retry is one because of a per-try timeout
  bool pausedRequest_ = false;
  bool clientBlocked_ = false;
};

template <typename Fn>
void Router::forEachActive(Fn fn) {
  if (first_.active()) fn(first_);
  for (Extra* extra = extras_; extra != nullptr; extra = extra->next) {
    if (extra->request.active()) fn(extra->request);
  }
}

}  // namespace millrace
