#include "upstream/waiting_hosts.h"

#include <algorithm>

#include "net/net_context.h"
#include "upstream/upstream_worker.h"

namespace millrace {

WaitingHosts::WaitingHosts(ClusterLocal& cluster)
    : cluster_(cluster),
      timer_([](void* self) { static_cast<WaitingHosts*>(self)->answer(); }, this) {}

bool WaitingHosts::await(std::string_view key, HostWaiter& waiter) {
  MR_DASSERT(!waiter.waitsForHost());
  const ClusterSnapshot& snapshot = cluster_.snapshot();
  const spec::OnDemand& rules = *snapshot.onDemand();
  Resource& waiting = snapshot.identity().waiting();
  auto it = wanted_.find(key);
  // Entries that nobody waits for count too, or they would have no limit.
  bool full = it == wanted_.end() && wanted_.size() >= rules.maxWaiting;
  if (full || !waiting.tryTake(rules.maxWaiting)) {
    snapshot.identity().countWaitingOverflow();
    return false;
  }
  waiter.counted_ = &waiting;
  if (it == wanted_.end()) {
    Loop& loop = cluster_.worker().net().loop();
    auto wanted = std::make_unique<Wanted>();
    wanted->key = key;
    wanted->deadlineMs = loop.nowMs() + rules.waitMs;
    std::string_view own = wanted->key;
    it = wanted_.emplace(own, std::move(wanted)).first;
    // A timer that stands earlier looks at all of them then.
    if (!timer_.armed()) loop.arm(timer_, rules.waitMs);
    if (!cluster_.worker().want(cluster_.slot(), key)) {
      wanted_.erase(it);
      waiter.stopWaiting();
      snapshot.identity().countWaitingOverflow();
      return false;
    }
  }
  it->second->waiters.pushBack(&waiter);
  return true;
}

void WaitingHosts::hostRemoved(const Host& host) {
  if (wanted_.empty()) return;
  auto it = wanted_.find(host.key());
  if (it == wanted_.end() || cluster_.snapshot().onDemand() == nullptr) return;
  if (cluster_.snapshot().find(host.key()) == nullptr) {
    cluster_.worker().want(cluster_.slot(), host.key());  // if that fails, time decides
  }
}

void WaitingHosts::soon() {
  if (!wanted_.empty()) cluster_.worker().net().loop().arm(timer_, 0);
}

void WaitingHosts::clusterGone() {
  gone_ = true;
  std::erase_if(wanted_, [](const auto& entry) { return entry.second->waiters.empty(); });
  if (wanted_.empty()) cluster_.worker().net().loop().cancel(timer_);
  soon();
}

// Whoever is told may leave, stop others, or wait anew: lists are complete before the first call.
void WaitingHosts::answer() {
  Loop& loop = cluster_.worker().net().loop();
  const ClusterSnapshot& snapshot = cluster_.snapshot();
  List<HostWaiter> found, late;
  uint64_t next = 0;
  for (auto it = wanted_.begin(); it != wanted_.end();) {
    Wanted& wanted = *it->second;
    // A cluster that is not on-demand any more has an answer for everybody.
    bool isThere =
        !gone_ && (snapshot.onDemand() == nullptr || snapshot.find(wanted.key) != nullptr);
    if (isThere || gone_ || wanted.deadlineMs <= loop.nowMs()) {
      move(wanted.waiters, isThere ? found : late);
      it = wanted_.erase(it);
      continue;
    }
    if (next == 0 || wanted.deadlineMs < next) next = wanted.deadlineMs;
    ++it;
  }
  if (next != 0) loop.arm(timer_, next - loop.nowMs());
  while (HostWaiter* waiter = found.front()) {
    waiter->stopWaiting();
    waiter->onHostFound();
  }
  tell(late, gone_ ? HostRefusal::kGone : HostRefusal::kTimeout);
  if (gone_) cluster_.finishIfDrained();
}

void WaitingHosts::refuse(std::string_view key, HostRefusal why) {
  auto it = wanted_.find(key);
  if (it == wanted_.end()) return;
  List<HostWaiter> refused;
  move(it->second->waiters, refused);
  wanted_.erase(it);
  tell(refused, why);
}

void WaitingHosts::move(List<HostWaiter>& from, List<HostWaiter>& to) {
  while (HostWaiter* waiter = from.popFront()) to.pushBack(waiter);
}

void WaitingHosts::tell(List<HostWaiter>& waiters, HostRefusal why) {
  while (HostWaiter* waiter = waiters.front()) {
    waiter->stopWaiting();
    waiter->onHostRefused(why);
  }
}

}  // namespace millrace
