#include "http/http1_client.h"

#include "base/assert.h"
#include "http/http1_encoder.h"
#include "http/http1_output.h"
#include "http/trailer_fields.h"

namespace millrace {

RequestEncoder& Http1ClientCodec::start(ResponseSink& sink, ResponseHead& head) {
  MR_DASSERT(idle() && reusable());
  sink_ = &sink;
  head_ = &head;
  detail_ = nullptr;
  progress_ = {};
  method_ = Method::kOther;
  informational_ = 0;
  bodyLeft_ = 0;
  headDone_ = requestComplete_ = responseSeen_ = chunkedOut_ = false;
  return *this;
}

size_t Http1ClientCodec::dispatch(std::span<char> span) {
  std::string_view bytes(span.data(), span.size());
  size_t used = 0;
  uint32_t pieces = 0;
  if (sink_ != nullptr && !bytes.empty()) responseSeen_ = true;
  // Each step that ends the exchange has looked at what lies behind it, and marked the connection.
  while (sink_ != nullptr && used < bytes.size()) {
    bool more = false, over = false;
    std::string_view rest = bytes.substr(used);
    used += headDone_ ? readBody(rest, more, over) : readHead(rest, more, over);
    if (more) return used;
    if (over) return bytes.size();
    // A sink that paused has no place for more; the connection keeps the rest and offers it again.
    if (sink_ != nullptr && paused_ != 0) return used;
    if (++pieces == kPiecesPerTurn && sink_ != nullptr && used < bytes.size()) {
      connection_->yield();
      return used;
    }
  }
  if (used < bytes.size()) {
    spent_ = true;
    detail_ = details::kUnexpectedResponse;
  }
  return bytes.size();
}

// `more`: the head is not complete; nothing is consumed. `over`: the exchange has ended.
size_t Http1ClientCodec::readHead(std::string_view bytes, bool& more, bool& over) {
  ResponseHead& head = *head_;
  ParseResult result = parseResponseHead(bytes, options_.limits, method_, progress_, head);
  if (result.state == ParseState::kPartial) {
    more = true;
    return 0;
  }
  over = true;
  if (result.state == ParseState::kError) {
    fail(ResetReason::kProtocolError, result.detail);
    return bytes.size();
  }
  if (head.status < 200) {
    bool switching = head.status == 101;
    if (switching || ++informational_ > kInformationalHeads) {
      fail(ResetReason::kProtocolError,
           switching ? details::kSwitchingProtocols : details::kTooManyInformational);
      return bytes.size();
    }
    over = false;
    progress_ = {};
    ResponseSink* sink = sink_;
    sink->onInformational(head);
    if (sink_ == sink) head.clear();
    return result.consumed;
  }
  if (method_ == Method::kConnect && head.status < 300) {  // what follows would be a tunnel
    fail(ResetReason::kProtocolError, details::kUnexpectedTunnel);
    return bytes.size();
  }
  headDone_ = true;
  if (!head.keepAlive) spent_ = closeNotified_ = true;
  body_.start(head.framing, head.contentLength);
  over = body_.done();
  if (over) {
    finish(result.consumed < bytes.size())->onResponseHeaders(head, true);
  } else {
    sink_->onResponseHeaders(head, false);
  }
  return result.consumed;
}

size_t Http1ClientCodec::readBody(std::string_view bytes, bool& more, bool& over) {
  HeaderList& trailers = head_->trailers;
  BodyDecoder::Step step = body_.next(bytes, options_.enableTrailers ? &trailers : nullptr);
  bool behind = step.consumed < bytes.size();
  switch (step.kind) {
    case BodyDecoder::Kind::kMore:
      more = true;
      break;
    case BodyDecoder::Kind::kData:
      over = step.end;
      (over ? finish(behind) : sink_)->onResponseData(step.data, step.end);
      break;
    case BodyDecoder::Kind::kEnd: {
      over = true;
      if (!trailers.empty()) keepAllowedTrailers(trailers, head_->connection);
      ResponseSink* sink = finish(behind);
      if (trailers.empty())
        sink->onResponseData({}, true);
      else
        sink->onResponseTrailers(trailers);
      break;
    }
    case BodyDecoder::Kind::kError:
      over = true;
      fail(ResetReason::kProtocolError, step.detail);
      break;
  }
  return step.consumed;
}

void Http1ClientCodec::onReadEnd() {
  bool bodyEnds = sink_ != nullptr && headDone_ && body_.endsAtClose();
  spent_ = true;
  if (sink_ == nullptr) return;
  if (bodyEnds)
    finish(false)->onResponseData({}, true);
  else
    fail(ResetReason::kRemoteReset, nullptr);
}

void Http1ClientCodec::refuseUnasked() {
  spent_ = true;
  detail_ = details::kUnexpectedResponse;
}

void Http1ClientCodec::onConnectionClosed(ResetReason reason) {
  spent_ = true;
  paused_ = 0;  // nothing is left to resume
  if (sink_ != nullptr) fail(reason, nullptr);
}

void Http1ClientCodec::onWritable(bool writable) {
  if (sink_ != nullptr && !requestComplete_) sink_->onRequestWritable(writable);
}

void Http1ClientCodec::fail(ResetReason reason, const char* detail) {
  spent_ = true;
  detail_ = detail;
  finish(false)->onResponseReset(reason);
}

// Ends the exchange, so that the sink may already look at reusable(), or start another one, in its
// last event. `behind`: bytes that no request asked for follow the response.
ResponseSink* Http1ClientCodec::finish(bool behind) {
  if (behind) {
    spent_ = true;
    detail_ = details::kUnexpectedResponse;
  }
  if (!requestComplete_) spent_ = true;
  ResponseSink* sink = sink_;
  sink_ = nullptr;
  head_ = nullptr;
  for (; paused_ != 0; paused_--) connection_->resume();
  return sink;
}

void Http1ClientCodec::encodeHeaders(const RequestHead& head, bool end) {
  if (sink_ == nullptr) return;
  method_ = head.method;
  bodyLeft_ = head.framing == BodyFraming::kLength ? head.contentLength : 0;
  if (end && bodyLeft_ != 0) return bodyMismatch();
  WireBody body;
  if (end) {
    // RFC 9110 §8.6: methods that expect content say when there is none.
    bool expected =
        method_ == Method::kPost || method_ == Method::kPut || method_ == Method::kPatch;
    bool said = head.framing == BodyFraming::kLength;
    body = said || expected ? WireBody::ofLength(0) : WireBody::none();
  } else {
    chunkedOut_ = head.framing != BodyFraming::kLength;
    body = chunkedOut_ ? WireBody::chunked() : WireBody::ofLength(bodyLeft_);
  }
  size_t bound = requestHeadBound(head);
  char* out = connection_->reserve(bound);
  char* written = writeRequestHead(out, head, body, options_.enableTrailers);
  connection_->trimReserved(bound - size_t(written - out));
  requestComplete_ = end;
}

void Http1ClientCodec::encodeData(std::string_view data, bool end) {
  if (sink_ == nullptr) return;
  if (requestComplete_) {
    if (!data.empty()) bodyMismatch();
    return;
  }
  if (chunkedOut_) {
    writeChunk(*connection_, data, end);
  } else {
    if (data.size() > bodyLeft_ || (end && data.size() != bodyLeft_)) return bodyMismatch();
    bodyLeft_ -= data.size();
    if (!data.empty()) connection_->write(data);
  }
  requestComplete_ = end;
}

void Http1ClientCodec::encodeTrailers(const HeaderList& trailers) {
  if (sink_ == nullptr) return;
  if (!chunkedOut_ || requestComplete_ || !options_.enableTrailers) return encodeData({}, true);
  writeTrailers(*connection_, trailers);
  requestComplete_ = true;
}

// The server would take what follows for the rest of this request, or the rest of this one for what
// follows: nothing may follow.
void Http1ClientCodec::bodyMismatch() {
  spent_ = true;
  detail_ = details::kBodyMismatch;
  requestComplete_ = false;
  ResponseSink* sink = finish(false);
  connection_->close();
  sink->onResponseReset(ResetReason::kBodyMismatch);
}

void Http1ClientCodec::resetStream(ResetReason reason) {
  (void)reason;  // there is no way to say it
  if (sink_ == nullptr) return;
  spent_ = true;
  finish(false);
}

void Http1ClientCodec::pauseResponse() {
  if (sink_ == nullptr) return;
  paused_++;
  connection_->pause();
}

void Http1ClientCodec::resumeResponse() {
  if (sink_ == nullptr || paused_ == 0) return;
  paused_--;
  connection_->resume();
}

}  // namespace millrace
