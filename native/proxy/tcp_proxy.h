// The TCP proxy: bytes of one client's connection to one host of a cluster and back (tcp_proxy.proto).
//
//   accepted ─▶ cluster and host chosen ─▶ connecting (up to maxConnectAttempts hosts) ─▶ relaying ─▶ closed, logged
//
// Thread rule: managers are built on the main thread and immutable; sessions belong to their worker's loop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/object_pool.h"
#include "base/result.h"
#include "net/address.h"
#include "proxy/session.h"
#include "proxy/spec.h"
#include "rcu/reader.h"
#include "stats/registry.h"

namespace millrace {

struct WorkerContext;

// A filter chain's TCP proxy, compiled. Part of the listener's snapshot.
class TcpManager {
 public:
  // `stats` outlives this; `where` is its path in the configuration, for errors.
  static Result<std::unique_ptr<TcpManager>> build(spec::TcpProxy spec, StatsRegistry& stats,
                                                   const std::string& where);
};

class TcpSession {
 public:
  // Takes over `fd`. `listener` pins the snapshot that `manager` is in. Null (and `fd` closed) when the poller takes no
  // more. A session that could be begun is in home.sessions until it is closed.
  static Session* accept(WorkerContext& worker, ListenerLocal& home, Pin listener,
                         const TcpManager& manager, std::string_view chainName, int fd,
                         const Address& peer, const Address& local, uint32_t bufferLimit);
};

// A worker's recycled sessions and pipes.
struct TcpPools {};

}  // namespace millrace
