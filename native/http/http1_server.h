// The server side of an HTTP/1 connection: requests in, responses out, one exchange at a time.
//
//   idle ──first byte──▶ head ──complete──▶ body ──end──▶ request complete
//    ▲                                                           │
//    └──────────────────────── response complete ────────────────┘
//   any state ──error, reset, last exchange over──▶ closing: what still comes is thrown away
//
// Requests behind the current one stay unread until its response is out (RFC 9112 §9.3.2), and
// until the client has taken enough of those before it. Answering many of one read takes several
// turns of the loop, so that others have theirs. An idle
// connection costs this object alone; the state of an exchange lives in the arena of its stream.
//
// Thread rule: the loop of the connection.
#pragma once

#include <cstdint>
#include <span>

#include "http/body_decoder.h"
#include "http/codec.h"
#include "http/http1_encoder.h"
#include "http/http1_parser.h"
#include "net/connection.h"

namespace millrace {

struct Http1ServerOptions {
  ParseOptions parse;
  bool enableTrailers = false;  // else trailers are checked and dropped, both ways
};

// How an exchange ended, which tells what becomes of the connection.
enum class ExchangeEnd : uint8_t {
  kReusable,  // the next request may come; the codec goes on by itself
  kClose,     // the response is out, the connection is to be closed after the flush (delayed close)
  kReset,     // the response was cut, or was not the announced one: close at once
  // It was cut, and its end would have been that of the connection: an orderly one would make it
  // whole (RFC 9112 §8). The connection is to be reset.
  kCut,
};

// The owner of the codec.
class Http1ServerCallbacks {
 public:
  // The first byte of a request is here. Returns where its events go and sets `head`, clear, which
  // lives as long as the stream; the codec keeps its state of the exchange in
  // head->headers.arena(). Both must live until the exchange has ended and the current dispatch()
  // has returned. Must not end the exchange from inside the call.
  virtual RequestSink* newStream(ResponseEncoder& encoder, RequestHead*& head) = 0;
  // What came is not an acceptable request. Called once; the stream of it, if its response has not
  // started, is to be answered with `status` through its encoder (which will close), else reset.
  // Nothing more is read from the peer. `detail` is static. Without an exchange (the error is in
  // what follows a final one) it is not called.
  virtual void onProtocolError(uint16_t status, const char* detail) = 0;
  // Request and response are both over (or the stream was reset). The last call for the stream: it
  // may be given back, but not before the current dispatch() has returned (Loop::deferDelete).
  virtual void onExchangeEnd(ExchangeEnd how) = 0;

 protected:
  ~Http1ServerCallbacks() = default;
};

class Http1ServerCodec final : public ResponseEncoder {
 public:
  // Requests begun for one connection in a turn: what a client may reasonably pipeline, and less
  // than a millisecond of work.
  static constexpr uint32_t kRequestsPerTurn = 16;
  // Pieces of bodies (chunks, above all) passed on for one connection in a turn.
  static constexpr uint32_t kPiecesPerTurn = 1024;

  // All three outlive the codec. `options` is shared by all connections of a listener.
  Http1ServerCodec(Connection& connection, Http1ServerCallbacks& callbacks,
                   const Http1ServerOptions& options)
      : connection_(&connection), callbacks_(&callbacks), options_(&options) {}
  Http1ServerCodec(const Http1ServerCodec&) = delete;
  Http1ServerCodec& operator=(const Http1ServerCodec&) = delete;

  // From the next request on; before a head is complete also for this one.
  void setOptions(const Http1ServerOptions& options) { options_ = &options; }

  // Bytes of the connection, as ConnectionOwner::onData; returns how many were consumed. A request
  // behind the current one is left unread and the connection paused; both end with the exchange. A
  // request that finds the connection above its high watermark is left likewise, until
  // onClientTook().
  size_t dispatch(std::span<char> bytes);
  // Forward Connection::onLowWatermark and onDrained here.
  void onClientTook() {
    if (holding_ && exchange_ == nullptr) letGo();
  }
  // The peer will send no more. A request that is not complete is reset (kRemoteReset, then
  // onExchangeEnd(kReset)).
  void onReadEnd();
  // The connection is gone, or is about to be closed by the owner: an exchange under way is reset
  // with `reason`; onExchangeEnd is not called.
  void onConnectionClosed(ResetReason reason);

  // No exchange is under way.
  bool idle() const { return exchange_ == nullptr; }
  bool requestComplete() const;  // of the current exchange; true when idle
  bool responseStarted() const;  // a head other than 1xx was sent; false when idle
  bool headComplete() const;     // onRequestHeaders was called; false when idle
  // A response has begun that ends with the connection, and there is more of it to come: whoever
  // closes now does so with a reset.
  bool endsAtClose() const;
  bool closing() const { return closing_; }
  // The peer said that its request is its last one, and all of it has come: nothing it sends could
  // turn a close at once into a reset that destroys the response.
  bool peerIsDone() const { return peerIsDone_; }

  // ResponseEncoder
  void encodeInformational(const ResponseHead& head) override;
  void encodeHeaders(const ResponseHead& head, bool end) override;
  void encodeData(std::string_view data, bool end) override;
  void encodeTrailers(const HeaderList& trailers) override;
  void resetStream(ResetReason reason) override;
  void closeAfter() override;
  void pauseRequest() override;
  void resumeRequest() override;

 private:
  struct Exchange;
  void begin();
  void hold();
  void letGo();
  bool clientLags();
  size_t readHead(std::string_view bytes, bool& more);
  size_t readBody(std::string_view bytes, bool& more);
  void writeHead(const ResponseHead& head, WireBody body, WireConnection connection);
  void protocolError(uint16_t status, const char* detail);
  WireBody frame(const ResponseHead& head, bool end);
  void responseDone();
  void finish(ExchangeEnd how);

  Connection* connection_;
  Http1ServerCallbacks* callbacks_;
  const Http1ServerOptions* options_;
  Exchange* exchange_ = nullptr;  // in the arena of the stream
  bool closing_ = false;
  bool peerIsDone_ = false;
  // Paused because of a request behind the current one, or one that the client is not to have
  // before it took more of what there is.
  bool holding_ = false;
};

}  // namespace millrace
