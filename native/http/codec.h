// The seam between codecs and streams: version-neutral events both ways. HTTP/1 implements it
// first.
//
// Views given to a callback are valid until it returns (see RequestHead::own); views given to an
// encoder must stay valid until the next flush of the connection (see Connection::write).
//
// Thread rule: one loop.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/headers.h"

namespace millrace {

enum class ResetReason : uint8_t {
  kLocalReset,     // we gave up
  kRemoteReset,    // the peer reset or closed before the message was complete
  kProtocolError,  // what came was not HTTP, or ambiguous
  kConnectFailed,
  kConnectTimeout,
  kOverflow,
  kBodyMismatch,  // what we had to send was not the body that its head announced: a fault of ours
  // The peer has not looked at the request and says so (HTTP/2 REFUSED_STREAM).
  kRefusedStream,
};

// What a message is delivered to, in order: onHeaders (1xx informational heads come first, through
// onInformational), onData*, onTrailers?, with end==true on the last; or onReset at any point,
// after which nothing follows. Data with end==true may be empty.
class RequestSink {
 public:
  virtual void onRequestHeaders(RequestHead& head, bool end) = 0;
  virtual void onRequestData(std::string_view data, bool end) = 0;
  virtual void onRequestTrailers(HeaderList& trailers) = 0;  // always the end
  virtual void onRequestReset(ResetReason reason) = 0;

 protected:
  ~RequestSink() = default;
};
class ResponseSink {
 public:
  virtual void onInformational(ResponseHead& head) = 0;  // 1xx other than 101
  virtual void onResponseHeaders(ResponseHead& head, bool end) = 0;
  virtual void onResponseData(std::string_view data, bool end) = 0;
  virtual void onResponseTrailers(HeaderList& trailers) = 0;
  virtual void onResponseReset(ResetReason reason) = 0;
  // Back-pressure of what we send: false = stop, true = go on.
  virtual void onRequestWritable(bool writable) = 0;
  // The response is paused. Whether who is to have it took something since this was last asked.
  virtual bool clientMoves() { return false; }

 protected:
  ~ResponseSink() = default;
};

// Encoders frame a message by head.framing, head.contentLength and what they are told of the end,
// and count: a body that is longer or shorter than its head said ends the exchange with a reset and
// the connection with it, so that no byte of it can be taken for another message.
//
// Sends the response of one exchange to the client. Given to the stream by the server codec; usable
// until the exchange has ended. Heads are read during the call only; data must live until the
// flush.
class ResponseEncoder {
 public:
  // 1xx other than 101; not sent to an HTTP/1.0 client.
  virtual void encodeInformational(const ResponseHead& head) = 0;
  virtual void encodeHeaders(const ResponseHead& head, bool end) = 0;
  virtual void encodeData(std::string_view data, bool end) = 0;
  // Always the end; not sent unless enabled.
  virtual void encodeTrailers(const HeaderList& trailers) = 0;
  // The response cannot be completed. HTTP/1 has no other word for it than closing the connection.
  virtual void resetStream(ResetReason reason) = 0;
  // This exchange is the last one on its connection. Before encodeHeaders it also tells the client
  // so.
  virtual void closeAfter() = 0;
  // Back-pressure of the request body: stops / resumes its delivery. Calls are counted.
  virtual void pauseRequest() = 0;
  virtual void resumeRequest() = 0;

 protected:
  ~ResponseEncoder() = default;
};

// Sends the request of one exchange upstream. Usable until the exchange has ended (see
// Http1ClientCodec).
class RequestEncoder {
 public:
  virtual void encodeHeaders(const RequestHead& head, bool end) = 0;
  virtual void encodeData(std::string_view data, bool end) = 0;
  virtual void encodeTrailers(const HeaderList& trailers) = 0;
  // Gives up: no further event reaches the sink, and the connection may not be used again.
  virtual void resetStream(ResetReason reason) = 0;
  virtual void pauseResponse() = 0;
  virtual void resumeResponse() = 0;

 protected:
  ~RequestEncoder() = default;
};

}  // namespace millrace
