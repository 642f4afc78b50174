#include "proxy/tcp_proxy.h"

#include <cerrno>

#include "proxy/host_key.h"
#include "proxy/listener_config.h"
#include "proxy/tcp_stats.h"
#include "proxy/worker_context.h"
#include "upstream/balancer/hash.h"
#include "upstream/cluster_stats.h"

namespace millrace {

using namespace tcp_stat;

// ---- TcpManager

TcpManager::TcpManager(spec::TcpProxy spec, StatsRegistry& stats)
    : spec_(std::move(spec)), stats_(stats) {
  statBlock_ = stats_.block(
      {"tcp." + spec_.statPrefix + ".", "tcp.", {{"envoy.tcp_prefix", spec_.statPrefix}}},
      kTcpStatLeaves);
}

TcpManager::~TcpManager() {
  stats_.release(statBlock_);
}

Result<std::unique_ptr<TcpManager>> TcpManager::build(spec::TcpProxy spec, StatsRegistry& stats,
                                                      const std::string& where) {
  auto cluster = ClusterChoice::compile(std::move(spec.cluster), where + ".cluster");
  if (!cluster) return cluster.error();
  auto logs = AccessLogs::compile(spec.accessLogs, where + ".accessLogs");
  if (!logs) return logs.error();
  if (spec.maxConnectAttempts == 0) {
    return Error{"ERR_MILLRACE_LISTENER", where + ".maxConnectAttempts: must be 1 or more", 0};
  }
  std::unique_ptr<TcpManager> manager(new TcpManager(std::move(spec), stats));
  manager->cluster_ = std::move(*cluster);
  manager->accessLogs_ = std::move(*logs);
  return manager;
}

// ---- TcpSession

Session* TcpSession::accept(WorkerContext& worker, ListenerLocal& home, Pin listener,
                            const TcpManager& manager, std::string_view chainName, int fd,
                            const Address& peer, const Address& local, uint32_t bufferLimit) {
  Connection* client = Connection::accepted(worker.net, fd, peer, nullptr);
  if (client == nullptr) return nullptr;
  client->setWatermarks(bufferLimit, bufferLimit / 2);
  TcpSession* session = worker.tcp.sessions.take(worker, home, std::move(listener), manager,
                                                 chainName, *client, peer, local);
  session->begin();
  return session;
}

TcpSession::TcpSession(WorkerContext& worker, ListenerLocal& home, Pin listener,
                       const TcpManager& manager, std::string_view chainName, Connection& client,
                       const Address& peer, const Address& local)
    : worker_(worker),
      home_(home),
      listener_(std::move(listener)),
      manager_(manager),
      chainName_(chainName),
      stats_(worker.stats.block(manager.statBlock())),
      relay_(worker.tcp.pipes, *this),
      duration_([](void* self) { static_cast<TcpSession*>(self)->tooOld(); }, this),
      client_(&client),
      peer_(peer),
      local_(local),
      startNs_(worker.loop.nowNs()),
      clientId_(client.id()) {}

void TcpSession::begin() {
  client_->setOwner(this);
  client_->pause();
  home_.opened(*this);
  client_->setBufferedGauges(&stats_[kCxRxBytesBuffered]);
  ++stats_[kCxTotal];
  if (worker_.full(manager_.spec().mostHeldFlag)) {
    ++stats_[kCxOverload];
    return giveUp(ResponseFlag::kOverloadManager);
  }
  if (local_.isWildcard() && manager_.accessLogs().usesLocalAddress()) local_ = client_->local();
  if (uint64_t most = manager_.spec().maxDownstreamDuration; most != 0) {
    worker_.loop.arm(duration_, most);
  }
  ClusterPick pick = manager_.cluster().pick(nullptr, worker_.random.next());
  clusterSlot_ = pick.slot;
  if (clusterSlot_ == kNoSlot) {
    const auto* directory = worker_.slots.get<ClusterDirectory>(worker_.common.directory);
    if (directory != nullptr) clusterSlot_ = directory->find(pick.name);
  }
  connect();
}

// ---- connecting

void TcpSession::connect() {
  ClusterLocal* cluster =
      clusterSlot_ == kNoSlot ? nullptr : worker_.upstream.cluster(clusterSlot_);
  if (cluster == nullptr) {
    ++stats_[kCxNoRoute];
    return giveUp(ResponseFlag::kNoClusterFound);
  }
  cluster_ = worker_.slots.pin(clusterSlot_);
  clusterStats_ = cluster->stats();
  const ClusterSnapshot& snapshot = *cluster_.get<ClusterSnapshot>();
  PickContext context;
  if (manager_.spec().hashSourceIp && peer_.isIp()) {
    char text[Address::kMaxText];
    context.hash = xxHash64({text, peer_.format(text, false)});
  }
  char key[Address::kMaxText];
  if (const spec::OnDemand* rules = snapshot.onDemand()) context.key = hostKey(*rules, key);
  const HostEntry* picked = cluster->pick(context);
  if (picked == nullptr) return noHost(*cluster, context.key);
  host_ = picked->host;
  if (!snapshot.tryTakeConnection(*host_, Priority::kDefault)) {
    ++clusterStats_[cluster_stat::kCxOverflow];
    return giveUp(ResponseFlag::kUpstreamOverflow);
  }
  openUpstream(snapshot);
}

// Where the client meant to go; in `out`, of Address::kMaxText bytes. Empty: it is not known. A
// forward proxy's hosts are named by requests, and here are none.
std::string_view TcpSession::hostKey(const spec::OnDemand& rules, char* out) {
  if (rules.kind != spec::OnDemand::Kind::kOriginalDst) return {};
  auto meant = listener_.get<ListenerConfig>()->destinationOf(*client_);
  bool invalid = false;
  auto destination = originalDestinationOf(rules, {}, meant ? &*meant : nullptr, invalid);
  return destination ? std::string_view(out, destination->format(out)) : std::string_view();
}

void TcpSession::noHost(ClusterLocal& cluster, std::string_view key) {
  if (key.empty()) return onHostRefused(HostRefusal::kUnresolved);
  if (!cluster.waiting().await(key, *this)) {
    ++clusterStats_[cluster_stat::kRqPendingOverflow];
    giveUp(ResponseFlag::kUpstreamOverflow);
  }
}

void TcpSession::onHostRefused(HostRefusal why) {
  if (why == HostRefusal::kFull) return giveUp(ResponseFlag::kUpstreamOverflow);
  ++clusterStats_[cluster_stat::kCxNoneHealthy];
  giveUp(ResponseFlag::kNoHealthyUpstream);
}

void TcpSession::openUpstream(const ClusterSnapshot& cluster) {
  attempts_++;
  connectStartNs_ = worker_.loop.nowNs();
  ++clusterStats_[cluster_stat::kCxTotal];
  ++clusterStats_[cluster_stat::kCxForTcp];
  ++clusterStats_[cluster_stat::kCxActive];
  HostLocal& host = host_->local(worker_.index);
  bump(host.cxTotal);
  bump(host.cxActive);
  if (local_.isWildcard() && cluster.config().connect.proxyProtocol != spec::ProxyProtocol::kNone) {
    local_ = client_->local();
  }
  PoolClient client{clientId_, &peer_, &local_};
  HostDestination to(cluster.config(), *host_, &client);
  upstream_ = Connection::connect(worker_.net, to.get(), cluster.connectTimeoutMs(), this,
                                  cluster.connectOptions());
  if (upstream_ == nullptr) {
    attempts_ = manager_.spec().maxConnectAttempts;  // no descriptor; another host would not help
    return attemptFailed(CloseReason::kConnectFailed, errno);
  }
  upstream_->setBufferedGauges(&clusterStats_[cluster_stat::kCxRxBytesBuffered]);
  upstream_->setWatermarks(cluster.bufferLimit(), cluster.bufferLimit() / 2);
}

// One host could not be reached: another one, or the end.
void TcpSession::attemptFailed(CloseReason reason, int sysErrno) {
  countConnectFailure(clusterStats_, *cluster_.get<ClusterSnapshot>(), reason, sysErrno);
  bump(host_->local(worker_.index).cxConnectFail);
  countOutcome(
      worker_.upstream, *cluster_.get<ClusterSnapshot>(), *host_,
      reason == CloseReason::kConnectTimeout ? Outcome::kTimeout : Outcome::kConnectFailed);
  upstreamGone(reason);
  setFlag(ResponseFlag::kUpstreamConnectionFailure);
  if (attempts_ < manager_.spec().maxConnectAttempts) return connect();
  ++clusterStats_[cluster_stat::kCxConnectAttemptsExceeded];
  giveUp(ResponseFlag::kUpstreamRetryLimitExceeded);
}

void TcpSession::giveUp(ResponseFlag flag) {
  setFlag(flag);
  client_->close();
}

void TcpSession::upstreamGone(CloseReason reason) {
  upstream_ = nullptr;
  cluster_.get<ClusterSnapshot>()->identity().resources(Priority::kDefault).connections.give();
  --clusterStats_[cluster_stat::kCxActive];
  bump(host_->local(worker_.index).cxActive, -1);
  countDestroyed(clusterStats_, reason);
  worker_.stats.histogram(cluster_.get<ClusterSnapshot>()->identity().connectionLength())
      .record((worker_.loop.nowNs() - connectStartNs_) / 1000);
  HostWatcher::unlink();
}

void TcpSession::onHostFailed(const Host& host) {
  if (&host == host_) closeNow();
}

void TcpSession::onConnected(Connection& c) {
  connectEndNs_ = worker_.loop.nowNs();
  const ClusterSnapshot& snapshot = *cluster_.get<ClusterSnapshot>();
  worker_.stats.histogram(snapshot.identity().connectTime())
      .record((connectEndNs_ - connectStartNs_) / 1000);
  countOutcome(worker_.upstream, snapshot, *host_, Outcome::kConnectedFinal);
  responseFlags_ = 0;  // of attempts that failed before
  upstreamId_ = c.id();
  if (manager_.accessLogs().usesUpstreamLocalAddress()) upstreamLocal_ = c.local();
  up_ = true;
  ClusterLocal* cluster = worker_.upstream.cluster(clusterSlot_);
  if (cluster != nullptr && snapshot.config().connect.closeOnHealthFailure) cluster->watch(*this);
  relay_.start(*client_, c, manager_.spec().idleTimeout);
  client_->resume();
}

void TcpSession::onClosed(Connection& c, CloseReason reason, int sysErrno) {
  if (&c == upstream_) {
    if (client_ == nullptr) {
      upstreamGone(reason);  // it was closed because the client is gone
    } else {
      attemptFailed(reason, sysErrno);
    }
    return;
  }
  client_ = nullptr;
  if (upstream_ != nullptr) {
    if (reason != CloseReason::kLocal) setFlag(ResponseFlag::kDownstreamConnectionTermination);
    upstream_->close();
  }
  finish();
}

// ---- relaying

void TcpSession::onRelayUsed() {
  countBytes();
}

void TcpSession::onRelayClosing(Connection& c, CloseReason reason) {
  countBytes();
  if (&c == client_) {
    client_ = nullptr;
  } else {
    upstreamGone(reason);
  }
}

void TcpSession::onRelayOver(const RelayEnd& end) {
  if (end.side == RelayEnd::Side::kIdle) ++stats_[kIdleTimeout];
  stats_[kFlowPaused].add(relay_.pauses());
  stats_[kFlowResumed].add(relay_.resumes());
  finish();
}

// Brings the counters up to date; an open connection is seen to grow.
void TcpSession::countBytes() {
  if (client_ != nullptr) {
    Moved now{client_->bytesRead(), client_->bytesWritten()};
    stats_[kCxRxBytes].add(now.read - clientMoved_.read);
    stats_[kCxTxBytes].add(now.written - clientMoved_.written);
    clientMoved_ = now;
  }
  if (upstream_ != nullptr) {
    Moved now{upstream_->bytesRead(), upstream_->bytesWritten()};
    clusterStats_[cluster_stat::kCxRxBytes].add(now.read - upstreamMoved_.read);
    clusterStats_[cluster_stat::kCxTxBytes].add(now.written - upstreamMoved_.written);
    upstreamMoved_ = now;
  }
}

// ---- ends

void TcpSession::closeNow() {
  if (up_) {
    relay_.close();
  } else {
    client_->close();
  }
}

void TcpSession::tooOld() {
  ++stats_[kMaxDurationReached];
  setFlag(ResponseFlag::kDurationTimeout);
  closeNow();
}

void TcpSession::finish() {
  stopWaiting();
  if (manager_.accessLogs().any()) log();
  home_.closed(*this);
  worker_.loop.cancel(duration_);
  worker_.loop.deferDelete(this);
}

void TcpSession::log() {
  uint64_t now = worker_.loop.nowNs();
  StreamInfo info;
  info.logType = AccessLogType::kTcpConnectionEnd;
  info.startWallUs = wallUs() - (now - startNs_) / 1000;
  info.startNs = info.connectionStartNs = startNs_;
  info.endNs = info.connectionEndNs = now;
  info.upstreamConnectStartNs = connectStartNs_;
  info.upstreamConnectEndNs = connectEndNs_;
  info.bytesReceived = info.downstream.wireReceived = clientMoved_.read;
  info.bytesSent = info.downstream.wireSent = clientMoved_.written;
  info.upstream.wireReceived = upstreamMoved_.read;
  info.upstream.wireSent = upstreamMoved_.written;
  info.connectionId = clientId_;
  info.upstreamConnectionId = upstreamId_;
  info.responseFlags = responseFlags_;
  info.attemptCount = attempts_;
  info.filterChainName = chainName_;
  if (cluster_) info.clusterName = cluster_.get<ClusterSnapshot>()->name();
  if (host_ != nullptr) info.upstreamHost = &host_->address();
  if (upstreamLocal_.size() > 0) info.upstreamLocal = &upstreamLocal_;
  info.downstreamLocal = &local_;
  info.downstreamRemote = info.downstreamDirectRemote = &peer_;
  worker_.logs.write(manager_.accessLogs(), info);
}

void TcpSession::destroyDeferred() {
  worker_.tcp.sessions.give(this);
}

// The client is paused and the upstream connection not up: neither is read.
size_t TcpSession::onData(Connection&, std::span<char> bytes) {
  return bytes.size();
}
void TcpSession::onReadEnd(Connection&) {}

}  // namespace millrace
