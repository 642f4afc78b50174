#include "proxy/listener_config.h"

#include "proxy/listener_stats.h"

namespace millrace {

namespace {

Result<FilterChain> buildChain(spec::FilterChain spec, StatsRegistry& stats, uint32_t workers,
                               const std::string& where) {
  FilterChain chain;
  chain.name = std::move(spec.name);
  chain.destinationPort = spec.destinationPort;
  if (auto* http = std::get_if<spec::HttpManager>(&spec.filter)) {
    auto manager = HttpManager::build(std::move(*http), stats, workers, where);
    if (!manager) return manager.error();
    chain.filter = std::move(*manager);
  } else {
    auto manager =
        TcpManager::build(std::move(*std::get_if<spec::TcpProxy>(&spec.filter)), stats, where);
    if (!manager) return manager.error();
    chain.filter = std::move(*manager);
  }
  return chain;
}

std::string statAddress(const spec::Listener& spec) {
  if (!spec.statPrefix.empty()) return spec.statPrefix;
  const spec::Address& at = spec.addresses.front();
  if (at.isUnix()) return at.path;
  bool v6 = at.ip.find(':') != std::string::npos;
  // As Envoy: ':' would split a statsd name.
  std::string text = (v6 ? "[" + at.ip + "]" : at.ip) + "_" + std::to_string(at.port);
  for (char& c : text) {
    if (c == ':') c = '_';
  }
  return text;
}

}  // namespace

ListenerConfig::ListenerConfig(spec::Listener spec, StatsRegistry& stats)
    : spec_(std::move(spec)), stats_(stats) {
  std::string address = statAddress(spec_);
  statBlock_ = stats_.block(
      {"listener." + address + ".", "listener.", {{"envoy.listener_address", address}}},
      kListenerStatLeaves);
}

ListenerConfig::~ListenerConfig() {
  stats_.release(statBlock_);
}

Result<std::unique_ptr<ListenerConfig>> ListenerConfig::build(spec::Listener spec,
                                                              StatsRegistry& stats,
                                                              uint32_t workers) {
  auto chains = std::move(spec.filterChains);
  auto fallback = std::move(spec.defaultFilterChain);
  spec.filterChains.clear();
  spec.defaultFilterChain.reset();
  if (spec.addresses.empty()) {
    return Error{"ERR_MILLRACE_LISTENER", "addresses: a listener has at least one", 0};
  }
  std::unique_ptr<ListenerConfig> config(new ListenerConfig(std::move(spec), stats));
  auto built = std::make_shared<Chains>();
  for (size_t i = 0; i < chains.size(); i++) {
    auto chain =
        buildChain(std::move(chains[i]), stats, workers, "filterChains[" + std::to_string(i) + "]");
    if (!chain) return chain.error();
    built->byPort.push_back(std::move(*chain));
  }
  if (fallback) {
    auto chain = buildChain(std::move(*fallback), stats, workers, "defaultFilterChain");
    if (!chain) return chain.error();
    built->fallback.emplace(std::move(*chain));
  }
  config->chains_ = std::move(built);
  return config;
}

std::unique_ptr<ListenerConfig> ListenerConfig::retire(const ListenerConfig& config) {
  std::unique_ptr<ListenerConfig> retired(new ListenerConfig(config.spec_, config.stats_));
  retired->chains_ = config.chains_;
  retired->retired_ = true;
  return retired;
}

std::optional<Address> ListenerConfig::destinationOf(const Connection& accepted) const {
  if (!spec_.originalDst) return std::nullopt;
  if (spec_.transparent) return accepted.local().unmapped();
  Address meant = accepted.originalDestination();
  if (!accepted.wasRedirected(meant)) return std::nullopt;
  return meant.unmapped();
}

const FilterChain* ListenerConfig::match(uint16_t localPort) const {
  const FilterChain* any = nullptr;
  for (const FilterChain& chain : chains_->byPort) {
    if (chain.destinationPort == 0) {
      if (any == nullptr) any = &chain;
    } else if (chain.destinationPort == localPort) {
      return &chain;
    }
  }
  if (any != nullptr) return any;
  return chains_->fallback ? &*chains_->fallback : nullptr;
}

}  // namespace millrace
