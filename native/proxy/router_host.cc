// Router: hosts that a cluster adds as requests name them (original destinations, the dynamic
// forward proxy). See router.h and upstream/waiting_hosts.h.
#include "proxy/host_key.h"
#include "proxy/router.h"
#include "proxy/stream.h"
#include "proxy/worker_context.h"
#include "upstream/cluster_stats.h"

namespace millrace {

using namespace cluster_stat;
using Kind = spec::OnDemand::Kind;

// Which host the request means, by what its client sent: before the route changes any of it.
std::string_view Router::hostKey(const spec::OnDemand& rules) {
  RequestHead& head = stream_.request();
  if (rules.kind == Kind::kForwardProxy) {
    return forwardKey(head.authority, spec::OnDemand::kHttpPort, stream_.arena());
  }
  bool invalid = false;
  auto destination =
      originalDestinationOf(rules, destinationHeader(rules, head), stream_.meantAddress(), invalid);
  if (invalid) ++stats_[kOriginalDstHostInvalid];
  if (!destination) return {};
  char text[Address::kMaxText];
  return stream_.arena().copy({text, destination->format(text)});
}

// The cluster has no host for the request: it waits for one, or is answered.
void Router::hostMissing(ClusterLocal& cluster) {
  const spec::OnDemand* rules = cluster.snapshot().onDemand();
  if (rules == nullptr) return noHealthyUpstream();
  std::string_view key = selection_.context().key;
  if (key.empty()) return onHostRefused(HostRefusal::kUnresolved);
  if (!cluster.waiting().await(key, *this)) return tooManyWait(*rules);
  pauseRequest(true);
}

void Router::onHostFound() {
  // The cluster may have changed, or be gone.
  ClusterLocal* cluster = stream_.worker().upstream.cluster(slot_);
  const HostEntry* picked = cluster == nullptr ? nullptr : cluster->pick(selection_.context());
  if (cluster == nullptr) return onHostRefused(HostRefusal::kGone);
  if (picked == nullptr) return hostMissing(*cluster);
  if (action_ != nullptr) return startAgain(*cluster, *picked);
  pin_ = cluster->pin();
  startFirst(*cluster, *picked);
}

void Router::tooManyWait(const spec::OnDemand& rules) {
  if (rules.kind == Kind::kForwardProxy) {
    return reply({.status = 503,
                  .body = "Dynamic forward proxy pending request overflow",
                  .details = "dynamic_forward_proxy_pending_request_overflow"});
  }
  ++stats_[kRqPendingOverflow];
  replyOverflow();
}

void Router::replyOverflow() {
  stream_.info().setFlag(ResponseFlag::kUpstreamOverflow);
  reply(
      {.status = 503,
       .body = "upstream connect error or disconnect/reset before headers. reset reason: overflow",
       .details = "upstream_reset_before_response_started{overflow}",
       .overloaded = !stream_.suppressesEnvoyHeaders()});
}

void Router::onHostRefused(HostRefusal why) {
  const spec::OnDemand* rules = pin_.get<ClusterSnapshot>()->onDemand();
  if (rules == nullptr || rules->kind == Kind::kOriginalDst) {
    return why == HostRefusal::kFull ? replyOverflow() : noHealthyUpstream();
  }
  switch (why) {
    case HostRefusal::kFull:
      return reply({.status = 503, .body = "DNS cache overflow", .details = "dns_cache_overflow"});
    case HostRefusal::kGone:
      return reply({.status = 503,
                    .body = "Dynamic forward proxy cluster is gone",
                    .details = "dynamic_forward_proxy_cluster_is_gone"});
    case HostRefusal::kUnresolved:
    case HostRefusal::kTimeout:
      stream_.info().setFlag(ResponseFlag::kDnsResolutionFailed);
      return reply(
          {.status = 503, .body = "DNS resolution failure", .details = "dns_resolution_failure"});
  }
}

}  // namespace millrace
