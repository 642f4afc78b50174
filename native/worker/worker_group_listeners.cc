// WorkerGroup: its listeners, and their sockets.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/clock.h"
#include "worker/worker_group.h"

namespace millrace {

namespace {

Result<Address> resolve(const spec::Address& a) {
  return a.isUnix() ? Address::unixPath(a.path) : Address::ip(a.ip, a.port);
}

ListenOptions optionsOf(const spec::Listener& listener, const spec::Address& at) {
  return {.reusePort = listener.reusePort,
          .ipv4Compat = listener.ipv4Compat,
          .freebind = listener.freebind,
          .transparent = listener.transparent,
          .backlog = int(listener.backlog),
          .unixMode = at.mode < 0 ? mode_t(0) : mode_t(at.mode)};
}

bool sameAddress(const spec::Address& a, const spec::Address& b) {
  return a.ip == b.ip && a.port == b.port && a.path == b.path;
}

}  // namespace

std::vector<std::string> WorkerGroup::addressesOf(const std::vector<Bound>& bound) {
  std::vector<std::string> addresses;
  for (const Bound& b : bound) addresses.push_back(b.local.toString());
  return addresses;
}

// Whether a listener of this group has, or is about to close, a socket on that port.
bool WorkerGroup::ownPort(const Address& at) {
  auto on = [&](const std::unique_ptr<Listening>& listening) {
    return std::ranges::any_of(listening->bound,
                               [&](const Bound& b) { return b.local.port() == at.port(); });
  };
  if (!at.isIp() || at.port() == 0) return false;
  uint64_t now = monotonicNs();
  std::erase_if(closing_, [&](const auto& closing) { return closing.second < now; });
  if (std::ranges::any_of(closing_, [&](const auto& c) { return c.first == at.port(); })) {
    return true;
  }
  return std::ranges::any_of(removed_, on) ||
         std::ranges::any_of(listeners_, [&](const auto& each) { return on(each.second); });
}

// What `from` (null: nobody) has and what can stay is kept: what waits in a backlog survives only
// there.
Result<WorkerGroup::Opened> WorkerGroup::openSockets(const spec::Listener& listener,
                                                     const Listening* from) {
  Opened opened;
  opened.options.backlog = listener.backlog;
  opened.options.freebind = listener.freebind;
  opened.options.transparent = listener.transparent;
  std::vector<bool> kept(from == nullptr ? 0 : from->bound.size());
  for (const spec::Address& at : listener.addresses) {
    auto address = resolve(at);
    if (!address) return address.error();
    const Bound* before = nullptr;
    for (size_t i = 0; i < kept.size() && before == nullptr; i++) {
      if (kept[i] || !sameAddress(from->bound[i].wanted, at)) continue;
      before = &from->bound[i];
      kept[i] = true;
    }
    if (before != nullptr && before->reusePort == listener.reusePort &&
        before->ipv4Compat == listener.ipv4Compat) {
      opened.bound.push_back(*before);
      opened.bound.back().wanted = at;
      opened.fresh.emplace_back();
      continue;
    }
    if (before != nullptr && !(before->reusePort && listener.reusePort && address->isIp())) {
      return Error{"ERR_MILLRACE_BIND",
                   before->local.toString() +
                       " is open: enable_reuse_port and ipv4_compat of its socket cannot change. "
                       "Give the listener another address, or restart",
                   EADDRINUSE};
    }
    ListenOptions options = optionsOf(listener, at);
    options.shared = options_.sharePorts || ownPort(*address);
    auto sockets = listenOn(*address, options, workers_.size());
    if (!sockets) return sockets.error();
    opened.bound.push_back(
        {nextSocket_++, at, listener.reusePort, listener.ipv4Compat, sockets->local});
    opened.fresh.push_back(std::move(sockets->fds));
  }
  return opened;
}

Result<std::vector<std::string>> WorkerGroup::addListener(spec::Listener listener) {
  if (stopped_) return stoppedError();
  if (listeners_.contains(listener.name)) {
    return Error{"ERR_MILLRACE_LISTENER",
                 "there is a listener named \"" + listener.name + "\" already", 0};
  }
  auto opened = openSockets(listener, nullptr);
  if (!opened) return opened.error();
  auto slot = table_.allocate("listener " + listener.name);
  if (!slot) return slot.error();
  std::string name = listener.name;
  auto config = ListenerConfig::build(std::move(listener), stats_, options_.concurrency);
  if (!config) {
    table_.release(*slot);
    return config.error();
  }
  table_.publish(*slot, std::move(*config));

  auto& listening = listeners_[name] = std::make_unique<Listening>();
  SharedListener& shared = listening->shared;
  shared.id = nextListener_++;
  shared.name = name;
  shared.slot = *slot;
  shared.unaware.store(uint32_t(workers_.size()), std::memory_order_relaxed);
  listening->bound = opened->bound;
  stageAdd(*listening, std::move(*opened));
  return addressesOf(listening->bound);
}

// Every worker learns of the listener; the last one that does lets all begin to accept.
void WorkerGroup::stageAdd(Listening& listening, Opened opened) {
  SharedListener& shared = listening.shared;
  for (size_t i = 0; i < workers_.size(); i++) {
    auto sockets = std::make_shared<std::vector<BoundSocket>>();
    for (size_t b = 0; b < opened.bound.size(); b++) {
      const Bound& bound = opened.bound[b];
      std::vector<Fd>& fresh = opened.fresh[b];
      if (i < fresh.size()) sockets->push_back({bound.number, std::move(fresh[i]), bound.local});
    }
    stage(*workers_[i], shared.id, [this, worker = workers_[i].get(), &shared, sockets] {
      worker->addListener(shared, std::move(*sockets));
      if (shared.unaware.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
      for (auto& each : workers_) {
        each->post([this, w = each.get(), id = shared.id, name = shared.name] {
          tellFailed(name, w->startAccepting(id));
        });
      }
    });
  }
}

// A worker's thread: the listener could not be had as it was asked for.
void WorkerGroup::tellFailed(const std::string& listener, const Status& status) {
  if (status.ok()) return;
  const Error& error = status.error();
  std::string message = error.message;
  if (error.sysErrno != 0) message += std::string(": ") + std::strerror(error.sysErrno);
  toMain([this, listener, message] { tellAcceptPaused(listener, message); });
}

Status WorkerGroup::unknownListener(const std::string& name) const {
  return Error{"ERR_MILLRACE_LISTENER", "there is no listener named \"" + name + "\"", 0};
}

Result<std::vector<std::string>> WorkerGroup::bindSockets(const spec::Listener& listener) {
  if (stopped_) return stoppedError();
  auto it = listeners_.find(listener.name);
  if (it == listeners_.end()) return unknownListener(listener.name).error();
  auto opened = openSockets(listener, it->second.get());
  if (!opened) return opened.error();
  it->second->next = std::make_unique<Opened>(std::move(*opened));
  return addressesOf(it->second->next->bound);
}

void WorkerGroup::useSockets(const std::string& name) {
  auto it = listeners_.find(name);
  if (it != listeners_.end() && it->second->next != nullptr) stageSockets(*it->second);
}

void WorkerGroup::dropSockets(const std::string& name) {
  auto it = listeners_.find(name);
  if (it != listeners_.end()) it->second->next.reset();
}

Status WorkerGroup::updateListener(spec::Listener listener) {
  auto it = listeners_.find(listener.name);
  if (it == listeners_.end()) return unknownListener(listener.name);
  auto config = ListenerConfig::build(std::move(listener), stats_, options_.concurrency);
  if (!config) return config.error();
  table_.publish(it->second->shared.slot, std::move(*config));
  return {};
}

void WorkerGroup::stageSockets(Listening& listening) {
  std::unique_ptr<Opened> next = std::move(listening.next);
  for (size_t i = 0; i < workers_.size(); i++) {
    auto change = std::make_shared<SocketChange>();
    for (size_t b = 0; b < next->bound.size(); b++) {
      const Bound& bound = next->bound[b];
      std::vector<Fd>& fresh = next->fresh[b];
      if (fresh.empty())
        change->keep.push_back({bound.number, optionsOf(next->options, bound.wanted)});
      if (i < fresh.size()) {
        change->add.push_back({bound.number, std::move(fresh[i]), bound.local});
      }
    }
    stage(*workers_[i], 0,
          [this, worker = workers_[i].get(), id = listening.shared.id, name = listening.shared.name,
           change] { tellFailed(name, worker->changeSockets(id, std::move(*change))); });
  }
  for (const Bound& before : listening.bound) {
    if (std::ranges::none_of(next->bound,
                             [&](const Bound& b) { return b.number == before.number; })) {
      closing_.emplace_back(before.local.port(), monotonicNs() + kClosingNs);
    }
  }
  listening.bound = std::move(next->bound);
}

Status WorkerGroup::drainListener(const std::string& name) {
  auto it = listeners_.find(name);
  if (it == listeners_.end()) return unknownListener(name);
  for (auto& worker : workers_) {
    stage(*worker, 0, [w = worker.get(), id = it->second->shared.id] { w->drainListener(id); });
  }
  return {};
}

Status WorkerGroup::removeListener(const std::string& name, uint32_t spreadMs, uint32_t graceMs) {
  auto it = listeners_.find(name);
  if (it == listeners_.end()) return unknownListener(name);
  Listening* listening = it->second.get();
  removed_.push_back(std::move(it->second));
  listeners_.erase(it);
  if (dropStaged(listening->shared.id)) {
    table_.release(listening->shared.slot);
    removed_.pop_back();
    return {};
  }
  // First everybody stops accepting. Only when all have is the listener taken down anywhere: a
  // connection that one worker was handing over to another is then already in that one's queue.
  auto step = std::make_shared<std::atomic<size_t>>(workers_.size());
  listening->workersLeft = uint32_t(workers_.size());
  // Together with all else that is changed now, requests learn that it is gone.
  table_.publish(listening->shared.slot, ListenerConfig::retire(*static_cast<const ListenerConfig*>(
                                             table_.latest(listening->shared.slot))));
  for (auto& worker : workers_) {
    stage(*worker, 0, [this, w = worker.get(), listening, spreadMs, graceMs, step] {
      w->drainListener(listening->shared.id);
      if (step->fetch_sub(1, std::memory_order_acq_rel) != 1) return;
      toMain([this, listening, spreadMs, graceMs] { takeDown(listening, spreadMs, graceMs); });
    });
  }
  return {};
}

void WorkerGroup::takeDown(Listening* listening, uint32_t spreadMs, uint32_t graceMs) {
  for (auto& worker : workers_) {
    worker->post([this, w = worker.get(), listening, spreadMs, graceMs] {
      w->removeListener(listening->shared.id, spreadMs, graceMs, [this, listening] {
        toMain([this, listening] {
          if (--listening->workersLeft != 0) return;
          table_.release(listening->shared.slot);
          std::erase_if(removed_, [listening](const auto& l) { return l.get() == listening; });
        });
      });
    });
  }
}

void WorkerGroup::tellAcceptPaused(const std::string& listener, const std::string& message) {
  if (!options_.onEvent) return;
  options_.onEvent({Options::Event::Kind::kAcceptPaused, listener, message});
}

void WorkerGroup::setHealthFailed(bool failed) {
  for (auto& worker : workers_) {
    worker->post([w = worker.get(), failed] { w->context().healthFailed = failed; });
  }
}

void WorkerGroup::drainAll(uint32_t spreadMs) {
  for (auto& worker : workers_) {
    worker->post([w = worker.get(), spreadMs] { w->drainAll(spreadMs); });
  }
}

}  // namespace millrace
