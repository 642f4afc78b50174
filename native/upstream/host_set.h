// The hosts of one cluster, as its snapshots state them (HostEntry), as the main thread keeps them
// (HostSet), and what became of them from one snapshot to the next (HostHistory).
//
//   set(), remove() ──▶ HostSet ──entries()──▶ snapshot n ─────────▶ snapshot n+1
//                          └──takeChanges()──▶ history ──changes──▶ history
//
// A host keeps its place among the entries for as long as it is in the cluster; a place that became
// free is given to a later host. Entries may thus have holes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "upstream/cluster_spec.h"
#include "upstream/host.h"
#include "upstream/host_index.h"
#include "upstream/host_keys.h"

namespace millrace {

using Health = spec::Host::Health;
using HostStatus = spec::Host::Status;

// `envoy.lb` of a host. Immutable.
class HostMetadata {
 public:
  // `flat`: key, value, key, value…
  explicit HostMetadata(std::vector<std::string> flat);
  // Whether one of the values of `key` is `value`.
  bool has(std::string_view key, std::string_view value) const;
  // The first value of `key`; empty when there is none.
  std::string_view first(std::string_view key) const;
  const std::vector<std::pair<std::string, std::string>>& sorted() const { return sorted_; }

 private:
  std::vector<std::pair<std::string, std::string>> sorted_;
};

// A host as one snapshot sees it. What it points to lives at least as long as the snapshot.
struct HostEntry {
  const Host* host = nullptr;              // null: a hole
  const HostMetadata* metadata = nullptr;  // null: none
  uint64_t healthySinceNs = 0;             // on the monotonic clock; while it is healthy
  uint32_t weight = 1;
  uint32_t locality = 0;  // index into the snapshot's localities
  uint8_t priority = 0;
  Health health = Health::kHealthy;
  HostStatus status = HostStatus::kUnknown;
  bool excluded = false;  // left out of counting for panic and spill-over
  bool canary = false;
};

// What a worker may have to act on. Health that only changes who is picked is no such thing: the
// new snapshot says it.
struct HostChange {
  enum class Kind : uint8_t {
    kRemoved,
    kFailed,  // was healthy or degraded, and is unhealthy now
  };
  const Host* host;
  Kind kind;
};

// One link of the chain of changes: `changes` lead from the snapshots that hold this link to those
// that hold the next. It keeps what those snapshots and older ones point to and newer ones do not.
// Made, extended and destroyed on the main thread; a worker that has a snapshot with this link and
// a later one may read the links between.
class HostHistory {
 public:
  HostHistory() = default;
  ~HostHistory();
  HostHistory(const HostHistory&) = delete;
  HostHistory& operator=(const HostHistory&) = delete;

  std::vector<HostChange> changes;
  std::vector<std::shared_ptr<const void>> kept;
  std::shared_ptr<HostHistory> next;

  // Calls `fn(const HostChange&)` for what happened from `from` to `to`, which is the same link or
  // a later one.
  template <typename F>
  static void walk(const HostHistory* from, const HostHistory* to, F fn) {
    for (; from != to; from = from->next.get()) {
      for (const HostChange& change : from->changes) fn(change);
    }
  }
};

// Main thread: the hosts of one cluster, by id. The cost of set() and remove() does not depend on
// how many there are.
class HostSet {
 public:
  explicit HostSet(uint32_t workers) : workers_(workers) {}

  // Whether a host can be at this address, as things are now. Error: ERR_MILLRACE_ADDRESS.
  static Status check(const spec::Address& address);

  // Adds a host or changes it. A known id keeps its Host while address, additional addresses and
  // hostname stay; otherwise the old one is removed, and this is another one. Errors:
  // ERR_MILLRACE_ADDRESS; nothing has changed then.
  Status set(const spec::Host& spec);
  // An unknown id: nothing happens.
  void remove(uint64_t id);
  // Removes everything that is not among `hosts`, and sets those. As set(): all or nothing.
  Status replace(const std::vector<spec::Host>& hosts);
  // As one step, all or nothing: first `remove`, then `set`.
  Status apply(const spec::HostDelta& delta);

  // Whether hosts weigh what they report themselves, instead of what set() says. Before replace().
  void weighByReports(bool on) { byReports_ = on; }
  // Takes what hosts have reported; those that have nothing to say weigh what half of the others of
  // their priority do at the most (1 where there are none). False: nothing has changed.
  bool reweigh(const spec::ClientWeights& rules, uint64_t nowNs);
  const std::vector<HostEntry>& entries() const { return entries_; }
  // By address. For snapshots of entries() as they are now.
  std::shared_ptr<const HostIndex> index() const { return index_; }
  size_t size() const { return byId_.size(); }
  size_t count(Health health) const { return counts_[size_t(health)]; }
  // The hosts by key, of a cluster whose requests name them.
  std::shared_ptr<const HostKeys> keys();
  // Moves what happened since the last call into `history`; false when nothing did that a worker or
  // an older snapshot has to do with.
  bool takeChanges(HostHistory& history);
  // The cluster is gone: its last snapshots live on with what they point to.
  void giveAll(HostHistory& history);

 private:
  struct Owned {
    std::shared_ptr<const Host> host;
    std::shared_ptr<const HostMetadata> metadata;
    uint32_t place;
    uint32_t reported = 0;  // the weight that it has by its reports; 0: none
  };
  struct Resolved;
  static Result<Resolved> resolve(const spec::Host& spec);
  void put(const spec::Host& spec, Resolved addresses);
  void take(Owned& owned);
  void addToIndex(const Owned& owned);
  uint32_t weightOf(const Owned& owned, const spec::Host& spec) const;

  const uint32_t workers_;
  std::unordered_map<uint64_t, Owned> byId_;
  std::vector<HostEntry> entries_;
  std::shared_ptr<HostIndex> index_ = std::make_shared<HostIndex>(0);
  std::vector<uint32_t> holes_;
  std::unique_ptr<HostKeysBuilder> keys_;  // null: nobody asked for them yet
  size_t counts_[3] = {};
  std::vector<HostChange> changes_;
  std::vector<std::shared_ptr<const void>> kept_;
  bool byReports_ = false;
  std::vector<uint32_t> medians_;  // with byReports_: what new hosts weigh, by priority
};

}  // namespace millrace
