#include "http/http1_server.h"

#include "base/assert.h"
#include "http/http1_encoder.h"
#include "http/http1_output.h"
#include "http/trailer_fields.h"

namespace millrace {

// What one exchange needs beyond the head: made in the arena of its stream, gone with it. Trivial,
// so nothing to destroy.
struct Http1ServerCodec::Exchange {
  RequestSink* sink;
  RequestHead* head;
  ParseProgress progress;
  BodyDecoder body;
  uint64_t left = 0;  // bytes of the response's body that its Content-Length still promises
  bool headDone = false;
  bool requestComplete = false;
  bool responseStarted = false;
  bool isHead = false;  // the response to HEAD has no body, whatever it says
  bool http10 = false;
  bool close = false;       // the last exchange of the connection
  bool last = false;        // the peer said so
  bool chunkedOut = false;  // the response's body is chunked
  bool counted = false;     // it has a length: `left` counts
  bool bodiless = false;    // of the response: data is thrown away
  uint8_t pauses = 0;       // pauseRequest calls not undone yet
};

bool Http1ServerCodec::requestComplete() const {
  return exchange_ == nullptr || exchange_->requestComplete;
}
bool Http1ServerCodec::responseStarted() const {
  return exchange_ != nullptr && exchange_->responseStarted;
}
bool Http1ServerCodec::headComplete() const {
  return exchange_ != nullptr && exchange_->headDone;
}

bool Http1ServerCodec::endsAtClose() const {
  if (exchange_ == nullptr || !exchange_->responseStarted) return false;
  return !exchange_->counted && !exchange_->chunkedOut && !exchange_->bodiless;
}

size_t Http1ServerCodec::dispatch(std::span<char> span) {
  std::string_view bytes(span.data(), span.size());
  size_t used = 0;
  uint32_t requests = 0, pieces = 0;
  while (!closing_ && used < bytes.size()) {
    if (exchange_ == nullptr) {
      used += leadingEmptyLines(bytes.substr(used));
      if (used == bytes.size()) return used;
      if (bytes.substr(used) == "\r") return used;
      if (connection_->closed() || connection_->writeEnded()) closing_ = true;  // by the owner
      if (closing_) break;
      if (clientLags()) {
        hold();
        return used;
      }
      if (requests++ == kRequestsPerTurn) {
        connection_->yield();
        return used;
      }
      begin();
    }
    if (exchange_->requestComplete) {
      hold();
      return used;
    }
    bool more = false;
    std::string_view rest = bytes.substr(used);
    used += exchange_->headDone ? readBody(rest, more) : readHead(rest, more);
    if (more) return used;
    // A sink that paused has no place for more; the connection keeps the rest and offers it again.
    if (!closing_ && exchange_ != nullptr && exchange_->pauses != 0) return used;
    if (++pieces == kPiecesPerTurn && !closing_ && used < bytes.size()) {
      connection_->yield();
      return used;
    }
  }
  return closing_ ? bytes.size() : used;
}

// Whether the client takes too little of what it was sent to be served more.
bool Http1ServerCodec::clientLags() {
  if (connection_->pendingBytes() > Connection::kWriteCapPerEvent) connection_->flushNow();
  return connection_->aboveHigh();
}

void Http1ServerCodec::hold() {
  if (!holding_) connection_->pause();
  holding_ = true;
}

void Http1ServerCodec::letGo() {
  holding_ = false;
  connection_->resume();
}

void Http1ServerCodec::begin() {
  RequestHead* head = nullptr;
  RequestSink* sink = callbacks_->newStream(*this, head);
  exchange_ = head->headers.arena().array<Exchange>(1);
  *exchange_ = Exchange{sink, head, {}, {}};
}

// `more`: the head is not complete. Nothing is consumed then.
size_t Http1ServerCodec::readHead(std::string_view bytes, bool& more) {
  Exchange& e = *exchange_;
  RequestHead& head = *e.head;
  ParseResult result = parseRequestHead(bytes, options_->parse, e.progress, head);
  if (result.state == ParseState::kPartial) {
    more = true;
    return 0;
  }
  if (result.state == ParseState::kError) {
    protocolError(result.status, result.detail);
    return bytes.size();
  }
  e.headDone = true;
  e.isHead = head.method == Method::kHead;
  e.http10 = head.version < 11;
  // What follows a CONNECT that is refused may be meant for the tunnel, and what follows an upgrade
  // for the other protocol (RFC 9110 §9.3.6, §7.8): neither is read as a request.
  bool otherProtocol = head.method == Method::kConnect || asksForUpgrade(head);
  e.close = e.close || !head.keepAlive || otherProtocol;
  e.last = !head.keepAlive;
  e.body.start(head.framing, head.contentLength);
  e.requestComplete = e.body.done();
  e.sink->onRequestHeaders(head, e.requestComplete);
  return result.consumed;
}

// One step of the body. `more`: what is left cannot be used before more has come.
size_t Http1ServerCodec::readBody(std::string_view bytes, bool& more) {
  Exchange& e = *exchange_;
  HeaderList* trailers = options_->enableTrailers ? &e.head->trailers : nullptr;
  BodyDecoder::Step step = e.body.next(bytes, trailers);
  switch (step.kind) {
    case BodyDecoder::Kind::kMore:
      more = true;
      break;
    case BodyDecoder::Kind::kData:
      e.requestComplete = step.end;
      e.sink->onRequestData(step.data, step.end);
      break;
    case BodyDecoder::Kind::kEnd:
      e.requestComplete = true;
      if (!e.head->trailers.empty()) keepAllowedTrailers(e.head->trailers, e.head->connection);
      if (e.head->trailers.empty())
        e.sink->onRequestData({}, true);
      else
        e.sink->onRequestTrailers(e.head->trailers);
      break;
    case BodyDecoder::Kind::kError:
      protocolError(400, step.detail);
      break;
  }
  return step.consumed;
}

void Http1ServerCodec::protocolError(uint16_t status, const char* detail) {
  closing_ = true;
  exchange_->close = true;
  callbacks_->onProtocolError(status, detail);
}

void Http1ServerCodec::onReadEnd() {
  closing_ = true;
  if (exchange_ == nullptr) return;
  exchange_->close = true;
  if (exchange_->requestComplete) return;
  Exchange* e = exchange_;
  e->sink->onRequestReset(ResetReason::kRemoteReset);
  if (exchange_ == e) finish(ExchangeEnd::kReset);
}

void Http1ServerCodec::onConnectionClosed(ResetReason reason) {
  closing_ = true;
  Exchange* e = exchange_;
  exchange_ = nullptr;
  if (e != nullptr) e->sink->onRequestReset(reason);
}

void Http1ServerCodec::encodeInformational(const ResponseHead& head) {
  if (exchange_ == nullptr || exchange_->http10 || exchange_->responseStarted) return;
  writeHead(head, WireBody::none(), WireConnection::kNone);
}

void Http1ServerCodec::encodeHeaders(const ResponseHead& head, bool end) {
  if (exchange_ == nullptr) return;
  Exchange& e = *exchange_;
  MR_DASSERT(!e.responseStarted);
  e.responseStarted = true;
  WireBody body = frame(head, end);
  if (e.counted && end && e.left != 0) return finish(ExchangeEnd::kReset);
  // Nobody may wait for the rest of a request whose answer is there, so the connection ends with
  // it, and the answer is the last place to say so (RFC 9110 §10.1.1; Envoy does the same).
  if (!e.requestComplete) e.close = true;
  WireConnection connection = e.close    ? WireConnection::kClose
                              : e.http10 ? WireConnection::kKeepAlive
                                         : WireConnection::kNone;
  writeHead(head, body, connection);
  if (end) responseDone();
}

// How the body of the response is framed: by what is known of it, never by what its list says.
WireBody Http1ServerCodec::frame(const ResponseHead& head, bool end) {
  Exchange& e = *exchange_;
  e.bodiless = e.isHead || head.status == 204 || head.status == 304;
  if (head.status == 204) return WireBody::none();  // RFC 9110 §8.6
  if (e.bodiless) {
    return head.lengthKnown ? WireBody::ofLength(head.contentLength) : WireBody::none();
  }
  e.counted = end || head.framing == BodyFraming::kLength;
  if (e.counted) {
    e.left = head.framing == BodyFraming::kLength ? head.contentLength : 0;
    return WireBody::ofLength(e.left);
  }
  e.chunkedOut = !e.http10;
  if (e.chunkedOut) return WireBody::chunked();
  e.close = true;  // the end of the connection is the end of the body
  return WireBody::none();
}

void Http1ServerCodec::writeHead(const ResponseHead& head, WireBody body,
                                 WireConnection connection) {
  size_t bound = responseHeadBound(head);
  char* out = connection_->reserve(bound);
  char* end = writeResponseHead(out, head, body, connection, options_->enableTrailers);
  connection_->trimReserved(bound - size_t(end - out));
}

void Http1ServerCodec::encodeData(std::string_view data, bool end) {
  if (exchange_ == nullptr) return;
  Exchange& e = *exchange_;
  MR_DASSERT(e.responseStarted);
  if (e.chunkedOut) {
    writeChunk(*connection_, data, end);
  } else if (!e.bodiless) {
    // Neither a byte too many nor one too few may be taken for (or from) the next response.
    bool wrong = data.size() > e.left || (end && data.size() != e.left);
    if (e.counted && wrong) return finish(ExchangeEnd::kReset);
    if (e.counted) e.left -= data.size();
    if (!data.empty()) connection_->write(data);
  }
  if (end) responseDone();
}

void Http1ServerCodec::encodeTrailers(const HeaderList& trailers) {
  if (exchange_ == nullptr) return;
  if (!exchange_->chunkedOut || !options_->enableTrailers) return encodeData({}, true);
  writeTrailers(*connection_, trailers);
  responseDone();
}

void Http1ServerCodec::resetStream(ResetReason reason) {
  (void)reason;  // there is no way to say it
  if (exchange_ != nullptr) finish(ExchangeEnd::kReset);
}

void Http1ServerCodec::closeAfter() {
  if (exchange_ != nullptr) exchange_->close = true;
}

void Http1ServerCodec::pauseRequest() {
  if (exchange_ == nullptr) return;
  exchange_->pauses++;
  connection_->pause();
}

void Http1ServerCodec::resumeRequest() {
  if (exchange_ == nullptr || exchange_->pauses == 0) return;
  exchange_->pauses--;
  connection_->resume();
}

void Http1ServerCodec::responseDone() {
  // What is left of a request that was answered early cannot be told from the next one without
  // reading it all.
  bool reusable = exchange_->requestComplete && !exchange_->close;
  peerIsDone_ = exchange_->requestComplete && exchange_->last;
  finish(reusable ? ExchangeEnd::kReusable : ExchangeEnd::kClose);
}

void Http1ServerCodec::finish(ExchangeEnd how) {
  if (how != ExchangeEnd::kReusable) closing_ = true;
  if (how == ExchangeEnd::kReset && endsAtClose()) how = ExchangeEnd::kCut;
  unsigned pauses = exchange_->pauses + (holding_ ? 1u : 0u);
  exchange_ = nullptr;
  holding_ = false;
  for (; pauses != 0; pauses--) connection_->resume();
  callbacks_->onExchangeEnd(how);
}

}  // namespace millrace
