#include "proxy/router.h"

#include <charconv>
#include <cstring>

#include "proxy/http_stats.h"
#include "proxy/redirect.h"
#include "proxy/rewrite.h"
#include "proxy/stream.h"
#include "proxy/worker_context.h"
#include "upstream/cluster_stats.h"

namespace millrace {

namespace {

bool idempotent(Method method) {
  switch (method) {  // RFC 9110 §9.2.2
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

// Bytes given to the connection so far, with the kernel or not.
uint64_t givenTo(const Connection& c) {
  return c.bytesWritten() + c.pendingBytes();
}

}  // namespace

Router::Router(Stream& stream) : stream_(stream), response_(stream.arena()) {}

// ---- The request
// -------------------------------------------------------------------------------------------------

void Router::onRequestHeaders(bool end) {
  requestEnded_ = headOnly_ = end;
  StatBlock stats = stream_.httpStats();
  const RouteResult& result = stream_.route();
  switch (result.outcome) {
    case RouteOutcome::kMatched:
      break;
    case RouteOutcome::kTlsRequired:
      ++stats[http_stat::kRqRedirect];
      stream_.reply({.status = 301,
                     .details = "https_required",
                     .location = tlsRedirectLocation(stream_.request())});
      return;
    case RouteOutcome::kNoRoute:
    case RouteOutcome::kNoVirtualHost:
      ++stats[http_stat::kNoRoute];
      stream_.info().setFlag(ResponseFlag::kNoRouteFound);
      stream_.reply({.status = 404, .details = "route_not_found"});
      return;
  }
  const Route& route = *result.route;
  if (const RedirectAction* action = route.redirect()) {
    ++stats[http_stat::kRqRedirect];
    std::string_view location;
    if (!redirectLocation(route, *action, stream_.request(), stream_.info().scheme, location)) {
      stream_.reply({.status = 500, .details = "regex_rewrite_too_complex"});
      return;
    }
    stream_.replyByRoute(
        {.status = action->status, .details = "direct_response", .location = location});
  } else if (const RespondAction* action = route.respond()) {
    ++stats[http_stat::kRqDirectResponse];
    stream_.replyByRoute(
        {.status = action->status, .body = action->body, .details = "direct_response"});
  } else {
    forward(*route.forward(), end);
  }
}

void Router::forward(const ForwardAction& action, bool end) {
  WorkerContext& worker = stream_.worker();
  StreamInfo& info = stream_.info();
  ++stream_.httpStats()[http_stat::kRqRouted];
  pick_ = action.cluster.pick(&stream_.request().headers, stream_.random());
  info.clusterName = pick_.name;
  SlotId slot = pick_.slot;
  if (slot == kNoSlot) {
    const auto* directory = worker.slots.get<ClusterDirectory>(worker.common.directory);
    if (directory != nullptr && !pick_.name.empty()) slot = directory->find(pick_.name);
  }
  cluster_ = slot == kNoSlot ? nullptr : worker.upstream.cluster(slot);
  if (cluster_ == nullptr) {
    ++stream_.httpStats()[http_stat::kNoCluster];
    info.setFlag(ResponseFlag::kNoClusterFound);
    stream_.reply({.status = action.clusterNotFoundStatus, .details = "cluster_not_found"});
    return;
  }
  pin_ = worker.slots.pin(slot);
  info.clusterName = cluster_->snapshot().name();
  priority_ = action.priority == spec::Priority::kHigh ? Priority::kHigh : Priority::kDefault;
  const HostEntry* picked = cluster_->pick({});
  if (picked == nullptr) return noHost();
  host_ = picked->host;
  timeoutMs_ = action.timeout;
  if (!prepareRequest(action)) return;
  if (end) stream_.startRouteTimeout(timeoutMs_);
  acquire(false);
}

// Everything that changes in the request on its way. False: it was answered.
bool Router::prepareRequest(const ForwardAction& action) {
  RequestHead& head = stream_.request();
  HeaderList& headers = head.headers;
  const bool envoyHeaders = !stream_.suppressesEnvoyHeaders();
  if (const Header* own = headers.find(HeaderId::kXEnvoyUpstreamRqTimeoutMs)) {
    uint64_t ms = 0;
    auto [rest, error] =
        std::from_chars(own->value.data(), own->value.data() + own->value.size(), ms);
    if (error == std::errc() && rest == own->value.data() + own->value.size()) timeoutMs_ = ms;
    headers.remove(HeaderId::kXEnvoyUpstreamRqTimeoutMs);
  }
  if (timeoutMs_ != 0 && envoyHeaders) {
    headers.set(HeaderId::kXEnvoyExpectedRqTimeoutMs, stream_.number(timeoutMs_));
  }
  StreamInfo& info = stream_.info();
  stream_.routes()->mutateRequest(stream_.route(), &pick_, headers, info);
  if (!rewriteHost(action, pick_, head) ||
      !rewritePath(*stream_.route().route, action, head, envoyHeaders)) {
    stream_.reply({.status = 500, .details = "regex_rewrite_too_complex"});
    return false;
  }
  rewriteHostAuto(action, pick_, host_->hostname(), head);
  info.path = head.path;
  info.authority = head.authority;
  return true;
}

void Router::acquire(bool fresh) {
  StreamInfo& info = stream_.info();
  info.upstreamHost = &host_->address();
  info.attemptCount++;
  pool_ = cluster_->pool(*host_, priority_);
  if (pool_ == nullptr) return failed(PoolFailure::kOverflow, 0);
  HttpPool::Acquired got = pool_->acquire(*this, priority_, fresh);
  if (got.connection != nullptr) {
    send(*got.connection);
  } else if (got.failure != PoolFailure::kNone) {
    failed(got.failure, got.sysErrno);
  } else {
    info.upstreamConnectStartNs = stream_.worker().loop.nowNs();
    waiting_ = true;
    pauseRequest(true);
  }
}

void Router::onPoolReady(UpstreamConnection& connection) {
  waiting_ = false;
  stream_.info().upstreamConnectEndNs = stream_.worker().loop.nowNs();
  send(connection);
  pauseRequest(false);
}

void Router::onPoolFailure(PoolFailure reason, int sysErrno) {
  waiting_ = false;
  failed(reason, sysErrno);
}

void Router::send(UpstreamConnection& connection) {
  StreamInfo& info = stream_.info();
  uint64_t now = stream_.worker().loop.nowNs();
  Connection& socket = connection.connection();
  upstream_ = &connection;
  info.upstreamConnectionId = socket.id();
  info.upstreamLocal = &connection.localAddress();
  info.upstreamProtocol = Protocol::kHttp11;
  info.upstreamTxBeginNs = sentNs_ = now;
  givenBefore_ = givenTo(socket);
  StatBlock stats = cluster_->stats();
  ++stats[cluster_stat::kRqTotal];
  ++stats[cluster_stat::kRqActive];
  HostLocal& host = hostLocal();
  bump(host.rqTotal);
  bump(host.rqActive);
  countOutcome(Outcome::kConnected);
  encoder_ = &connection.start(*this, response_);
  if (clientBlocked_) encoder_->pauseResponse();
  encoder_->encodeHeaders(stream_.request(), headOnly_);
  info.upstream.headerSent += givenTo(socket) - givenBefore_;
  if (requestEnded_) info.upstreamTxEndNs = now;
}

void Router::onRequestData(std::string_view data, bool end) {
  if (end) requestOver();
  if (encoder_ != nullptr) encoder_->encodeData(data, end);
}

void Router::onRequestTrailers(HeaderList& trailers) {
  requestOver();
  if (encoder_ != nullptr) encoder_->encodeTrailers(trailers);
}

void Router::requestOver() {
  requestEnded_ = true;
  if (cluster_ == nullptr) return;
  stream_.info().upstreamTxEndNs = stream_.worker().loop.nowNs();
  stream_.startRouteTimeout(timeoutMs_);
}

void Router::onRequestWritable(bool writable) {
  pauseRequest(!writable);
}

void Router::pauseRequest(bool on) {
  if (pausedRequest_ == on) return;
  if (on && requestEnded_) return;
  pausedRequest_ = on;
  stream_.pauseRequest(on);
}

void Router::setClientWritable(bool writable) {
  if (clientBlocked_ == !writable) return;
  clientBlocked_ = !writable;
  if (encoder_ == nullptr) return;
  if (writable) {
    encoder_->resumeResponse();
  } else {
    encoder_->pauseResponse();
  }
}

// ---- The response
// -------------------------------------------------------------------------------------------------

void Router::onInformational(ResponseHead& head) {
  stream_.respondInformational(head);
}

void Router::onResponseHeaders(ResponseHead& head, bool end) {
  StreamInfo& info = stream_.info();
  uint64_t now = stream_.worker().loop.nowNs();
  responseStarted_ = true;
  info.upstreamRxBeginNs = now;
  info.upstream.headerReceived += head.raw.size();
  info.upstream.wireReceived += head.raw.size();
  info.responseCodeDetails = "via_upstream";
  info.responseCode = head.status;
  countResponse(head);
  if (!stream_.suppressesEnvoyHeaders()) {
    head.headers.set(HeaderId::kXEnvoyUpstreamServiceTime,
                     stream_.number((now - sentNs_) / kNsPerMs));
  }
  stream_.routes()->mutateResponse(stream_.route(), &pick_, head.headers, info);
  if (end) responseOver();
  stream_.respond(head, end);
}

void Router::onResponseData(std::string_view data, bool end) {
  stream_.info().upstream.wireReceived += data.size();
  if (end) responseOver();
  stream_.respondData(data, end);
}

void Router::onResponseTrailers(HeaderList& trailers) {
  responseOver();
  stream_.respondTrailers(trailers);
}

void Router::countResponse(const ResponseHead& head) {
  const uint16_t status = head.status;
  StatBlock stats = cluster_->stats();
  ++stats[cluster_stat::kRqCompleted];
  if (status < 600) ++stats[cluster_stat::kRq1xx + status / 100 - 1];
  HostLocal& host = hostLocal();
  if (status >= 500) {
    bump(host.rqError);
  } else {
    bump(host.rqSuccess);
  }
  const ClusterSnapshot& cluster = *pin_.get<ClusterSnapshot>();
  millrace::countResponse(stream_.worker().upstream, cluster, *host_, status);
  if (head.headers.find(HeaderId::kXEnvoyImmediateHealthCheckFail) != nullptr) {
    reportImmediateFail(stream_.worker().upstream, cluster, *host_);
  }
}

void Router::countOutcome(Outcome outcome) {
  millrace::countOutcome(stream_.worker().upstream, *pin_.get<ClusterSnapshot>(), *host_, outcome);
}

void Router::responseOver() {
  uint64_t now = stream_.worker().loop.nowNs();
  stream_.info().upstreamRxEndNs = now;
  cluster_->requestTime().record((now - sentNs_) / 1000);
  leaveUpstream();
}

void Router::onResponseReset(ResetReason reason) {
  bool again = maySendAgain(reason);
  StatBlock stats = cluster_->stats();
  leaveUpstream();
  if (again) {
    sentAgain_ = true;
    ++stats[cluster_stat::kRqStaleRetry];
    response_.clear();
    // A pool is made for a host of the present snapshot only.
    if (cluster_->snapshot().entry(*host_) == nullptr) {
      const HostEntry* other = cluster_->pick({});
      if (other == nullptr) return noHost();
      pin_ = cluster_->pin();
      host_ = other->host;
    }
    acquire(true);
    return;
  }
  ++stats[cluster_stat::kRqRxReset];
  if (!responseStarted_) bump(hostLocal().rqError);
  countOutcome(Outcome::kConnectFailed);
  bool protocol = reason == ResetReason::kProtocolError;
  ResponseFlag flag = protocol ? ResponseFlag::kUpstreamProtocolError
                               : ResponseFlag::kUpstreamConnectionTermination;
  if (responseStarted_) {
    stream_.resetResponse(
        flag, protocol ? "upstream_reset_after_response_started{protocol_error}"
                       : "upstream_reset_after_response_started{connection_termination}");
    return;
  }
  stream_.info().setFlag(flag);
  if (protocol) {
    stream_.reply({.status = 502,
                   .body = "upstream connect error or disconnect/reset before headers. "
                           "reset reason: protocol error",
                   .details = "upstream_reset_before_response_started{protocol_error}"});
  } else {
    stream_.reply({.status = 503,
                   .body = "upstream connect error or disconnect/reset before headers. "
                           "reset reason: connection termination",
                   .details = "upstream_reset_before_response_started{connection_termination}"});
  }
}

bool Router::maySendAgain(ResetReason reason) const {
  return reason == ResetReason::kRemoteReset && !sentAgain_ && !responseStarted_ && headOnly_ &&
         upstream_->requests() > 1 && !upstream_->codec().responseSeen() &&
         idempotent(stream_.request().method);
}

// ---- Failure and the end
// --------------------------------------------------------------------------------------------

void Router::failed(PoolFailure reason, int sysErrno) {
  StreamInfo& info = stream_.info();
  if (sysErrno != 0) {
    char text[128];
    info.upstreamFailure = stream_.arena().copy(strerror_r(sysErrno, text, sizeof text));
  }
  switch (reason) {
    case PoolFailure::kNone:
      return;
    case PoolFailure::kOverflow:
      info.setFlag(ResponseFlag::kUpstreamOverflow);
      stream_.reply({.status = 503,
                     .body = "upstream connect error or disconnect/reset before headers. "
                             "reset reason: overflow",
                     .details = "upstream_reset_before_response_started{overflow}",
                     .overloaded = true});
      return;
    case PoolFailure::kConnectFailed:
      countOutcome(Outcome::kConnectFailed);
      info.setFlag(ResponseFlag::kUpstreamConnectionFailure);
      stream_.reply(
          {.status = 503,
           .body = "upstream connect error or disconnect/reset before headers. "
                   "reset reason: remote connection failure",
           .details = "upstream_reset_before_response_started{remote_connection_failure}"});
      return;
    case PoolFailure::kConnectTimeout:
      countOutcome(Outcome::kConnectFailed);
      info.setFlag(ResponseFlag::kUpstreamConnectionFailure);
      stream_.reply({.status = 503,
                     .body = "upstream connect error or disconnect/reset before headers. "
                             "reset reason: connection timeout",
                     .details = "upstream_reset_before_response_started{connection_timeout}"});
      return;
  }
}

void Router::noHost() {
  ++cluster_->stats()[cluster_stat::kCxNoneHealthy];
  stream_.info().setFlag(ResponseFlag::kNoHealthyUpstream);
  stream_.reply({.status = 503, .body = "no healthy upstream", .details = "no_healthy_upstream"});
}

void Router::timedOut() {
  if (cluster_ == nullptr) return;
  stream_.info().setFlag(ResponseFlag::kUpstreamRequestTimeout);
  ++cluster_->stats()[cluster_stat::kRqTimeout];
  if (upstream_ != nullptr) {
    bump(hostLocal().rqTimeout);
    if (!responseStarted_) countOutcome(Outcome::kTimeout);
  }
  stream_.reply({.status = 504, .body = "upstream request timeout", .details = "response_timeout"});
}

void Router::cancel() {
  if (waiting_) {
    waiting_ = false;
    pool_->forget(*this);
  }
  if (upstream_ != nullptr) {
    UpstreamConnection* upstream = upstream_;
    ++cluster_->stats()[cluster_stat::kRqTxReset];
    leaveUpstream();
    upstream->cancel();
  }
}

// The exchange is over for us; the connection belongs to its pool again.
void Router::leaveUpstream() {
  if (upstream_ == nullptr) return;
  stream_.info().upstream.wireSent += givenTo(upstream_->connection()) - givenBefore_;
  --cluster_->stats()[cluster_stat::kRqActive];
  bump(hostLocal().rqActive, -1);
  upstream_ = nullptr;
  encoder_ = nullptr;
}

HostLocal& Router::hostLocal() const {
  return host_->local(stream_.worker().index);
}

}  // namespace millrace
