// The TCP proxy: bytes of one client's connection to one host of a cluster and back
// (tcp_proxy.proto).
//
//   accepted ──▶ connecting ──up──▶ relaying ──both ended, idle, too old──▶ closed, logged
//                 │  ▲ another host, up to maxConnectAttempts
//                 └──┘──no cluster, no host, all attempts failed, client gone──▶ closed, logged
//
// The client is not read before the upstream connection is up: its first bytes wait in the kernel.
//
// Thread rule: managers are built on the main thread and immutable; sessions belong to their
// worker's loop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/object_pool.h"
#include "base/result.h"
#include "net/address.h"
#include "net/connection.h"
#include "net/relay.h"
#include "proxy/access_log.h"
#include "proxy/cluster_choice.h"
#include "proxy/session.h"
#include "proxy/spec.h"
#include "proxy/stream_info.h"
#include "rcu/reader.h"
#include "stats/registry.h"
#include "upstream/upstream_worker.h"

namespace millrace {
struct WorkerContext;

// A filter chain's TCP proxy, compiled. Part of the listener's snapshot.
class TcpManager {
 public:
  // `stats` outlives this; `where` is its path in the configuration, for errors.
  static Result<std::unique_ptr<TcpManager>> build(spec::TcpProxy spec, StatsRegistry& stats,
                                                   const std::string& where);
  ~TcpManager();
  TcpManager(const TcpManager&) = delete;
  TcpManager& operator=(const TcpManager&) = delete;

  const spec::TcpProxy& spec() const { return spec_; }
  const ClusterChoice& cluster() const { return cluster_; }
  const AccessLogs& accessLogs() const { return accessLogs_; }
  BlockId statBlock() const { return statBlock_; }

 private:
  TcpManager(spec::TcpProxy spec, StatsRegistry& stats);

  spec::TcpProxy spec_;
  StatsRegistry& stats_;
  BlockId statBlock_;
  ClusterChoice cluster_;
  AccessLogs accessLogs_;
};

class TcpSession final : public Session,
                         public ConnectionOwner,
                         public RelayOwner,
                         public HostWatcher,
                         public HostWaiter,
                         public Deferred {
 public:
  // Takes over `fd`. `listener` pins the snapshot that `manager` is in. Null (and `fd` closed) when
  // the poller takes no more. A session that could be begun is in home.sessions until it is closed,
  // which may be before this returns.
  static Session* accept(WorkerContext& worker, ListenerLocal& home, Pin listener,
                         const TcpManager& manager, std::string_view chainName, int fd,
                         const Address& peer, const Address& local, uint32_t bufferLimit);
  // Public for the pool.
  TcpSession(WorkerContext& worker, ListenerLocal& home, Pin listener, const TcpManager& manager,
             std::string_view chainName, Connection& client, const Address& peer,
             const Address& local);

  // Session. A TCP proxy cannot know when nothing would be lost: draining waits for the peers.
  void drain() override {}
  void closeNow() override;

  // ConnectionOwner, of the client and of the upstream connection until that is up.
  size_t onData(Connection& c, std::span<char> bytes) override;
  void onReadEnd(Connection& c) override;
  void onConnected(Connection& c) override;
  void onClosed(Connection& c, CloseReason reason, int sysErrno) override;

  // HostWatcher, while relaying
  void onHostFailed(const Host& host) override;
  // HostWaiter, while the cluster adds the host that the client meant
  void onHostFound() override { connect(); }
  void onHostRefused(HostRefusal why) override;

  // RelayOwner
  void onRelayUsed() override;
  void onRelayClosing(Connection& c, CloseReason reason) override;
  void onRelayOver(const RelayEnd& end) override;

  void destroyDeferred() override;

 private:
  // What one connection moved, and what of it was counted.
  struct Moved {
    uint64_t read = 0;
    uint64_t written = 0;
  };
  void begin();
  void connect();
  std::string_view hostKey(const spec::OnDemand& rules, char* out);
  void noHost(ClusterLocal& cluster, std::string_view key);
  void openUpstream(const ClusterSnapshot& cluster);
  void attemptFailed(CloseReason reason, int sysErrno);
  void upstreamGone(CloseReason reason);
  void setFlag(ResponseFlag flag) { responseFlags_ |= uint64_t{1} << uint8_t(flag); }
  void giveUp(ResponseFlag flag);
  void tooOld();
  void countBytes();
  void finish();
  void log();

  WorkerContext& worker_;
  ListenerLocal& home_;
  Pin listener_;
  const TcpManager& manager_;
  std::string_view chainName_;
  StatBlock stats_;
  Relay relay_;
  Timer duration_;
  Connection* client_;
  Connection* upstream_ = nullptr;

  SlotId clusterSlot_ = kNoSlot;
  Pin cluster_;  // the snapshot that host_ is in
  const Host* host_ = nullptr;
  StatBlock clusterStats_;

  Address peer_;
  Address local_;
  Address upstreamLocal_;
  uint64_t startNs_;
  uint64_t connectStartNs_ = 0;
  uint64_t connectEndNs_ = 0;
  uint64_t clientId_;
  uint64_t upstreamId_ = 0;
  uint64_t responseFlags_ = 0;
  Moved clientMoved_;
  Moved upstreamMoved_;
  uint32_t attempts_ = 0;
  bool up_ = false;  // relaying
};

// A worker's recycled sessions and pipes.
struct TcpPools {
  ObjectPool<TcpSession> sessions;
  SplicePipes pipes;
};

}  // namespace millrace
