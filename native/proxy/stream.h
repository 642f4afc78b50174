// One HTTP exchange of a client's connection: runs the request through forwarding rules, routing
// and filters, adds what a proxy adds to the response, keeps the facts of it, and logs them at the
// end.
//
//   head ─▶ sanitised ─▶ routed ─▶ filters ─▶ router … response head ─▶ data ─▶ end ─▶ logged ─▶
//   given back
//
// Ends once, by finish(); the memory is given back when the turn of the loop is over.
// Thread rule: the worker's loop.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/arena.h"
#include "http/codec.h"
#include "net/address.h"
#include "net/connection.h"
#include "proxy/http_filter.h"
#include "proxy/router.h"
#include "rcu/reader.h"

namespace millrace {

class HttpConnection;
class HttpManager;

class Stream final : public RequestSink, public FilterCallbacks, public Deferred {
 public:
  Stream(HttpConnection& connection, ResponseEncoder& encoder);
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // RequestSink
  void onRequestHeaders(RequestHead& head, bool end) override;
  void onRequestData(std::string_view data, bool end) override;
  void onRequestTrailers(HeaderList& trailers) override;
  void onRequestReset(ResetReason reason) override;

  // FilterCallbacks
  WorkerContext& worker() override;
  StreamInfo& info() override { return info_; }
  RequestHead& request() override { return request_; }
  Arena& arena() override { return arena_; }
  const RouteResult& route() override { return route_; }
  const RouteTable* routes() override { return routes_.get<RouteTable>(); }
  const ClusterPick& cluster() override { return cluster_; }
  uint64_t random() override { return random_; }
  void overrideHost(std::string_view address, bool strict) override {
    router_.overrideHost(address, strict);
  }
  void reply(const LocalReply& reply) override;
  void continueRequest() override;

  // A reply that the route itself asks for (redirect, direct response): with the route's response
  // mutations.
  void replyByRoute(const LocalReply& reply);
  StatBlock httpStats() const;
  bool suppressesEnvoyHeaders() const;
  // forwarded.h found an internal request.
  bool internal() const { return internal_; }
  // Fills info().downstreamLocal, by a system call.
  void findLocalAddress();
  // Where the client meant to go instead of here; null: nowhere else, or it is not known.
  const Address* meantAddress();
  // Bytes that may be kept of a request's body.
  uint64_t bufferLimit() const;
  // Something of the router's is due then, loop ms.
  void dueAt(uint64_t deadlineMs);
  // The decimal text of `value`, in the arena.
  std::string_view number(uint64_t value);
  // The route's timeout runs from now on; 0: none.
  void startRouteTimeout(uint64_t ms);

  // What the router brings back.
  // False: it was not for the client.
  bool respondInformational(ResponseHead& head);
  void respond(ResponseHead& head, bool end);
  void respondData(std::string_view data, bool end);
  void respondTrailers(HeaderList& trailers);
  // The response cannot be completed.
  void resetResponse(ResponseFlag flag, std::string_view details);
  // Whether the client took something since this was last asked.
  bool clientMoves();
  // Stops / resumes delivery of the request's body.
  void pauseRequest(bool on);

  // Whether a redirect to `location` is to be followed here; if so, the request is as it asks for,
  // and followRedirect() is next.
  bool acceptRedirect(const spec::InternalRedirect& policy, std::string_view location,
                      const ResponseHead& response);
  // Begins anew with the redirected request. `status`: of the response that redirected it.
  void followRedirect(uint16_t status);

  // From the connection.
  // What came was not a request: answered with `status`.
  void refuse(uint16_t status, const char* details);
  void setClientWritable(bool writable) { router_.setClientWritable(writable); }
  // The earliest deadline of this stream, loop ms; 0: none.
  uint64_t nextDeadlineMs();
  // Acts on a deadline that has passed. May end the stream.
  void onDeadline(uint64_t nowMs);
  // Something moved: the idle timeout starts anew.
  void touch();
  // The exchange is over: counted, logged, and given back after the turn.
  void finish();
  const HttpManager& manager() const { return *manager_; }

  void destroyDeferred() override;

 private:
  friend class HttpConnection;
  static constexpr uint32_t kNoFilter = UINT32_MAX;
  struct Redirected;

  // Goes over to what the connection has now.
  void takeManager();
  void readLimits();
  bool acceptHead();
  bool countForward();
  bool applyForwardingRules();
  bool checkUnderscores(HeaderList& fields);
  void sanitizeHost();
  bool sanitizePath();
  void chooseRoute();
  RouteRequest routeRequest();
  void takeRoute();
  void copyFromResponse(const spec::InternalRedirect& policy, const ResponseHead& response);
  bool redirectAllowed(const spec::InternalRedirect& policy, const RouteResult& before, bool https,
                       bool toHttps);
  void replayBody();
  void deliverData(std::string_view data, bool end);
  void createFilters();
  void runRequestHeaders(uint32_t from, bool end);
  void requestEnded();
  void sendHead(ResponseHead& head, bool end);
  void sendData(std::string_view data, bool end);
  void finalizeResponse(ResponseHead& head);
  void appendVia(HeaderList& headers);
  void toProperCase(HeaderList& headers);
  std::string_view joined(std::string_view a, std::string_view between, std::string_view b);
  void countStatus(uint16_t status);
  void responseOver();
  bool stillMoves();

  HttpConnection& connection_;
  ResponseEncoder& encoder_;
  Pin listener_;  // the snapshot that the manager is in
  const HttpManager* manager_;
  StatBlock stats_;  // of the manager
  Arena arena_;
  RequestHead request_;
  StreamInfo info_;
  Router router_;
  Pin routes_;
  RouteResult route_;
  ClusterPick cluster_;
  BodyBuffer replay_;  // of a request that was redirected
  Redirected* redirected_ = nullptr;
  uint32_t redirects_ = 0;
  HttpFilter** filters_ = nullptr;
  uint32_t filterCount_ = 0;
  uint32_t stoppedAt_ = kNoFilter;  // index of the filter that stopped
  uint64_t random_;
  // Deadlines, loop ms; 0: none.
  uint64_t idleTimeoutMs_ = 0, lastActivityMs_ = 0;
  Progress idleProgress_, upstreamAsks_;  // of the client
  uint64_t headersDeadlineMs_ = 0, requestDeadlineMs_ = 0, durationDeadlineMs_ = 0,
           routeDeadlineMs_ = 0;
  Address remote_, directRemote_, local_;
  bool headSeen_ = false;
  bool requestDone_ = false;
  bool responseStarted_ = false;
  bool mutateReply_ = false;
  bool finished_ = false;
  bool internal_ = false;
  bool https_ = false;  // the client's side of the proxies before us
};

}  // namespace millrace
