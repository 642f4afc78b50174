// A listener's configuration as workers read it: filter chains, compiled. Immutable; a connection
// pins the one it was accepted with. When the listener is changed, TCP goes on with that one; HTTP
// goes over to the new one with the next request.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "net/address.h"
#include "proxy/http_manager.h"
#include "proxy/spec.h"
#include "proxy/tcp_proxy.h"
#include "rcu/snapshot.h"

namespace millrace {

struct FilterChain {
  std::string name;
  uint16_t destinationPort = 0;  // 0: any
  std::variant<std::unique_ptr<HttpManager>, std::unique_ptr<TcpManager>> filter;
};

class ListenerConfig final : public Snapshot {
 public:
  // Builds on the main thread, for that many workers. `stats` outlives the snapshot. Errors carry
  // the path of what is wrong.
  static Result<std::unique_ptr<ListenerConfig>> build(spec::Listener spec, StatsRegistry& stats,
                                                       uint32_t workers);
  // The same, but gone from the configuration: what it still has ends, and requests that come then
  // are answered without being served. Main thread.
  static std::unique_ptr<ListenerConfig> retire(const ListenerConfig& config);
  ~ListenerConfig() override;

  // The chain for a connection to this port: by destination port, else one without, else the
  // default chain; null: close.
  const FilterChain* match(uint16_t localPort) const;
  // Where the client of an accepted connection meant to go, if the listener restores that
  // (`original_dst`) and the connection did not simply come here; sockets of a transparent listener
  // have that address themselves. System calls.
  std::optional<Address> destinationOf(const Connection& accepted) const;
  bool retired() const { return retired_; }
  // Connections that the listener may have; no limit: UINT32_MAX.
  uint32_t bufferLimit() const { return spec_.bufferLimit; }
  const spec::Listener& spec() const { return spec_; }
  BlockId statBlock() const { return statBlock_; }

 private:
  struct Chains {
    std::vector<FilterChain> byPort;
    std::optional<FilterChain> fallback;
  };
  ListenerConfig(spec::Listener spec, StatsRegistry& stats);

  spec::Listener spec_;  // without its filter chains
  StatsRegistry& stats_;
  BlockId statBlock_;
  std::shared_ptr<const Chains> chains_;
  bool retired_ = false;
};

}  // namespace millrace
