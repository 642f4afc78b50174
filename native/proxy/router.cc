#include "proxy/router.h"

#include <algorithm>
#include <new>
#include <utility>

#include "base/assert.h"
#include "proxy/http_stats.h"
#include "proxy/redirect.h"
#include "proxy/rewrite.h"
#include "proxy/stream.h"
#include "proxy/worker_context.h"
#include "upstream/cluster_stats.h"

namespace millrace {

namespace {

constexpr uint64_t kRetryHeaders = HeaderList::maskOf(
    HeaderId::kXEnvoyRetryOn, HeaderId::kXEnvoyRetryGrpcOn, HeaderId::kXEnvoyMaxRetries,
    HeaderId::kXEnvoyRetriableStatusCodes, HeaderId::kXEnvoyRetriableHeaderNames);

}  // namespace

Router::Router(Stream& stream, WorkerContext& worker, Arena& arena, StreamInfo& info)
    : stream_(stream), first_(*this, worker, arena, info), body_(arena) {}

Router::~Router() {
  while (extras_ != nullptr) {
    Extra* next = extras_->next;
    extras_->~Extra();  // the memory is the arena's
    extras_ = next;
  }
}

// ---- The request --------------------------------------------------------------------------------

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
    forward(*route.forward());
  }
}

void Router::forward(const ForwardAction& action) {
  StreamInfo& info = stream_.info();
  ++stream_.httpStats()[http_stat::kRqRouted];
  ClusterLocal* cluster = findCluster(action);
  if (cluster == nullptr || inMaintenance(*cluster) || dropForOverload(*cluster)) return;
  selection_.begin(action, pick_, stream_.request(), info, stream_.arena());
  if (const spec::OnDemand* rules = cluster->snapshot().onDemand()) {
    selection_.setKey(hostKey(*rules));
  }
  const HostEntry* picked = cluster->pick(selection_.context());
  if (picked == nullptr) {
    hostMissing(*cluster);
  } else {
    startFirst(*cluster, *picked);
  }
}

// The request goes to the cluster that was chosen.
void Router::startFirst(ClusterLocal& cluster, const HostEntry& picked) {
  const ForwardAction& action = *stream_.route().route->forward();
  action_ = &action;
  attempts_ = 1;
  timeouts_ = requestTimeouts(action, stream_.internal(), stream_.request().headers);
  if (!prepareRequest(action, *picked.host)) return;
  prepareRetries(action);
  if (!action.mirrors.empty()) chooseMirrors(action);
  const RequestHead& head = stream_.request();
  const bool tooLong = head.framing == BodyFraming::kLength && head.contentLength > kResendBytes;
  forResend_ = !headOnly_ && !keeping_ && !tooLong;
  keeping_ |= forResend_;
  if (requestEnded_) stream_.startRouteTimeout(timeouts_.globalMs);
  stream_.info().attemptCount = attempts_;
  if (requestEnded_ && mirroring_) sendMirrors();
  start(first_, cluster, picked);
}

// The cluster that the route names, pinned; null: the request was answered.
ClusterLocal* Router::findCluster(const ForwardAction& action) {
  WorkerContext& worker = stream_.worker();
  StreamInfo& info = stream_.info();
  pick_ = stream_.cluster();
  info.clusterName = pick_.name;
  slot_ = pick_.slot;
  if (slot_ == kNoSlot) {
    const auto* directory = worker.slots.get<ClusterDirectory>(worker.common.directory);
    if (directory != nullptr && !pick_.name.empty()) slot_ = directory->find(pick_.name);
  }
  ClusterLocal* cluster = slot_ == kNoSlot ? nullptr : worker.upstream.cluster(slot_);
  if (cluster == nullptr) {
    ++stream_.httpStats()[http_stat::kNoCluster];
    info.setFlag(ResponseFlag::kNoClusterFound);
    stream_.reply({.status = action.clusterNotFoundStatus, .details = "cluster_not_found"});
    return nullptr;
  }
  pin_ = worker.slots.pin(slot_);
  stats_ = cluster->stats();
  info.clusterName = cluster->snapshot().name();
  priority_ = action.priority == spec::Priority::kHigh ? Priority::kHigh : Priority::kDefault;
  return cluster;
}

