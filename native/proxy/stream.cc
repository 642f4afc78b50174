// Stream: the request, deadlines, and the end. The response is in stream_response.cc.
#include "proxy/stream.h"

#include <algorithm>
#include <charconv>

#include "proxy/authority.h"
#include "proxy/http_connection.h"
#include "proxy/http_stats.h"
#include "proxy/redirect.h"

namespace millrace {

using namespace http_stat;

Stream::Stream(HttpConnection& connection, ResponseEncoder& encoder)
    : connection_(connection),
      encoder_(encoder),
      listener_(connection.listener().again()),
      manager_(&connection.manager()),
      stats_(connection.stats()),
      arena_(connection.worker().net.chunks()),
      request_(arena_),
      router_(*this, connection.worker(), arena_, info_),
      replay_(arena_),
      random_(connection.worker().random.next()) {
  Loop& loop = connection_.worker().loop;
  info_.startNs = loop.nowNs();
  info_.startWallUs = wallUs();
  info_.connectionStartNs = connection_.startNs();
  info_.connectionId = connection_.connection().id();
  info_.logType = AccessLogType::kDownstreamEnd;
  info_.protocol = Protocol::kHttp11;
  directRemote_ = connection_.connection().peer();
  info_.downstreamDirectRemote = info_.downstreamRemote = &directRemote_;
  lastActivityMs_ = loop.nowMs();
  readLimits();
}

void Stream::takeManager() {
  --stats_[kRqActive];
  listener_ = connection_.listener().again();
  manager_ = &connection_.manager();
  stats_ = connection_.stats();
  ++stats_[kRqActive];
  readLimits();
  if (uint64_t due = nextDeadlineMs(); due != 0) connection_.dueAt(due);
}

// All but the time for the headers runs from the first byte, whenever it became known.
void Stream::readLimits() {
  const spec::HttpManager& spec = manager().spec();
  uint64_t start = info_.startNs / kNsPerMs;
  auto deadline = [start](uint64_t ms) { return ms == 0 ? 0 : start + ms; };
  info_.filterChainName = connection_.chainName();
  idleTimeoutMs_ = spec.streamIdleTimeout;
  headersDeadlineMs_ = headSeen_ ? 0 : deadline(spec.requestHeadersTimeout);
  requestDeadlineMs_ = deadline(spec.requestTimeout);
  durationDeadlineMs_ = deadline(spec.maxStreamDuration);
}

WorkerContext& Stream::worker() {
  return connection_.worker();
}

// ---- The request --------------------------------------------------------------------------------

void Stream::onRequestHeaders(RequestHead& head, bool end) {
  // Whoever waits, logs, or sends it again needs the head after this event; one copy serves them
  // all.
  head.own();
  headSeen_ = true;
  headersDeadlineMs_ = 0;
  touch();
  connection_.takeLatest();
  if (manager_ != &connection_.manager()) takeManager();
  info_.protocol = head.version == 10 ? Protocol::kHttp10 : Protocol::kHttp11;
  info_.downstream.headerReceived = head.raw.size();
  info_.downstream.wireReceived = head.raw.size();
  info_.method = head.methodText;
  info_.path = head.path;
  info_.authority = head.authority;
  if (end) requestDone_ = true;
  if (connection_.retired()) {
    reply({.status = 503, .details = "listener_removed"});
    return;
  }
  if (!acceptHead()) return;
  chooseRoute();
  if (end) requestEnded();
  createFilters();
  runRequestHeaders(0, end);
}

// What a connection manager does before anybody looks at the request. False: it was answered.
bool Stream::acceptHead() {
  const spec::HttpManager& spec = manager().spec();
  // First of all, so that not even the log of a refusal believes what a stranger claims.
  if (!applyForwardingRules()) return false;
  if (__builtin_expect(worker().full(spec.mostHeldFlag), 0)) {
    ++stats_[kRqOverload];
    info_.setFlag(ResponseFlag::kOverloadManager);
    encoder_.closeAfter();
    reply({.status = 503, .body = "too much is buffered", .details = "overload"});
    return false;
  }
  if (request_.authority.empty() && request_.version == 10) {
    if (spec.defaultHostForHttp10.empty()) {
      reply({.status = 400, .details = "missing_host_header"});
      return false;
    }
    info_.authority = request_.authority = spec.defaultHostForHttp10;
  }
  // What may follow either is not for us to read: the codec closes behind the answer.
  if (request_.method == Method::kConnect) {
    reply({.status = 403, .details = "connect_not_enabled"});
    return false;
  }
  if (asksForUpgrade(request_)) {
    ++stats_[kRqUpgradeRefused];
    reply({.status = 403, .details = "upgrade_failed"});
    return false;
  }
  if (!countForward()) return false;
  if (request_.expectContinue && !spec.proxy100Continue) {
    ResponseHead head(arena_);
    head.status = 100;
    encoder_.encodeInformational(head);
    request_.headers.remove(HeaderId::kExpect);
  }
  if (!checkUnderscores(request_.headers)) return false;
  sanitizeHost();
  return sanitizePath();
}

// Max-Forwards of OPTIONS and TRACE: how many more may pass them on (RFC 9110 §7.6.2). False: it
// was answered, as nobody may or as the number is none.
bool Stream::countForward() {
  static constexpr std::string_view kField = "max-forwards";
  const bool trace = request_.method == Method::kTrace;
  if (!trace && request_.method != Method::kOptions) return true;
  bool found = false;
  const std::string_view text = request_.headers.joined(kField, found);
  if (!found) return true;
  uint64_t left = 0;
  const char* end = text.data() + text.size();
  auto [at, error] = std::from_chars(text.data(), end, left, 10);
  if (at != end || error == std::errc::invalid_argument) {
    reply({.status = 400, .details = "invalid_max_forwards"});
    return false;
  }
  if (error == std::errc::result_out_of_range) left = UINT64_MAX;
  if (left == 0) {
    // Of this proxy there is nothing to be told, and what it was sent it does not show.
    reply({.status = uint16_t(trace ? 501 : 200), .details = "max_forwards_reached"});
    return false;
  }
  request_.headers.set(kField, number(left - 1));
  return true;
}

// Who the client is, and what it may claim. False: the request was answered.
bool Stream::applyForwardingRules() {
  ForwardedInput input{directRemote_, connection_.localPort()};
  ForwardedResult result =
      applyForwarding(manager().forwarding(), input, request_, worker().random);
  remote_ = result.remote;
  internal_ = info_.internal = result.internal;
  https_ = result.https;
  info_.scheme = result.scheme;
  info_.downstreamRemote = &remote_;
  info_.requestHeaders = &request_.headers;
  if (manager().accessLogs().usesLocalAddress()) findLocalAddress();
  if (!result.refused) return true;
  reply({.status = 400, .details = "http1.invalid_scheme"});
  return false;
}

void Stream::findLocalAddress() {
  if (info_.downstreamLocal != nullptr) return;
  local_ = connection_.local();
  info_.downstreamLocal = &local_;
}

const Address* Stream::meantAddress() {
  return connection_.meant();
}

// headers_with_underscores_action, of the head or of the trailers. False: the request was answered.
bool Stream::checkUnderscores(HeaderList& fields) {
  using Underscores = spec::HttpManager::Underscores;
  const Underscores action = manager().spec().underscores;
  if (action == Underscores::kAllow) return true;
  auto underscored = [](const Header& h) {
    return h.id == HeaderId::kOther && h.name.find('_') != std::string_view::npos;
  };
  if (action == Underscores::kDrop) {
    stats_[kDroppedUnderscores].add(fields.removeIf(underscored));
    return true;
  }
  if (std::none_of(fields.begin(), fields.end(), underscored)) return true;
  ++stats_[kRqRejectedUnderscores];
  // The request is no longer to be forwarded in full; nor is what follows it to be believed.
  encoder_.closeAfter();
  reply({.status = 400, .details = "http1.unexpected_underscore"});
  return false;
}

void Stream::sanitizeHost() {
  using StripPort = spec::HttpManager::StripPort;
  const spec::HttpManager& spec = manager().spec();
  std::string_view& authority = request_.authority;
  if (spec.stripPort != StripPort::kNone) {
    size_t colon = portStart(authority);
    bool strip = colon != std::string_view::npos &&
                 (spec.stripPort == StripPort::kAny ||
                  authority.substr(colon + 1) == number(connection_.localPort()));
    if (strip) authority = authority.substr(0, colon);
  }
  if (spec.stripTrailingDot) {
    std::string_view host = withoutPort(authority), port = authority.substr(host.size());
    if (host.size() > 1 && host.back() == '.') {
      host.remove_suffix(1);
      authority = joined(host, "", port);
    }
  }
  info_.authority = authority;
}

bool Stream::sanitizePath() {
  switch (normalizePath(manager().pathRules(), request_.path, arena_)) {
    case PathVerdict::kAsIs:
      return true;
    case PathVerdict::kChanged:
      info_.path = request_.path;
      return true;
    case PathVerdict::kRedirect:
      ++stats_[kRqRedirectedPath];
      reply({.status = 307,
             .details = "path_normalization_redirect",
             .location = pathReference(request_.path, arena_)});
      return false;
    case PathVerdict::kReject:
      ++stats_[kRqRejectedPath];
      reply({.status = 400, .details = "path_normalization_failed"});
      return false;
  }
  return true;
}

void Stream::chooseRoute() {
  routes_ = worker().slots.pin(manager().spec().routes);
  const RouteTable* table = routes();
  if (table == nullptr) return;
  if (!internal_) removeInternalOnly(table->internalOnlyHeaders(), request_.headers);
  route_ = table->match(routeRequest());
  takeRoute();
}

RouteRequest Stream::routeRequest() {
  RouteRequest request;
  request.method = request_.methodText;
  request.path = request_.path;
  request.authority = request_.authority;
  request.scheme = info_.scheme;
  request.headers = &request_.headers;
  request.random = random_;
  request.runtime = worker().runtime();
  request.https = https_;
  request.internal = internal_;
  return request;
}

// What the chosen route says to the whole stream.
void Stream::takeRoute() {
  cluster_ = {};
  if (route_.virtualHost != nullptr) info_.virtualHostName = route_.virtualHost->name;
  if (route_.route == nullptr) return;
  info_.routeName = route_.route->name;
  const ForwardAction* forward = route_.route->forward();
  if (forward == nullptr) return;
  cluster_ = forward->cluster.pick(&request_.headers, random_);
  if (forward->idleTimeout >= 0) idleTimeoutMs_ = uint64_t(forward->idleTimeout);
  int64_t duration = streamDurationMs(*forward, request_.headers);
  if (duration < 0) return;
  durationDeadlineMs_ = duration == 0 ? 0 : info_.startNs / kNsPerMs + uint64_t(duration);
  if (durationDeadlineMs_ != 0) connection_.dueAt(durationDeadlineMs_);
}

namespace {

// Null: the filter is disabled for this request. `said`: by the route; null: there is none.
HttpFilter* createFilter(const HttpManager::Filter& filter, const spec::FilterOverrides* said,
                         FilterCallbacks& stream) {
  bool disabled = filter.disabled;
  const FilterRouteConfig* config = nullptr;
  if (said != nullptr && !said->empty()) {
    for (const spec::FilterOverride& s : *said) {
      if (s.filter != filter.id) continue;
      disabled = s.disabled;
      config = stream.routes()->filterConfig(s);
    }
  }
  if (disabled) return nullptr;
  // The listener and its route table may be of two configurations, of which one could not be used.
  if (config != nullptr && config->type() != filter.factory->type()) config = nullptr;
  return filter.factory->create(stream, config);
}

}  // namespace

void Stream::createFilters() {
  const auto& filters = manager().filters();
  if (filters.empty()) return;
  filters_ = arena_.array<HttpFilter*>(filters.size());
  const spec::FilterOverrides* said =
      route_.route == nullptr ? nullptr : &route_.route->filtersFor(cluster_);
  for (const HttpManager::Filter& filter : filters) {
    if (HttpFilter* made = createFilter(filter, said, *this)) filters_[filterCount_++] = made;
  }
}

void Stream::runRequestHeaders(uint32_t from, bool end) {
  for (uint32_t i = from; i < filterCount_; i++) {
    FilterStatus status = filters_[i]->onRequestHeaders(request_, end);
    if (finished_ || responseStarted_) return;
    if (status == FilterStatus::kStop) {
      stoppedAt_ = i;
      if (!requestDone_) encoder_.pauseRequest();
      return;
    }
  }
  router_.onRequestHeaders(end);
}

void Stream::continueRequest() {
  if (stoppedAt_ == kNoFilter || finished_) return;
  uint32_t next = stoppedAt_ + 1;
  stoppedAt_ = kNoFilter;
  bool end = requestDone_;
  runRequestHeaders(next, end && replay_.empty());
  if (finished_ || stoppedAt_ != kNoFilter) return;
  if (!end) encoder_.resumeRequest();
  if (!replay_.empty()) replayBody();
}

void Stream::onRequestData(std::string_view data, bool end) {
  touch();
  info_.bytesReceived += data.size();
  info_.downstream.wireReceived += data.size();
  if (end) requestEnded();
  deliverData(data, end);
}

void Stream::deliverData(std::string_view data, bool end) {
  for (uint32_t i = 0; i < filterCount_; i++) {
    if (filters_[i]->onRequestData(data, end) == FilterStatus::kStop || finished_) return;
  }
  router_.onRequestData(data, end);
}

void Stream::onRequestTrailers(HeaderList& trailers) {
  touch();
  requestEnded();
  if (!checkUnderscores(trailers)) return;
  if (trailers.empty()) return deliverData({}, true);
  info_.requestTrailers = &trailers;
  for (uint32_t i = 0; i < filterCount_; i++) {
    filters_[i]->onRequestTrailers(trailers);
    if (finished_) return;
  }
  router_.onRequestTrailers(trailers);
}

void Stream::requestEnded() {
  requestDone_ = true;
  requestDeadlineMs_ = 0;
  info_.downstreamRxEndNs = worker().loop.nowNs();
}

// The client is gone, or its request could not be completed.
void Stream::onRequestReset(ResetReason reason) {
  if (finished_) return;
  if (reason != ResetReason::kLocalReset) {
    ++stats_[kRqRxReset];
    info_.setFlag(ResponseFlag::kDownstreamConnectionTermination);
    if (info_.responseCodeDetails.empty() || responseStarted_) {
      info_.responseCodeDetails = "downstream_remote_disconnect";
    }
  } else {
    ++stats_[kRqTxReset];
    info_.setFlag(ResponseFlag::kLocalReset);
  }
  router_.cancel();
}

void Stream::refuse(uint16_t status, const char* details) {
  info_.setFlag(ResponseFlag::kDownstreamProtocolError);
  info_.method = request_.methodText;
  info_.path = request_.path;
  reply({.status = status, .body = reasonPhrase(status), .details = details});
}

// ---- Deadlines and the end ----------------------------------------------------------------------

void Stream::touch() {
  lastActivityMs_ = worker().loop.nowMs();
}

void Stream::startRouteTimeout(uint64_t ms) {
  if (ms == 0) return;
  routeDeadlineMs_ = worker().loop.nowMs() + ms;
  connection_.dueAt(routeDeadlineMs_);
}

void Stream::dueAt(uint64_t deadlineMs) {
  connection_.dueAt(deadlineMs);
}

uint64_t Stream::nextDeadlineMs() {
  uint64_t next = idleTimeoutMs_ == 0 ? 0 : lastActivityMs_ + idleTimeoutMs_;
  for (uint64_t due : {headersDeadlineMs_, requestDeadlineMs_, durationDeadlineMs_,
                       routeDeadlineMs_, router_.nextDeadlineMs()}) {
    if (due != 0 && (next == 0 || due < next)) next = due;
  }
  return next;
}

void Stream::onDeadline(uint64_t nowMs) {
  auto passed = [nowMs](uint64_t& deadline) {
    if (deadline == 0 || deadline > nowMs) return false;
    deadline = 0;
    return true;
  };
  StatBlock stats = stats_;
  // RFC 9110 §15.5.9 and §15.6.5: it is the client that was slow, or it is somebody behind us.
  uint16_t status = requestDone_ ? 504 : 408;
  if (passed(headersDeadlineMs_)) {
    ++stats[kRqHeaderTimeout];
    reply({.status = 408, .body = "", .details = "request_header_timeout"});
  } else if (passed(requestDeadlineMs_)) {
    ++stats[kRqTimeout];
    reply({.status = 408, .body = "request timeout", .details = "request_overall_timeout"});
  } else if (passed(durationDeadlineMs_)) {
    ++stats[kRqMaxDurationReached];
    info_.setFlag(ResponseFlag::kDurationTimeout);
    reply({.status = status,
           .body = "downstream duration timeout",
           .details = "max_duration_timeout"});
  } else if (idleTimeoutMs_ != 0 && lastActivityMs_ + idleTimeoutMs_ <= nowMs) {
    if (stillMoves()) return touch();
    ++stats[kRqIdleTimeout];
    info_.setFlag(ResponseFlag::kStreamIdleTimeout);
    reply({.status = status, .body = "stream timeout", .details = "stream_idle_timeout"});
  } else if (passed(routeDeadlineMs_)) {
    router_.timedOut();
  } else {
    router_.onDeadline(nowMs);
  }
}

// Whether either side takes what it is sent, which is no event of ours while the system has enough.
bool Stream::stillMoves() {
  const bool response = idleProgress_.moved(connection_.connection());
  return router_.requestMoves() || response;
}

bool Stream::clientMoves() {
  return upstreamAsks_.moved(connection_.connection());
}

void Stream::finish() {
  if (finished_) return;
  router_.cancel();
  finished_ = true;
  for (uint32_t i = 0; i < filterCount_; i++) filters_[i]->onStreamEnd();
  WorkerContext& w = worker();
  info_.endNs = w.loop.nowNs();
  --stats_[kRqActive];
  w.stats.histogram(manager().requestTime()).record((info_.endNs - info_.startNs) / 1000);
  if (manager().accessLogs().any()) w.logs.write(manager().accessLogs(), info_);
  w.loop.deferDelete(this);
}

void Stream::destroyDeferred() {
  worker().http.streams.give(this);
}

}  // namespace millrace
