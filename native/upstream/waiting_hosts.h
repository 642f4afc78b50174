// What one worker waits for in an on-demand cluster: hosts that requests named and that the
// worker's snapshot does not have.
//
//   request ─ pick: none ─▶ await(key) ─▶ asked: the main thread adds the host, and publishes
//                               │             ├── a snapshot with the host ─▶ onHostFound()
//                               │             ├── refuse() by the main thread ─▶ onHostRefused()
//                               │             ├── nothing in time ─▶ onHostRefused()
//                               │             └── the cluster is gone ─▶ onHostRefused()
//                               └── too many wait ─▶ false
//
// However many wait for a key, the main thread is asked for it once. A key that nobody waits for
// any more is kept until it is answered or its time is over, so that clients that come and go
// cannot make questions faster than that. Thread rule: the worker's loop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/list.h"
#include "event/loop.h"
#include "upstream/resources.h"

namespace millrace {

class ClusterLocal;
class Host;

enum class HostRefusal : uint8_t {
  kUnresolved,  // its name has no address
  kFull,        // the cluster holds as many hosts as it may
  kTimeout,     // no answer in time
  kGone,        // the cluster was withdrawn
};

// A request or connection that waits for a host. Keeps a pin on the cluster while it does.
class HostWaiter : public ListNode<HostWaiter> {
 public:
  // It is in the worker's snapshot now, unless it left at once: pick again.
  virtual void onHostFound() = 0;
  virtual void onHostRefused(HostRefusal why) = 0;
  bool waitsForHost() const { return counted_ != nullptr; }
  // Does not want it any more; nothing follows.
  void stopWaiting() {
    unlink();
    if (counted_ != nullptr) counted_->give();
    counted_ = nullptr;
  }

 protected:
  ~HostWaiter() { stopWaiting(); }

 private:
  friend class WaitingHosts;
  Resource* counted_ = nullptr;  // the cluster's; null: does not wait
};

class WaitingHosts {
 public:
  // Part of `cluster`.
  explicit WaitingHosts(ClusterLocal& cluster);
  WaitingHosts(const WaitingHosts&) = delete;
  WaitingHosts& operator=(const WaitingHosts&) = delete;

  // False: as many wait as may; `waiter` is not called then. Else it is called later.
  bool await(std::string_view key, HostWaiter& waiter);
  // Another snapshot is in force. In the quiet period: whoever has an answer gets it a tick later.
  void snapshotChanged() { soon(); }
  // It came and went between two snapshots of this worker, perhaps: whoever waits for it asks anew.
  // In the quiet period, when the newer one is in force.
  void hostRemoved(const Host& host);
  // The main thread will not add this host. Not in the quiet period.
  void refuse(std::string_view key, HostRefusal why);
  // The cluster is gone. In the quiet period: as snapshotChanged(); afterwards it is empty.
  void clusterGone();
  bool empty() const { return wanted_.empty(); }

 private:
  struct Wanted {
    std::string key;
    uint64_t deadlineMs = 0;
    List<HostWaiter> waiters;
  };
  using Map = std::unordered_map<std::string_view, std::unique_ptr<Wanted>>;

  void soon();
  void answer();
  static void move(List<HostWaiter>& from, List<HostWaiter>& to);
  static void tell(List<HostWaiter>& waiters, HostRefusal why);

  ClusterLocal& cluster_;
  Map wanted_;  // keys are those of the entries
  Timer timer_;
  bool gone_ = false;
};

}  // namespace millrace
