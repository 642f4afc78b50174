#include "proxy/upstream_request.h"

#include <algorithm>
#include <new>
#include <utility>

#include "base/assert.h"
#include "proxy/worker_context.h"
#include "upstream/cluster_stats.h"
#include "upstream/load_report.h"

namespace millrace {

using namespace cluster_stat;

bool isIdempotent(Method method) {
  switch (method) {
    case Method::kGet:
    case Method::kHead:
    case Method::kPut:
    case Method::kDelete:
    case Method::kOptions:
    case Method::kTrace:
      return true;
    default:
      return false;
  }
}

namespace {

// Bytes given to the connection so far, with the kernel or not.
uint64_t givenTo(const Connection& c) {
  return c.bytesWritten() + c.pendingBytes();
}

ResetReason resetReasonOf(PoolFailure failure) {
  switch (failure) {
    case PoolFailure::kOverflow:
      return ResetReason::kOverflow;
    case PoolFailure::kConnectTimeout:
      return ResetReason::kConnectTimeout;
    case PoolFailure::kNone:
    case PoolFailure::kConnectFailed:
      break;
  }
  return ResetReason::kConnectFailed;
}

}  // namespace

UpstreamRequest::UpstreamRequest(UpstreamRequestOwner& owner, WorkerContext& worker, Arena& arena,
                                 StreamInfo& info)
    : owner_(owner), worker_(worker), info_(info), response_(arena) {}

HostLocal& UpstreamRequest::hostLocal() const {
  return host_->local(worker_.index);
}

// ---- The request --------------------------------------------------------------------------------

void UpstreamRequest::start(UpstreamTarget target, const RequestHead& head, bool headOnly) {
  MR_DASSERT(!active());
  cluster_ = target.cluster;
  host_ = target.host;
  pin_ = std::move(target.pin);
  priority_ = target.priority;
  wanted_ = target.wanted;
  stats_ = cluster_->stats();
  if (head_ != nullptr) response_.clear();  // of the attempt before
  head_ = &head;
  headOnly_ = headOnly;
  headersSeen_ = sent_ = sentAgain_ = hedged_ = loadRead_ = false;
  perTryAtMs_ = idleMs_ = idleAtMs_ = 0;
  info_.upstreamHost = &host_->address();
  acquire(false);
}

void UpstreamRequest::acquire(bool fresh) {
  PoolClient client{info_.connectionId, info_.downstreamDirectRemote, info_.downstreamLocal};
  pool_ = cluster_->pool(*host_, priority_, &client);
  if (pool_ == nullptr) return failed(PoolFailure::kOverflow, 0);
  HttpPool::Acquired got = pool_->acquire(*this, priority_, fresh);
  if (got.connection != nullptr) {
    send(*got.connection);
  } else if (got.failure != PoolFailure::kNone) {
    failed(got.failure, got.sysErrno);
  } else {
    info_.upstreamConnectStartNs = worker_.loop.nowNs();
    waiting_ = true;
  }
}

void UpstreamRequest::onPoolReady(UpstreamConnection& connection) {
  waiting_ = false;
  info_.upstreamConnectEndNs = worker_.loop.nowNs();
  send(connection);
}

void UpstreamRequest::onPoolFailure(PoolFailure reason, int sysErrno) {
  waiting_ = false;
  failed(reason, sysErrno);
}

void UpstreamRequest::failed(PoolFailure reason, int sysErrno) {
  if (reason != PoolFailure::kOverflow) countOutcome(Outcome::kConnectFailed);
  owner_.onUpstreamReset(*this, resetReasonOf(reason), sysErrno);
}

void UpstreamRequest::send(UpstreamConnection& connection) {
  Connection& socket = connection.connection();
  upstream_ = &connection;
  sentNs_ = worker_.loop.nowNs();
  describe();
  givenBefore_ = givenTo(socket);
  ++stats_[kRqTotal];
  ++stats_[kRqActive];
  HostLocal& host = hostLocal();
  bump(host.rqTotal);
  bump(host.rqActive);
  host_->requestBegins();
  countOutcome(Outcome::kConnected);
  sent_ = true;
  encoder_ = &connection.start(*this, response_);
  if (clientBlocked_) encoder_->pauseResponse();
  encoder_->encodeHeaders(*head_, headOnly_);
  if (encoder_ == nullptr) return;  // reset by the codec, and so told
  info_.upstream.headerSent += givenTo(socket) - givenBefore_;
  owner_.onUpstreamReady(*this);
  // The connection may still be full of an earlier request, which was answered before it had
  // arrived.
  if (upstream_ == &connection && socket.aboveHigh()) owner_.onUpstreamWritable(*this, false);
}

void UpstreamRequest::describe() {
  info_.upstreamHost = &host_->address();
  if (upstream_ == nullptr) return;
  info_.upstreamConnectionId = upstream_->connection().id();
  info_.upstreamLocal = &upstream_->localAddress();
  info_.upstreamProtocol = Protocol::kHttp11;
  info_.upstreamTxBeginNs = sentNs_;
}

void UpstreamRequest::onRequestWritable(bool writable) {
  owner_.onUpstreamWritable(*this, writable);
}

void UpstreamRequest::setClientWritable(bool writable) {
  if (clientBlocked_ == !writable) return;
  clientBlocked_ = !writable;
  if (encoder_ == nullptr) return;
  if (writable) {
    ++stats_[kFlowResumedReading];
    encoder_->resumeResponse();
  } else {
    ++stats_[kFlowPausedReading];
    encoder_->pauseResponse();
  }
}

// ---- The response -------------------------------------------------------------------------------

void UpstreamRequest::onInformational(ResponseHead& head) {
  touch();
  owner_.onUpstreamInformational(*this, head);
}

void UpstreamRequest::onResponseHeaders(ResponseHead& head, bool end) {
  touch();
  headersSeen_ = true;
  describe();  // another attempt may have been begun since
  info_.upstreamRxBeginNs = worker_.loop.nowNs();
  info_.upstream.headerReceived += head.raw.size();
  info_.upstream.wireReceived += head.raw.size();
  readLoad(head.headers);
  if (end) leave();
  owner_.onUpstreamHeaders(*this, head, end);
}

void UpstreamRequest::onResponseData(std::string_view data, bool end) {
  touch();
  info_.upstream.wireReceived += data.size();
  if (end) leave();
  owner_.onUpstreamData(*this, data, end);
}

void UpstreamRequest::onResponseTrailers(HeaderList& trailers) {
  if (!loadRead_) readLoad(trailers);
  leave();
  owner_.onUpstreamTrailers(*this, trailers);
}

// What the host says of its load, where its weight follows from it.
void UpstreamRequest::readLoad(const HeaderList& fields) {
  const auto& rules = pin_.get<ClusterSnapshot>()->config().lb.clientWeights;
  if (__builtin_expect(!rules, 1)) return;
  LoadReport report;
  LoadReportState state = readLoadReport(fields, report);
  if (state == LoadReportState::kNone) return;
  loadRead_ = true;
  uint32_t weight = state == LoadReportState::kRead ? weightOf(report, rules->errorPenalty) : 0;
  ++stats_[weight == 0 ? kLbLoadReportsRefused : kLbLoadReports];
  if (weight != 0) host_->reportedWeight().report(weight, worker_.loop.nowNs());
}

void UpstreamRequest::countResponse(const ResponseHead& head, bool retried) {
  const uint16_t status = head.status;
  const ClusterSnapshot& cluster = *pin_.get<ClusterSnapshot>();
  const HostEntry* entry = cluster.entry(*host_);
  const bool canary = entry != nullptr && entry->canary;
  if (!retried) {
    cluster_->countCompleted(status, info_.internal, canary);
  } else {
    ++stats_[kRetryRqCompleted];
    if (status < 600) ++stats_[kRetryRq1xx + status / 100 - 1];
    cluster_->responses().count(
        {.status = status, .retried = true, .internal = info_.internal, .canary = canary});
  }
  const ZoneStatNames* zones = cluster.zoneStats();
  if (__builtin_expect(zones != nullptr, 0) && !retried && entry != nullptr) {
    const BlockId* zone = zones->block(entry->locality);
    if (zone != nullptr) cluster_->responses().countZone(*zone, status);
  }
  HostLocal& host = hostLocal();
  if (status >= 500 || retried) {
    bump(host.rqError);
  } else {
    bump(host.rqSuccess);
  }
  millrace::countResponse(worker_.upstream, cluster, *host_, status);
  if (head.headers.has(HeaderId::kXEnvoyImmediateHealthCheckFail)) {
    reportImmediateFail(worker_.upstream, cluster, *host_);
  }
}

void UpstreamRequest::countTimeout() {
  if (!connected()) return;
  bump(hostLocal().rqTimeout);
  if (!headersSeen_) countOutcome(Outcome::kTimeout);
}

void UpstreamRequest::countOutcome(Outcome outcome) {
  millrace::countOutcome(worker_.upstream, *pin_.get<ClusterSnapshot>(), *host_, outcome);
}

void UpstreamRequest::onResponseReset(ResetReason reason) {
  MR_DASSERT(reason != ResetReason::kBodyMismatch);
  bool again = maySendAgain(reason);
  leaveBroken();
  if (again) {
    sentAgain_ = true;
    ++stats_[kRqStaleRetry];
    response_.clear();
    if (stillThere()) {
      acquire(true);
      if (waiting_) owner_.onUpstreamWritable(*this, false);  // until onUpstreamReady()
      return;
    }
  }
  ++stats_[kRqRxReset];
  if (!headersSeen_) bump(hostLocal().rqError);
  countOutcome(Outcome::kConnectFailed);
  owner_.onUpstreamReset(*this, reason, 0);
}

// A pool is made for a host of the present snapshot only; another host does as well.
bool UpstreamRequest::stillThere() {
  if (cluster_->draining()) return false;
  if (cluster_->snapshot().entry(*host_) != nullptr) return true;
  const HostEntry* other = cluster_->pick(wanted_);
  if (other == nullptr) return false;
  pin_ = cluster_->pin();
  host_ = other->host;
  info_.upstreamHost = &host_->address();
  return true;
}

bool UpstreamRequest::maySendAgain(ResetReason reason) const {
  return reason == ResetReason::kRemoteReset && !sentAgain_ && !headersSeen_ &&
         upstream_->requests() > 1 && !upstream_->codec().responseSeen() &&
         (isIdempotent(head_->method) || upstream_->untouched()) &&
         (headOnly_ || owner_.keepsBody());
}

// ---- Deadlines and the end ----------------------------------------------------------------------

void UpstreamRequest::startTimeouts(uint64_t perTryMs, uint64_t idleMs) {
  uint64_t now = worker_.loop.nowMs();
  perTryAtMs_ = perTryMs == 0 ? 0 : now + perTryMs;
  idleMs_ = idleMs;
  idleAtMs_ = idleMs == 0 ? 0 : now + idleMs;
}

void UpstreamRequest::touch() {
  if (idleAtMs_ != 0) idleAtMs_ = worker_.loop.nowMs() + idleMs_;
}

uint64_t UpstreamRequest::nextDeadlineMs() const {
  if (!active()) return 0;
  if (perTryAtMs_ == 0 || idleAtMs_ == 0) return perTryAtMs_ + idleAtMs_;
  return std::min(perTryAtMs_, idleAtMs_);
}

UpstreamRequest::Deadline UpstreamRequest::passedDeadline(uint64_t nowMs) {
  if (!active()) return Deadline::kNone;
  if (perTryAtMs_ != 0 && perTryAtMs_ <= nowMs) {
    perTryAtMs_ = 0;
    return Deadline::kPerTry;
  }
  if (idleAtMs_ != 0 && idleAtMs_ <= nowMs) {
    if (clientBlocked_) {  // it is the client that is slow, and we who do not read
      idleAtMs_ = nowMs + idleMs_;
      return Deadline::kNone;
    }
    perTryAtMs_ = idleAtMs_ = 0;
    return Deadline::kPerTryIdle;
  }
  return Deadline::kNone;
}

void UpstreamRequest::cancel() {
  if (waiting_) {
    waiting_ = false;
    pool_->forget(*this);
  }
  if (upstream_ != nullptr) {
    UpstreamConnection* upstream = upstream_;
    ++stats_[kRqTxReset];
    leaveBroken();
    upstream->cancel();
  }
}

// The exchange is over for us; the connection belongs to its pool again.
void UpstreamRequest::leave() {
  info_.upstream.wireSent += givenTo(upstream_->connection()) - givenBefore_;
  --stats_[kRqActive];
  bump(hostLocal().rqActive, -1);
  host_->requestEnds();
  upstream_ = nullptr;
  encoder_ = nullptr;
}

// As leave(), when it is the connection that goes: a log line may come much later.
void UpstreamRequest::leaveBroken() {
  if (info_.upstreamLocal == &upstream_->localAddress()) {
    void* place = response_.headers.arena().allocate(sizeof(Address), alignof(Address));
    info_.upstreamLocal = new (place) Address(*info_.upstreamLocal);
  }
  leave();
}

}  // namespace millrace
