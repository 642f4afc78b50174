// Router: what comes back from upstream, and what is answered when nothing does. See router.h.
#include "base/arena_buffer.h"
#include "proxy/router.h"
#include "proxy/stream.h"
#include "proxy/worker_context.h"
#include "upstream/cluster_stats.h"

namespace millrace {

using namespace cluster_stat;

namespace {

// How the end of an attempt looks from outside: flag, status, and the texts that Envoy gives.
struct ResetAnswer {
  ResponseFlag flag;
  uint16_t status;
  std::string_view text;   // in the body
  std::string_view early;  // details: before a response
  std::string_view late;   // details: in the middle of one
};

#define MILLRACE_RESET(flag, status, text, detail)                  \
  ResetAnswer{ResponseFlag::flag, status, text,                     \
              "upstream_reset_before_response_started{" detail "}", \
              "upstream_reset_after_response_started{" detail "}"}

ResetAnswer answerTo(ResetReason reason) {
  switch (reason) {
    case ResetReason::kOverflow:
      return MILLRACE_RESET(kUpstreamOverflow, 503, "overflow", "overflow");
    case ResetReason::kConnectFailed:
      return MILLRACE_RESET(kUpstreamConnectionFailure, 503, "remote connection failure",
                            "remote_connection_failure");
    case ResetReason::kConnectTimeout:
      return MILLRACE_RESET(kUpstreamConnectionFailure, 503, "connection timeout",
                            "connection_timeout");
    case ResetReason::kProtocolError:
      return MILLRACE_RESET(kUpstreamProtocolError, 502, "protocol error", "protocol_error");
    case ResetReason::kRefusedStream:
      return MILLRACE_RESET(kUpstreamRemoteReset, 503, "remote refused stream reset",
                            "remote_refused_stream_reset");
    case ResetReason::kLocalReset:
      return MILLRACE_RESET(kLocalReset, 503, "local reset", "local_reset");
    case ResetReason::kBodyMismatch:
      return MILLRACE_RESET(kLocalReset, 503, "request body mismatch", "request_body_mismatch");
    case ResetReason::kRemoteReset:
      break;
  }
  return MILLRACE_RESET(kUpstreamConnectionTermination, 503, "connection termination",
                        "connection_termination");
}

#undef MILLRACE_RESET

}  // namespace

void Router::onUpstreamInformational(UpstreamRequest& request, ResponseHead& head) {
  // What the client has seen of one attempt cannot be followed by another one's response.
  if (stream_.respondInformational(head)) take(request);
}

void Router::onUpstreamHeaders(UpstreamRequest& request, ResponseHead& head, bool end) {
  if (retry_ != nullptr && retryForHeaders(request, head, end)) return;
  if (action_->internalRedirect != nullptr && followRedirect(request, head, end)) return;
  take(request);
  StreamInfo& info = stream_.info();
  info.responseCodeDetails = "via_upstream";
  info.responseCode = head.status;
  request.countResponse(head, false);
  if (!stream_.suppressesEnvoyHeaders() && info.downstreamRxEndNs != 0) {
    uint64_t served = info.upstreamRxBeginNs - info.downstreamRxEndNs;
    head.headers.set(HeaderId::kXEnvoyUpstreamServiceTime, stream_.number(served / kNsPerMs));
  }
  if (action_->attemptCountInResponse) {
    head.headers.set(HeaderId::kXEnvoyAttemptCount, stream_.number(attempts_));
  }
  selection_.addTo(head.headers);
  stream_.routes()->mutateResponse(stream_.route(), &pick_, head.headers, info);
  if (end) responseOver(request);
  stream_.respond(head, end);
}

// The response of this attempt is the client's; the others are given up.
void Router::take(UpstreamRequest& request) {
  if (final_ == &request) return;
  final_ = &request;
  retryAtMs_ = 0;
  retry_ = nullptr;
  keeping_ = false;
  if (!requestEnded_) mirroring_ = false;  // the rest of the body is not kept
  giveRetry();
  if (extras_ == nullptr) return;
  forEachActive([&](UpstreamRequest& other) {
    if (&other != &request) other.cancel();
  });
}

void Router::onUpstreamData(UpstreamRequest& request, std::string_view data, bool end) {
  if (end) responseOver(request);
  stream_.respondData(data, end);
}

void Router::onUpstreamTrailers(UpstreamRequest& request, HeaderList& trailers) {
  responseOver(request);
  stream_.respondTrailers(trailers);
}

void Router::responseOver(UpstreamRequest& request) {
  uint64_t now = stream_.worker().loop.nowNs();
  stream_.info().upstreamRxEndNs = now;
  request.cluster().requestTime().record((now - request.sentNs()) / 1000);
}

void Router::onUpstreamReset(UpstreamRequest& request, ResetReason reason, int sysErrno) {
  if (sysErrno != 0) {
    char text[128];
    stream_.info().upstreamFailure = stream_.arena().copy(strerror_r(sysErrno, text, sizeof text));
  }
  if (retryForReset(request, reason)) return;
  // Another attempt may still bring a response.
  if (final_ == nullptr && waitsForAnother(request)) return;
  fail(request, reason);
}

void Router::fail(UpstreamRequest& request, ResetReason reason) {
  const ResetAnswer answer = answerTo(reason);
  if (request.headersSeen()) {
    stream_.resetResponse(answer.flag, answer.late);
    return;
  }
  stream_.info().setFlag(answer.flag);
  ArenaBuffer body(stream_.arena(), 128);
  body.append("upstream connect error or disconnect/reset before headers. ");
  if (attempts_ > 1) body.append("retried and the latest ");
  body.append("reset reason: ");
  body.append(answer.text);
  reply({.status = answer.status,
         .body = body.text(),
         .details = answer.early,
         .overloaded = reason == ResetReason::kOverflow && !stream_.suppressesEnvoyHeaders()});
}

// Whether this request is one of so many of a million.
bool Router::takesPart(uint32_t perMillion) {
  if (__builtin_expect(perMillion == 0, 1)) return false;
  // Not by the request's own number: what chose the cluster by it would be taken as a whole.
  return below(stream_.worker().random.next(), spec::Lb::kMillion) < perMillion;
}

// Runtime `upstream.maintenance_mode.<cluster>`. True: the request was answered.
bool Router::inMaintenance(const ClusterLocal& cluster) {
  if (!takesPart(cluster.snapshot().maintenancePerMillion())) return false;
  ++stats_[kRqMaintenanceMode];
  stream_.info().setFlag(ResponseFlag::kUpstreamOverflow);
  reply({.status = 503,
         .body = "maintenance mode",
         .details = "maintenance_mode",
         .overloaded = !stream_.suppressesEnvoyHeaders()});
  return true;
}

// `drop_overloads` of the cluster's assignment. True: the request was answered.
bool Router::dropForOverload(const ClusterLocal& cluster) {
  uint32_t part = cluster.snapshot().dropPerMillion();
  if (!takesPart(part)) return false;
  ++stats_[kRqDropOverload];
  bool all = part == spec::Lb::kMillion;
  stream_.info().setFlag(all ? ResponseFlag::kUnconditionalDropOverload
                             : ResponseFlag::kDropOverload);
  std::string_view mark = all ? "x-envoy-unconditional-drop-overload" : "x-envoy-drop-overload";
  reply({.status = 503,
         .body = all ? "unconditional drop overload" : "drop overload",
         .details = all ? "unconditional_drop_overload" : "drop_overload",
         .mark = stream_.suppressesEnvoyHeaders() ? std::string_view() : mark});
  return true;
}

void Router::noHealthyUpstream() {
  ++stats_[kCxNoneHealthy];
  stream_.info().setFlag(ResponseFlag::kNoHealthyUpstream);
  reply({.status = 503, .body = "no healthy upstream", .details = "no_healthy_upstream"});
}

void Router::timedOut() {
  if (action_ == nullptr) return;
  bool any = false;
  forEachActive([&](UpstreamRequest& request) {
    any = true;
    ++stats_[kRqTimeout];
    request.countTimeout();
  });
  if (!any) ++stats_[kRqTimeout];  // between two attempts
  timeOutReply("response_timeout");
}

void Router::timeOutReply(const char* details) {
  stream_.info().setFlag(ResponseFlag::kUpstreamRequestTimeout);
  reply({.status = timeouts_.status,
         .body = timeouts_.status == 504 ? "upstream request timeout" : "",
         .details = details});
}

void Router::reply(LocalReply what) {
  if (action_ != nullptr && action_->attemptCountInResponse) what.attemptCount = attempts_;
  // Once a response has begun it was counted.
  ClusterLocal* cluster = final_ != nullptr ? nullptr : stream_.worker().upstream.cluster(slot_);
  if (cluster != nullptr) cluster->countCompleted(what.status, stream_.internal(), triedCanary_);
  stream_.reply(what);
}

}  // namespace millrace
