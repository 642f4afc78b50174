// The seam between codecs and streams: version-neutral events both ways. HTTP/1 implements it first.
// Thread rule: one loop. Views given to a callback are valid until it returns (see HeaderList and Connection::write).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "http/headers.h"

namespace millrace {

enum class ResetReason : uint8_t {
  kLocalReset,        // we gave up
  kRemoteReset,       // the peer reset or closed before the message was complete
  kProtocolError,     // what came was not HTTP, or ambiguous
  kConnectFailed,
  kConnectTimeout,
  kOverflow,
};

// What a message is delivered to, in order: onHeaders (1xx informational heads come first, through onInformational),
// onData*, onTrailers?, with end==true on the last; or onReset at any point, after which nothing follows.
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
  virtual void onRequestWritable(bool writable) = 0;  // back-pressure of what we send: false = stop, true = go on
 protected:
  ~ResponseSink() = default;
};

}  // namespace millrace
