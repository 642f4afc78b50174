// Router: copies of a request to other clusters, and redirects that are followed here instead of by
// the client. See router.h.
#include <algorithm>

#include "base/arena_buffer.h"
#include "proxy/authority.h"
#include "proxy/http_stats.h"
#include "proxy/router.h"
#include "proxy/stream.h"
#include "proxy/worker_client.h"
#include "proxy/worker_context.h"
#include "upstream/cluster_stats.h"

namespace millrace {

using namespace cluster_stat;
using namespace http_stat;

// ---- Mirrors ------------------------------------------------------------------------------------

void Router::chooseMirrors(const ForwardAction& action) {
  for (const MirrorAction& mirror : action.mirrors) {
    mirroring_ |= !mirror.fraction ||
                  inFraction(*mirror.fraction, stream_.worker().runtime(), stream_.random());
  }
  if (mirroring_) keeping_ = !headOnly_;
}

// The request is complete: fire and forget.
void Router::sendMirrors() {
  mirroring_ = false;
  WorkerContext& worker = stream_.worker();
  RequestHead& head = stream_.request();
  for (const MirrorAction& mirror : action_->mirrors) {
    if (mirror.fraction && !inFraction(*mirror.fraction, worker.runtime(), stream_.random())) {
      continue;
    }
    const SlotId slot = mirrorSlot(mirror);
    if (slot == kNoSlot) continue;
    std::string_view authority;
    if (!mirror.keepHost) {
      std::string_view host = withoutPort(head.authority);
      ArenaBuffer text(stream_.arena(), head.authority.size() + 8);
      text.append(host);
      text.append("-shadow");
      text.append(head.authority.substr(host.size()));
      authority = text.text();
    }
    worker.client.start(worker, {.cluster = slot,
                                 .head = head,
                                 .body = body_,
                                 .headOnly = headOnly_,
                                 .priority = priority_,
                                 .timeoutMs = timeouts_.globalMs,
                                 .authority = authority});
  }
}

// kNoSlot: there is no such cluster, and so no mirror.
SlotId Router::mirrorSlot(const MirrorAction& mirror) {
  if (mirror.slot != kNoSlot) return mirror.slot;
  WorkerContext& worker = stream_.worker();
  std::string_view name = mirror.cluster;
  if (name.empty()) {
    const Header* header = stream_.request().headers.find(mirror.header);
    if (header != nullptr) name = header->value;
  }
  const auto* directory = worker.slots.get<ClusterDirectory>(worker.common.directory);
  return directory == nullptr || name.empty() ? kNoSlot : directory->find(name);
}

// ---- Internal redirects -------------------------------------------------------------------------

// True: the request goes on elsewhere, and this response is dropped. False: it is the client's.
bool Router::followRedirect(UpstreamRequest& request, ResponseHead& head, bool end) {
  const spec::InternalRedirect& policy = *action_->internalRedirect;
  if (std::ranges::find(policy.statuses, head.status) == policy.statuses.end()) return false;
  bool whole = requestEnded_ && !bodyLost_ && trailers_ == nullptr;
  const Header* location = head.headers.find(HeaderId::kLocation);
  bool accepted =
      whole && location != nullptr && stream_.acceptRedirect(policy, location->value, head);
  if (!accepted) {
    ++stats_[kInternalRedirectFailed];
    return false;
  }
  ++stats_[kInternalRedirectSucceeded];
  request.countResponse(head, false);
  if (!end) request.cancel();
  stream_.followRedirect(head.status);
  return true;
}

}  // namespace millrace
