// Router: further attempts. What is retried is in retry_state.h; here are the breaker, the back-off
// and hedging. See router.h.
#include <new>

#include "proxy/rewrite.h"
#include "proxy/router.h"
#include "proxy/stream.h"
#include "proxy/worker_context.h"
#include "upstream/cluster_stats.h"

namespace millrace {

using namespace cluster_stat;

// True: the response was thrown away.
bool Router::retryForHeaders(UpstreamRequest& request, ResponseHead& head, bool end) {
  bool wanted = retry_->wouldRetry(head);
  Retry verdict = Retry::kNo;
  // A hedged attempt has its successor already.
  if (!request.hedged()) verdict = tryRetry(wanted, &head);
  bool another = verdict == Retry::kYes || (wanted && waitsForAnother(request));
  if (!another) return false;
  request.countResponse(head, true);
  if (!end) request.cancel();
  return true;
}

bool Router::retryForReset(UpstreamRequest& request, ResetReason reason) {
  if (retry_ == nullptr || request.hedged()) return false;
  return tryRetry(retry_->wouldRetry(reason, request.sent()), nullptr) == Retry::kYes;
}

// `head`: the response that asks for it; null: there is none.
Router::Retry Router::tryRetry(bool wanted, const ResponseHead* head) {
  WorkerContext& worker = stream_.worker();
  if (!wanted && retryTaken_ && head != nullptr) ++stats_[kRqRetrySuccess];
  giveRetry();
  if (!wanted) return Retry::kNo;
  if (!retry_->spend()) {
    ++stats_[kRqRetryLimitExceeded];
    stream_.info().setFlag(ResponseFlag::kUpstreamRetryLimitExceeded);
    return Retry::kLimitExceeded;
  }
  if (!takeRetry()) {
    ++stats_[kRqRetryOverflow];
    stream_.info().setFlag(ResponseFlag::kUpstreamOverflow);
    return Retry::kOverflow;
  }
  // upstream.use_retry, in percent.
  double enabled = runtimeNumber(worker.runtime(), stream_.routes()->useRetryFlag(), 100);
  if (enabled < 100 && double(worker.random.next() % 100) >= enabled) {
    giveRetry();
    return Retry::kNo;
  }
  ++stats_[kRqRetry];
  uint64_t waitMs = 0;
  if (head != nullptr &&
      retry_->rateLimitedBackOff(*head, wallUs(), worker.random.next(), waitMs)) {
    ++stats_[kRqRetryBackOffRateLimited];
  } else {
    waitMs = retry_->nextBackOff(worker.random.next());
    ++stats_[kRqRetryBackOffExponential];
  }
  timeoutRetry_ = false;
  retryAtMs_ = worker.loop.nowMs() + waitMs;
  dueAt(retryAtMs_);
  pauseRequest(true);
  return Retry::kYes;
}

bool Router::takeRetry() {
  const auto* cluster = pin_.get<ClusterSnapshot>();
  Resources& resources = cluster->identity().resources(priority_);
  retryTaken_ = resources.tryTakeRetry(cluster->breaker(priority_));
  return retryTaken_;
}

void Router::giveRetry() {
  if (!retryTaken_) return;
  retryTaken_ = false;
  pin_.get<ClusterSnapshot>()->identity().resources(priority_).retries.give();
}

// Whether a response may still come from elsewhere.
bool Router::waitsForAnother(const UpstreamRequest& request) {
  bool other = retryAtMs_ != 0;
  forEachActive([&](UpstreamRequest& r) { other |= &r != &request && r.awaitingHeaders(); });
  return other;
}

void Router::retryNow() {
  retryAtMs_ = 0;
  selection_.dropOverride();
  // The cluster may have changed, or be gone.
  ClusterLocal* cluster = stream_.worker().upstream.cluster(slot_);
  if (cluster == nullptr) return noHealthyUpstream();
  const HostEntry* picked = pickAgain(*cluster);
  if (picked == nullptr) return hostMissing(*cluster);
  startAgain(*cluster, *picked);
}

void Router::startAgain(ClusterLocal& cluster, const HostEntry& picked) {
  const Host* host = picked.host;
  StreamInfo& info = stream_.info();
  RequestHead& head = stream_.request();
  info.attemptCount = ++attempts_;
  setAttemptHeaders();
  if (rewritesHostAuto(*action_, pick_) && !host->hostname().empty()) {
    info.authority = head.authority = host->hostname();
  }
  start(idleAttempt(), cluster, picked);
}

const HostEntry* Router::pickAgain(ClusterLocal& cluster) {
  const RetryPolicy* policy = action_->retry.get();
  if (policy == nullptr || !policy->choosesHosts()) return cluster.pick(selection_.context());
  if (retryHosts_ == nullptr) retryHosts_ = std::make_unique<RetryHosts>(*policy);
  retryHosts_->tried(triedHost_, triedPriority_);
  return cluster.pick(retryHosts_->context(cluster.snapshot().balancer(), selection_.context()));
}

UpstreamRequest& Router::idleAttempt() {
  if (!first_.active()) return first_;
  for (Extra* extra = extras_; extra != nullptr; extra = extra->next) {
    if (!extra->request.active()) return extra->request;
  }
  Arena& arena = stream_.arena();
  void* place = arena.allocate(sizeof(Extra), alignof(Extra));
  extras_ = new (place) Extra{{*this, stream_.worker(), arena, stream_.info()}, extras_};
  return extras_->request;
}

// ---- Deadlines ----------------------------------------------------------------------------------

uint64_t Router::earliestDeadlineMs() {
  uint64_t next = retryAtMs_;
  forEachActive([&](UpstreamRequest& request) {
    uint64_t due = request.nextDeadlineMs();
    if (due != 0 && (next == 0 || due < next)) next = due;
  });
  return next;
}

void Router::dueAt(uint64_t ms) {
  if (ms != 0) stream_.dueAt(ms);
}

void Router::onDeadline(uint64_t nowMs) {
  if (retryAtMs_ != 0 && retryAtMs_ <= nowMs) {
    retryNow();
    return;
  }
  // One at a time: it may end the stream.
  UpstreamRequest* late = nullptr;
  UpstreamRequest::Deadline which = UpstreamRequest::Deadline::kNone;
  forEachActive([&](UpstreamRequest& request) {
    if (late != nullptr) return;
    which = request.passedDeadline(nowMs);
    if (which != UpstreamRequest::Deadline::kNone) late = &request;
  });
  if (late != nullptr) perTryTimeout(*late, which);
}

void Router::perTryTimeout(UpstreamRequest& request, UpstreamRequest::Deadline which) {
  bool idle = which == UpstreamRequest::Deadline::kPerTryIdle;
  if (!idle && request.headersSeen()) return;  // it has an answer; the global timeout goes on
  request.countTimeout();
  if (timeouts_.hedge) {
    // The slow attempt goes on beside the next one.
    if (retry_ == nullptr || request.hedged() || tryRetry(true, nullptr) != Retry::kYes) return;
    request.markHedged();
    timeoutRetry_ = true;
    return;
  }
  ++stats_[idle ? kRqPerTryIdleTimeout : kRqPerTryTimeout];
  request.cancel();
  if (retryForReset(request, ResetReason::kLocalReset)) {
    timeoutRetry_ = true;
    return;
  }
  timeOutReply(idle ? "upstream_per_try_idle_timeout" : "upstream_per_try_timeout");
}

}  // namespace millrace
