// The seam for HTTP filters: what sees the events of a stream in order, and may continue, stop, or
// answer.
//
//   requests, in the configured order:  client ─▶ filter 1 ─▶ filter 2 ─▶ … ─▶ router ─▶ upstream
//   responses, the other way round:     client ◀─ filter 1 ◀─ filter 2 ◀─ … ◀─ router ◀─ upstream
//
// A filter that its route (or its own configuration) disables is not made for the stream.
// Thread rule: the worker's loop. A filter lives in the arena of its stream.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/headers.h"
#include "proxy/filter_factory.h"
#include "proxy/route_table.h"
#include "proxy/stream_info.h"

namespace millrace {

struct WorkerContext;
class Connection;

enum class FilterStatus : uint8_t {
  kContinue,  // the next filter gets the event
  kStop,  // nothing goes further until continueRequest(); delivery of the body is paused meanwhile
};

// A response that we make ourselves.
struct LocalReply {
  uint16_t status = 500;
  std::string_view body = {};      // text/plain; valid during the call
  std::string_view details = {};   // static: %RESPONSE_CODE_DETAILS%
  std::string_view location = {};  // not empty: a Location field
  bool overloaded = false;         // adds x-envoy-overloaded: true
  std::string_view mark = {};      // static, not empty: a field of this name, true
  uint32_t attemptCount = 0;       // not 0: adds x-envoy-attempt-count
};

// What a filter may ask of its stream.
class FilterCallbacks {
 public:
  virtual WorkerContext& worker() = 0;
  virtual StreamInfo& info() = 0;
  virtual RequestHead& request() = 0;
  virtual Arena& arena() = 0;
  // The route that was chosen, and the table it is in (pinned for the life of the stream).
  virtual const RouteResult& route() = 0;
  virtual const RouteTable* routes() = 0;
  // The cluster that the route chose for this request; without a name unless it forwards.
  virtual const ClusterPick& cluster() = 0;
  virtual uint64_t random() = 0;  // of this request, the same for all its decisions
  // The first attempt goes to the host of this address, when the cluster has it in a state that
  // allows it (`override_host_status`); `strict`: to no other. Valid as long as the stream.
  virtual void overrideHost(std::string_view address, bool strict) = 0;
  // Answers the request. When a response has begun already the stream is reset instead. Ends the
  // stream's request side.
  virtual void reply(const LocalReply& reply) = 0;
  // The stopped filter lets the request go on.
  virtual void continueRequest() = 0;

 protected:
  ~FilterCallbacks() = default;
};

class HttpFilter {
 public:
  virtual FilterStatus onRequestHeaders(RequestHead& head, bool end) = 0;
  virtual FilterStatus onRequestData(std::string_view data, bool end) = 0;
  virtual void onRequestTrailers(HeaderList& trailers) = 0;
  virtual void onResponseHeaders(ResponseHead& head, bool end) { (void)head, (void)end; }
  virtual void onResponseData(std::string_view data, bool end) { (void)data, (void)end; }
  virtual void onResponseTrailers(HeaderList& trailers) { (void)trailers; }
  // The last call: the stream is over, for whatever reason. Timers and requests of its own end
  // here.
  virtual void onStreamEnd() {}

 protected:
  ~HttpFilter() = default;
};

}  // namespace millrace
