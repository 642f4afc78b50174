// The client side of an HTTP/1 connection to an upstream: one request out, its response in, and
// whether the connection may be used again.
//
//   idle ──start()──▶ waiting ──1xx──▶ waiting ──head──▶ body ──end──▶ idle (reusable) or spent
//   any ──error, reset, end of the connection──▶ spent: no further exchange may be started
//
// The state of the exchange is inline: an upstream connection is seldom idle.
//
// Thread rule: the loop of the connection.
#pragma once

#include <cstdint>
#include <span>

#include "http/body_decoder.h"
#include "http/codec.h"
#include "http/http1_parser.h"
#include "net/connection.h"

namespace millrace {

struct Http1ClientOptions {
  ParseLimits limits{ParseLimits::kResponseHeadBytes, ParseLimits::kHeaders};
  bool enableTrailers = false;
  bool operator==(const Http1ClientOptions&) const = default;
};

class Http1ClientCodec final : public RequestEncoder {
 public:
  // 1xx heads accepted before the final one; a server that sends more never means to answer.
  static constexpr uint8_t kInformationalHeads = 16;
  // Pieces of a body (chunks, above all) passed on for one connection in a turn.
  static constexpr uint32_t kPiecesPerTurn = 1024;

  // `connection` outlives the codec; `options` are copied: the codec outlives the cluster's
  // snapshot.
  Http1ClientCodec(Connection& connection, const Http1ClientOptions& options)
      : connection_(&connection), options_(options) {}
  Http1ClientCodec(const Http1ClientCodec&) = delete;
  Http1ClientCodec& operator=(const Http1ClientCodec&) = delete;

  // Begins an exchange; only when idle and reusable. `sink` and `head` (clear; its arena is the
  // stream's) live until the exchange is over: the last event of the response, a reset, or
  // resetStream(); and until the current dispatch() has returned.
  RequestEncoder& start(ResponseSink& sink, ResponseHead& head);

  // Bytes of the connection; returns how many were consumed. Bytes that no request asked for make
  // the connection spent. When the exchange ends in here, `sink` has had its last event and
  // reusable() says what to do with the connection.
  size_t dispatch(std::span<char> bytes);
  // The peer will send no more: ends a body that lasts until the close, resets any other exchange
  // (kRemoteReset).
  void onReadEnd();
  // The connection is gone: an exchange under way is reset with `reason` (until-close bodies
  // included).
  void onConnectionClosed(ResetReason reason);
  // What came is not the answer to the request that is under way. The connection is spent, and to
  // be closed.
  void refuseUnasked();
  // Forward Connection::onHighWatermark / onLowWatermark here: tells the sink.
  void onWritable(bool writable);
  // Forward Connection::moves here.
  bool responseMoves() { return sink_ != nullptr && sink_->clientMoves(); }

  bool idle() const { return sink_ == nullptr; }
  // The body that is coming in lasts until the peer's end.
  bool endsAtClose() const { return sink_ != nullptr && headDone_ && body_.endsAtClose(); }
  // After an exchange: another one may be started on this connection. (Connection: close, HTTP/1.0,
  // a body until the close, bytes behind the response, a response before the request was complete,
  // errors: no.)
  bool reusable() const { return !spent_; }
  // Any byte of a response has come since start(): a request may then no longer be sent again
  // elsewhere in silence.
  bool responseSeen() const { return responseSeen_; }
  bool requestComplete() const { return requestComplete_; }
  // The peer said that the connection ends with this response.
  bool closeNotified() const { return closeNotified_; }
  // Why the response was refused (static, as ParseResult::detail), or null.
  const char* detail() const { return detail_; }

  // RequestEncoder. A body that is not what its head said: the connection is closed and the sink
  // gets onResponseReset(kBodyMismatch), from inside the call.
  void encodeHeaders(const RequestHead& head, bool end) override;
  void encodeData(std::string_view data, bool end) override;
  void encodeTrailers(const HeaderList& trailers) override;
  void resetStream(ResetReason reason) override;
  void pauseResponse() override;
  void resumeResponse() override;

 private:
  size_t readHead(std::string_view bytes, bool& more, bool& over);
  size_t readBody(std::string_view bytes, bool& more, bool& over);
  void fail(ResetReason reason, const char* detail);
  ResponseSink* finish(bool behind);
  void bodyMismatch();

  Connection* connection_;
  const Http1ClientOptions options_;
  ResponseSink* sink_ = nullptr;
  ResponseHead* head_ = nullptr;
  const char* detail_ = nullptr;
  BodyDecoder body_;
  uint64_t bodyLeft_ = 0;  // bytes of the request's body that its Content-Length still promises
  ParseProgress progress_;
  Method method_ = Method::kOther;
  uint8_t informational_ = 0;
  bool headDone_ = false;
  bool requestComplete_ = false;
  bool responseSeen_ = false;
  bool chunkedOut_ = false;  // the request's body is chunked; else bodyLeft_ counts
  bool spent_ = false;
  bool closeNotified_ = false;
  uint8_t paused_ = 0;  // pauseResponse calls not undone yet
};

}  // namespace millrace
