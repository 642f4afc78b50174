#include "proxy/worker_client.h"

#include "proxy/worker_context.h"
#include "upstream/cluster_stats.h"

namespace millrace {

ClientCall::ClientCall(WorkerContext& worker, ClientCallSink* sink)
    : worker_(worker),
      sink_(sink),
      arena_(worker.net.chunks()),
      head_(arena_),
      body_(arena_),
      request_(*this, worker, arena_, info_),
      timeout_([](void* self) { static_cast<ClientCall*>(self)->timedOut(); }, this) {}

void ClientCall::copy(const RequestHead& head, const BodyBuffer& body) {
  head_.method = head.method;
  head_.version = head.version;
  head_.methodText = arena_.copy(head.methodText);
  head_.path = arena_.copy(head.path);
  head_.authority = arena_.copy(head.authority);
  head_.scheme = arena_.copy(head.scheme);
  head_.wholeServer = head.wholeServer;
  head_.framing = head.framing;
  if (head.framing == BodyFraming::kLength) head_.setLength(body.size());  // what is here to send
  for (const Header& h : head.headers) {
    std::string_view name = h.id == HeaderId::kOther ? arena_.copy(h.name) : headerName(h.id);
    head_.headers.add(name, arena_.copy(h.value), h.id);
  }
  body.forEach([this](std::string_view piece, bool) { body_.append(piece); });
}

void ClientCall::onUpstreamReady(UpstreamRequest& request) {
  if (headOnly_) return;
  if (body_.empty()) {
    request.encodeData({}, true);
  } else {
    body_.forEach([&](std::string_view piece, bool last) { request.encodeData(piece, last); });
  }
}

void ClientCall::onUpstreamHeaders(UpstreamRequest& request, ResponseHead& head, bool end) {
  request.countResponse(head, false);
  if (sink_ != nullptr) sink_->onCallHeaders(head);
  if (end) over(true);
}

void ClientCall::onUpstreamData(UpstreamRequest&, std::string_view data, bool end) {
  if (sink_ != nullptr && !data.empty()) sink_->onCallData(data);
  if (end) over(true);
}

void ClientCall::onUpstreamTrailers(UpstreamRequest&, HeaderList&) {
  over(true);
}

void ClientCall::onUpstreamReset(UpstreamRequest&, ResetReason, int) {
  over(false);
}

void ClientCall::timedOut() {
  if (over_) return;
  ++request_.clusterStats()[cluster_stat::kRqTimeout];
  request_.countTimeout();
  over(false);
}

void ClientCall::cancel() {
  sink_ = nullptr;
  over(false);
}

void ClientCall::over(bool complete) {
  if (over_) return;
  over_ = true;
  worker_.loop.cancel(timeout_);
  request_.cancel();
  unlink();
  worker_.loop.deferDelete(this);
  if (sink_ != nullptr) sink_->onCallEnd(complete);
}

void ClientCall::destroyDeferred() {
  worker_.client.pool_.give(this);
}

WorkerClient::~WorkerClient() {
  MR_ASSERT(calls_.empty());
}

ClientCall* WorkerClient::start(WorkerContext& worker, const Request& request) {
  ClusterLocal* cluster = worker.upstream.cluster(request.cluster);
  if (cluster == nullptr) return nullptr;
  const HostEntry* picked = cluster->pick({});
  if (picked == nullptr) {
    ++cluster->stats()[cluster_stat::kCxNoneHealthy];
    return nullptr;
  }
  ClientCall* call = pool_.take(worker, request.sink);
  calls_.pushBack(call);
  call->copy(request.head, request.body);
  if (!request.authority.empty()) call->head_.authority = call->arena_.copy(request.authority);
  call->headOnly_ = request.headOnly;
  if (request.timeoutMs != 0) worker.loop.arm(call->timeout_, request.timeoutMs);
  call->request_.start({cluster, picked->host, cluster->pin(), request.priority, {}}, call->head_,
                       request.headOnly);
  return call;
}

void WorkerClient::cancelAll() {
  while (ClientCall* call = calls_.front()) call->cancel();
}

}  // namespace millrace