// Everything that changes in the request on its way. False: it was answered.
bool Router::prepareRequest(const ForwardAction& action, const Host& host) {
  RequestHead& head = stream_.request();
  StreamInfo& info = stream_.info();
  setAttemptHeaders();
  stream_.routes()->mutateRequest(stream_.route(), &pick_, head.headers, info);
  if (!rewriteHost(action, pick_, head) ||
      !rewritePath(*stream_.route().route, action, head, !stream_.suppressesEnvoyHeaders())) {
    stream_.reply({.status = 500, .details = "regex_rewrite_too_complex"});
    return false;
  }
  rewriteHostAuto(action, pick_, host.hostname(), head);
  info.path = head.path;
  info.authority = head.authority;
  return true;
}

// What an attempt tells the upstream about itself.
void Router::setAttemptHeaders() {
  HeaderList& headers = stream_.request().headers;
  if (!stream_.suppressesEnvoyHeaders()) {
    uint64_t done = stream_.info().downstreamRxEndNs;
    uint64_t elapsed = done == 0 ? 0 : (stream_.worker().loop.nowNs() - done) / kNsPerMs;
    uint64_t expected = expectedTimeoutMs(timeouts_, elapsed);
    if (expected != 0) {
      headers.set(HeaderId::kXEnvoyExpectedRqTimeoutMs, stream_.number(expected));
    }
  }
  if (action_->attemptCountInRequest) {
    headers.set(HeaderId::kXEnvoyAttemptCount, stream_.number(attempts_));
  }
  if (action_->timeoutRetryHeader && attempts_ > 1) {
    headers.set("x-envoy-is-timeout-retry", timeoutRetry_ ? "true" : "false");
  }
}

void Router::prepareRetries(const ForwardAction& action) {
  WorkerContext& worker = stream_.worker();
  RequestHead& head = stream_.request();
  if (RetryState::wanted(action.retry.get(), head.headers)) {
    const RequestFields fields{.method = head.methodText,
                               .path = head.path,
                               .authority = head.authority,
                               .scheme = stream_.info().scheme,
                               .headers = &head.headers};
    double base = runtimeNumber(worker.runtime(), stream_.routes()->retryBaseFlag(),
                                double(RetryPolicy::kBaseIntervalMs));
    void* place = stream_.arena().allocate(sizeof(RetryState), alignof(RetryState));
    retry_ = new (place) RetryState(action.retry.get(), fields, uint64_t(std::max(base, 0.0)));
  }
  keeping_ = !headOnly_ && (retry_ != nullptr || action.internalRedirect != nullptr);
  if (head.headers.hasAny(kRetryHeaders)) {
    for (HeaderId id :
         {HeaderId::kXEnvoyRetryOn, HeaderId::kXEnvoyRetryGrpcOn, HeaderId::kXEnvoyMaxRetries,
          HeaderId::kXEnvoyRetriableStatusCodes, HeaderId::kXEnvoyRetriableHeaderNames}) {
      head.headers.remove(id);
    }
  }
  timed_ = retry_ != nullptr || timeouts_.perTryMs != 0 || timeouts_.perTryIdleMs != 0;
}

void Router::start(UpstreamRequest& request, ClusterLocal& cluster, const HostEntry& picked) {
  MR_DASSERT(!bodyLost_);
  triedHost_ = picked.host->id();
  triedPriority_ = picked.priority;
  triedCanary_ = picked.canary;
  UpstreamTarget target{&cluster, picked.host, cluster.pin(), priority_, selection_.context()};
  request.setClientWritable(!clientBlocked_);
  if (cluster.snapshot().config().connect.proxyProtocol != spec::ProxyProtocol::kNone) {
    stream_.findLocalAddress();  // the PROXY header names it
  }
  request.start(std::move(target), stream_.request(), headOnly_);
  if (request.active() && !request.connected()) pauseRequest(true);
}

void Router::onUpstreamReady(UpstreamRequest& request) {
  MR_DASSERT(!bodyLost_);
  const bool end = requestEnded_ && trailers_ == nullptr;
  if (!headOnly_ && end && body_.empty()) request.encodeData({}, true);
  body_.forEach([&](std::string_view piece, bool last) { request.encodeData(piece, last && end); });
  if (trailers_ != nullptr) request.encodeTrailers(*trailers_);
  if (!request.connected()) return;  // reset by the codec, and so told
  if (!keeping_ && !body_.empty()) {
    bodyLost_ = true;
    body_.clear();
  }
  if (requestEnded_) {
    stream_.info().upstreamTxEndNs = stream_.worker().loop.nowNs();
    if (timed_) {
      request.startTimeouts(timeouts_.perTryMs, timeouts_.perTryIdleMs);
      dueAt(request.nextDeadlineMs());
    }
  }
  pauseRequest(false);
}

