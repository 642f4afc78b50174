#include "proxy/http_connection.h"

#include <algorithm>

#include "proxy/http_stats.h"
#include "proxy/listener_config.h"

namespace millrace {

using namespace http_stat;

namespace {

// A deadline has passed, and a request may have come: looked at once more, when it was read.
constexpr uint64_t kLookAgainMs = 5;

}  // namespace

HttpConnection* HttpConnection::accept(WorkerContext& worker, ListenerLocal& home, Pin listener,
                                       const HttpManager& manager, std::string_view chainName,
                                       int fd, const Address& peer, const Address& local,
                                       uint32_t bufferLimit) {
  Connection* connection = Connection::accepted(worker.net, fd, peer, nullptr);
  if (connection == nullptr) return nullptr;
  HttpConnection* c = worker.http.connections.take(worker, home, std::move(listener), manager,
                                                   *connection, chainName);
  c->localPort_ = local.port();
  c->bufferLimit_ = bufferLimit;
  connection->setWatermarks(bufferLimit, bufferLimit / 2);
  connection->setOwner(c);
  return c;
}

HttpConnection::HttpConnection(WorkerContext& worker, ListenerLocal& home, Pin listener,
                               const HttpManager& manager, Connection& connection,
                               std::string_view chainName)
    : connection_(connection),
      codec_(connection, *this, manager.http1()),
      worker_(worker),
      home_(home),
      listener_(std::move(listener)),
      manager_(&manager),
      stats_(worker.stats.block(manager.statBlock())),
      timer_([](void* self) { static_cast<HttpConnection*>(self)->onTimer(); }, this),
      chainName_(chainName),
      startNs_(worker.loop.nowNs()),
      idleSinceMs_(worker.loop.nowMs()) {
  home_.opened(*this);
  connection_.setBufferedGauges(&stats_[kCxRxBytesBuffered]);
  ++stats_[kCxTotal];
  ++stats_[kCxHttp1Total];
  ++stats_[kCxActive];
  ++stats_[kCxHttp1Active];
  const spec::HttpManager& spec = manager_->spec();
  if (spec.idleTimeout != 0) dueAt(idleSinceMs_ + spec.idleTimeout);
  if (spec.maxConnectionDuration != 0) dueAt(idleSinceMs_ + spec.maxConnectionDuration);
}

Address HttpConnection::local() const {
  bool restored = listener_.get<ListenerConfig>()->spec().originalDst;
  return restored ? connection_.originalDestination() : connection_.local();
}

const Address* HttpConnection::meant() {
  if (!meantKnown_) {
    meantKnown_ = true;
    meant_ = listener_.get<ListenerConfig>()->destinationOf(connection_);
  }
  return meant_ ? &*meant_ : nullptr;
}

size_t HttpConnection::onData(Connection&, std::span<char> bytes) {
  return codec_.dispatch(bytes);
}

void HttpConnection::onReadEnd(Connection&) {
  const bool waits = stream_ != nullptr && codec_.requestComplete();
  if (waits && !mayHalfClose()) return clientGone(CloseReason::kRemoteEnd);
  codec_.onReadEnd();
  if (stream_ == nullptr && !closing_) close(true);
}

// Its request waits, and so do others behind it, perhaps, which is why nothing is read.
void HttpConnection::onPeerLeft(Connection& c) {
  if (stream_ == nullptr || closing_) return;
  const bool reset = (c.ready() & kError) != 0;
  if (!reset && mayHalfClose()) return;
  clientGone(reset ? CloseReason::kRemoteReset : CloseReason::kRemoteEnd);
}

void HttpConnection::clientGone(CloseReason how) {
  gone_ = how;
  closeNow();
}

bool HttpConnection::mayHalfClose() const {
  return runtimeNumber(worker_.runtime(), manager_->spec().halfCloseFlag, 0) != 0;
}

void HttpConnection::onClosed(Connection&, CloseReason reason, int) {
  if (gone_ != CloseReason::kLocal) reason = gone_;
  closing_ = true;
  countBytes();
  --stats_[kCxActive];
  --stats_[kCxHttp1Active];
  ++stats_[kCxDestroy];
  ++stats_[reason == CloseReason::kLocal ? kCxDestroyLocal : kCxDestroyRemote];
  worker_.stats.histogram(manager_->connectionLength())
      .record((worker_.loop.nowNs() - startNs_) / 1000);
  if (stream_ != nullptr) {
    ++stats_[kCxDestroyActiveRq];
    codec_.onConnectionClosed(reason == CloseReason::kLocal ? ResetReason::kLocalReset
                                                            : ResetReason::kRemoteReset);
    if (stream_ != nullptr) {
      stream_->finish();
      stream_ = nullptr;
    }
  }
  worker_.upstream.clientGone(connection_.id());
  home_.closed(*this);
  worker_.loop.cancel(timer_);
  worker_.loop.deferDelete(this);
}

void HttpConnection::onHighWatermark(Connection&) {
  ++stats_[kFlowPaused];
  if (stream_ != nullptr) stream_->setClientWritable(false);
}

void HttpConnection::onLowWatermark(Connection&) {
  ++stats_[kFlowResumed];
  if (stream_ != nullptr) stream_->setClientWritable(true);
  codec_.onClientTook();
}

void HttpConnection::onDrained(Connection&) {
  codec_.onClientTook();
}

void HttpConnection::takeLatest() {
  const auto* config = worker_.slots.get<ListenerConfig>(home_.config);
  if (config == nullptr) return;
  if (config->retired()) drainNow_ = retired_ = true;
  if (config == listener_.get()) return;
  const FilterChain* chain = config->match(localPort_);
  const auto* http =
      chain == nullptr ? nullptr : std::get_if<std::unique_ptr<HttpManager>>(&chain->filter);
  if (http == nullptr) {
    drainNow_ = true;  // nothing of the new one is for this connection
    return;
  }
  moveStats((*http)->statBlock());
  manager_ = http->get();
  chainName_ = chain->name;
  listener_ = worker_.slots.pin(home_.config);
  codec_.setOptions(manager_->http1());
  uint64_t duration = manager_->spec().maxConnectionDuration;
  if (duration != 0) dueAt(startNs_ / kNsPerMs + duration);
}

void HttpConnection::moveStats(BlockId block) {
  if (block == manager_->statBlock()) return;
  StatBlock before = stats_;
  stats_ = worker_.stats.block(block);
  --before[kCxActive];
  --before[kCxHttp1Active];
  ++stats_[kCxActive];
  ++stats_[kCxHttp1Active];
  connection_.setBufferedGauges(&stats_[kCxRxBytesBuffered]);
}

RequestSink* HttpConnection::newStream(ResponseEncoder& encoder, RequestHead*& head) {
  takeLatest();
  stream_ = worker_.http.streams.take(*this, encoder);
  head = &stream_->request();
  requests_++;
  ++stats_[kRqTotal];
  ++stats_[kRqHttp1Total];
  ++stats_[kRqActive];
  bump(worker_.load.requests);
  if (connection_.aboveHigh()) stream_->setClientWritable(false);
  if (uint64_t due = stream_->nextDeadlineMs(); due != 0) dueAt(due);
  return stream_;
}

void HttpConnection::onProtocolError(uint16_t status, const char* detail) {
  ++stats_[kCxProtocolError];
  if (status == 431) ++stats_[kRqTooLarge];
  stream_->refuse(status, detail);
}

void HttpConnection::onExchangeEnd(ExchangeEnd how) {
  Stream* stream = stream_;
  stream_ = nullptr;
  stream->finish();
  countBytes();
  idleSinceMs_ = worker_.loop.nowMs();
  switch (how) {
    case ExchangeEnd::kReusable:
      // Where something drains, a client that was not told, and may be asking again already, is
      // told by the next response, or closed when it is quiet.
      if (drainNow_ && !home_.draining && !worker_.draining) {
        close(true);
      } else {
        // The response is not flushed yet: which of the two holds is known when it is due.
        const spec::HttpManager& spec = manager_->spec();
        for (uint64_t ms : {spec.idleTimeout, spec.streamFlushTimeout}) {
          if (ms != 0) dueAt(idleSinceMs_ + ms);
        }
        // Too old, and its last response had begun before that was known.
        if (announcedMs_ != 0) dueAt(idleSinceMs_ + manager_->spec().drainTimeout);
      }
      return;
    case ExchangeEnd::kClose:
      close(true);
      return;
    case ExchangeEnd::kReset:
      close(false);
      return;
    case ExchangeEnd::kCut:
      closing_ = true;
      connection_.abortAfterFlush();
      return;
  }
}

// A client that does not take its last response is given less time than one that has nothing to
// ask.
uint64_t HttpConnection::idleTimeoutMs() const {
  const spec::HttpManager& spec = manager_->spec();
  return connection_.pendingBytes() != 0 ? spec.streamFlushTimeout : spec.idleTimeout;
}

bool HttpConnection::lastExchange() {
  const spec::HttpManager& spec = manager_->spec();
  bool unwell = worker_.healthFailed && !home_.modifyOnly;
  if (home_.draining || worker_.draining || drainNow_ || unwell) {
    ++stats_[kCxDrainClose];
    return true;
  }
  if (announcedMs_ != 0) return true;
  if (spec.maxRequestsPerConnection != 0 && requests_ >= spec.maxRequestsPerConnection) {
    ++stats_[kCxMaxRequestsReached];
    return true;
  }
  return false;
}

void HttpConnection::closeIfQuiet(uint64_t quietMs) {
  if (stream_ != nullptr || closing_ || worker_.loop.nowMs() < idleSinceMs_ + quietMs) return;
  // A request that has arrived is answered; that response tells the client to go.
  if (connection_.hasUnread()) return;
  close(true);
}

void HttpConnection::closeNow() {
  if (codec_.endsAtClose()) {
    connection_.abort();
  } else {
    connection_.close();
  }
}

void HttpConnection::close(bool afterFlush) {
  closing_ = true;
  // There is nothing to wait for when the client has said its last word, and we have read it.
  bool wait = !codec_.peerIsDone() || connection_.hasUnread();
  if (afterFlush) {
    connection_.closeAfterFlush(wait ? uint32_t(manager_->spec().delayedCloseTimeout) : 0);
  } else {
    closeNow();
  }
}

void HttpConnection::dueAt(uint64_t deadlineMs) {
  if (timerAtMs_ != 0 && timerAtMs_ <= deadlineMs) return;
  timerAtMs_ = deadlineMs;
  uint64_t now = worker_.loop.nowMs();
  worker_.loop.arm(timer_, deadlineMs > now ? deadlineMs - now : 0);
}

void HttpConnection::onTimer() {
  timerAtMs_ = 0;
  if (connection_.closed() || closing_) return;
  const uint64_t now = worker_.loop.nowMs();
  uint64_t next = 0;
  auto consider = [&next](uint64_t deadline) {
    if (deadline != 0 && (next == 0 || deadline < next)) next = deadline;
  };
  consider(checkAge(now));
  if (stream_ != nullptr) {
    uint64_t due = stream_->nextDeadlineMs();
    if (due != 0 && due <= now) {
      stream_->onDeadline(now);
      if (connection_.closed() || closing_) return;
      due = stream_ == nullptr ? 0 : stream_->nextDeadlineMs();
    }
    consider(due);
  }
  if (stream_ == nullptr && !closing_) consider(checkIdle(now));
  if (next != 0 && !closing_) dueAt(next);
}

// Announces the end of a connection that is too old. Returns when to look again, or 0.
uint64_t HttpConnection::checkAge(uint64_t nowMs) {
  const uint64_t most = manager_->spec().maxConnectionDuration;
  if (most == 0 || drainNow_ || announcedMs_ != 0) return 0;
  const uint64_t due = startNs_ / kNsPerMs + most;
  if (due > nowMs) return due;
  ++stats_[kCxMaxDurationReached];
  announcedMs_ = nowMs;
  return 0;
}

// Closes a connection without a request, when its time is over. A request that has come meanwhile
// is served: closing in its face would be a reset. Returns when to look again, or 0.
uint64_t HttpConnection::checkIdle(uint64_t nowMs) {
  const uint64_t idle = idleTimeoutMs();
  const bool flushing = connection_.pendingBytes() != 0;
  if (flushing && idle != 0 && idleSinceMs_ + idle <= nowMs && progress_.moved(connection_)) {
    idleSinceMs_ = nowMs;
  }
  uint64_t due = idle == 0 ? 0 : idleSinceMs_ + idle;
  if (flushing) {
    // When all is flushed, another limit holds.
    const spec::HttpManager& spec = manager_->spec();
    const uint64_t then = announcedMs_ != 0 ? spec.drainTimeout : spec.idleTimeout;
    if (then != 0 && (due == 0 || due > nowMs + then)) due = nowMs + then;
  }
  bool old = false;
  if (announcedMs_ != 0 && !flushing) {
    const uint64_t last = std::max(announcedMs_, idleSinceMs_) + manager_->spec().drainTimeout;
    old = due == 0 || last < due;
    if (old) due = last;
  }
  if (due == 0 || due > nowMs) return due;
  if (!flushing && connection_.hasUnread()) return nowMs + kLookAgainMs;
  if (!old) ++stats_[kCxIdleTimeout];
  close(!flushing);
  return 0;
}

void HttpConnection::countBytes() {
  uint64_t read = connection_.bytesRead(), written = connection_.bytesWritten();
  stats_[kCxRxBytes].add(read - countedRead_);
  stats_[kCxTxBytes].add(written - countedWritten_);
  countedRead_ = read;
  countedWritten_ = written;
}

void HttpConnection::destroyDeferred() {
  worker_.http.connections.give(this);
}

}  // namespace millrace