void Router::onRequestData(std::string_view data, bool end) {
  if (!hold(data)) return;
  if (end) requestOver();
  if (UpstreamRequest* request = anyActive()) request->encodeData(data, end);
}

void Router::onRequestTrailers(HeaderList& trailers) {
  trailers_ = &trailers;
  requestOver();
  if (UpstreamRequest* request = anyActive()) request->encodeTrailers(trailers);
}

// The request has been received in full.
void Router::requestOver() {
  requestEnded_ = true;
  if (action_ == nullptr) return;  // waits for its host; startFirst() does the rest
  if (mirroring_) sendMirrors();
  stream_.info().upstreamTxEndNs = stream_.worker().loop.nowNs();
  stream_.startRouteTimeout(timeouts_.globalMs);
  UpstreamRequest* request = timed_ ? anyActive() : nullptr;
  if (request == nullptr || !request->connected()) return;
  request->startTimeouts(timeouts_.perTryMs, timeouts_.perTryIdleMs);
  dueAt(request->nextDeadlineMs());
}

// Some attempt has been given what came of the body so far, and is given the rest as it comes.
bool Router::taken() {
  bool connected = false;
  forEachActive([&](UpstreamRequest& request) { connected |= request.connected(); });
  return connected;
}

// Keeps what may have to be sent again, and what nobody can take yet: of that the client can send
// no more, since its delivery is paused, and a redirected request brings what was kept before.
// False: the request was answered.
bool Router::hold(std::string_view data) {
  if (keeping_) return keep(data);
  if (!taken()) {
    body_.append(data);
  } else if (!data.empty()) {
    bodyLost_ = true;
  }
  return true;
}

// False: the request was answered.
bool Router::keep(std::string_view data) {
  if (forResend_) {
    keepForResend(data);
    return true;
  }
  uint64_t limit = std::min(action_->bufferLimit, stream_.bufferLimit());
  if (body_.size() + data.size() <= limit) {
    body_.append(data);
    return true;
  }
  ++stats_[cluster_stat::kRetryOrShadowAbandoned];
  keeping_ = mirroring_ = false;
  retry_ = nullptr;
  if (retryAtMs_ != 0) {
    reply({.status = 507,
           .body = "exceeded request buffer limit while retrying upstream",
           .details = "request_payload_exceeded_retry_buffer_limit"});
    return false;
  }
  if (!taken()) {
    body_.append(data);
    return true;
  }
  bodyLost_ = true;
  body_.clear();
  return true;
}

void Router::keepForResend(std::string_view data) {
  // One that waits for a connection gives it everything; the client is paused meanwhile.
  if (body_.size() + data.size() <= kResendBytes || !taken()) {
    body_.append(data);
    return;
  }
  keeping_ = false;
  bodyLost_ = true;
  body_.clear();
}

void Router::onUpstreamWritable(UpstreamRequest&, bool writable) {
  pauseRequest(!writable);
}

void Router::pauseRequest(bool on) {
  if (pausedRequest_ == on) return;
  if (on && requestEnded_) return;
  pausedRequest_ = on;
  stream_.pauseRequest(on);
}

void Router::setClientWritable(bool writable) {
  clientBlocked_ = !writable;
  forEachActive([&](UpstreamRequest& request) { request.setClientWritable(writable); });
}

bool Router::clientMoves() {
  return stream_.clientMoves();
}

bool Router::requestMoves() {
  bool moves = false;
  forEachActive([&](UpstreamRequest& request) { moves |= request.moves(); });
  return moves;
}

// ---- Attempts -----------------------------------------------------------------------------------

UpstreamRequest* Router::anyActive() {
  if (first_.active()) return &first_;
  UpstreamRequest* found = nullptr;
  forEachActive([&](UpstreamRequest& request) { found = &request; });
  return found;
}

void Router::reset(BodyBuffer& body) {
  cancel();
  body.takeFrom(body_);
  action_ = nullptr;
  final_ = nullptr;
  retry_ = nullptr;
  trailers_ = nullptr;
  retryHosts_.reset();
  selection_.dropOverride();
  keeping_ = forResend_ = bodyLost_ = mirroring_ = timed_ = timeoutRetry_ = false;
}

void Router::cancel() {
  retryAtMs_ = 0;
  stopWaiting();
  first_.cancel();
  for (Extra* extra = extras_; extra != nullptr; extra = extra->next) extra->request.cancel();
  giveRetry();
}

}  // namespace millrace
