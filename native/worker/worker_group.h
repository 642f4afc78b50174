// A group of workers with its slot table, logs and listeners: everything that the main thread tells
// them goes through here. What src/native/ calls NativeCore is this, with JavaScript values.
//
// Thread rule: one thread, the one that made it (the main thread). Workers reach it by toMain()
// only.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/mpsc_list.h"
#include "flush/flush_file.h"
#include "proxy/listener_config.h"
#include "proxy/spec.h"
#include "rcu/slot_table.h"
#include "stats/registry.h"
#include "upstream/cluster.h"
#include "worker/worker.h"

namespace millrace {

class WorkerGroup {
 public:
  static constexpr uint32_t kReopenWaitMs = 1000;  // for the outcome of reopening one log
  // Hosts that workers have asked for and nobody took: what a main thread that is stalled for long
  // may find. Beyond it requests that name further ones are refused.
  static constexpr uint32_t kMostWanted = 65'536;

  struct Options {
    uint32_t concurrency = 1;
    // Asks the main thread to call turn() soon. Any thread may call it; calls may be merged.
    std::function<void()> wakeMain;
    // What happened that a person may want to know. Main thread, from turn().
    struct Event {
      enum class Kind : uint8_t {
        kLogFailing,
        kLogRecovered,
        kLogReopenFailed,
        kLogRotateFailed,
        kAcceptPaused
      };
      Kind kind;
      std::string subject;  // the log's target, or the listener's name
      std::string message;
    };
    std::function<void(const Event&)> onEvent;
    // There are events to be had with takeOutlierEvents(). Main thread, from turn().
    std::function<void()> onOutlier;
    // There are hosts to be had with takeWantedHosts(). Main thread, from turn().
    std::function<void()> onHostsWanted;
    // After beginStop(): every log is written out. Main thread, from turn().
    std::function<void()> onLogsWritten;
    // Listeners may share their ports with other processes (see ListenOptions::shared).
    bool sharePorts = false;
  };
  // A host that requests to an on-demand cluster name and that it does not have.
  struct WantedHost {
    SlotId slot;
    std::string key;
  };
  // Of an on-demand cluster.
  struct Waiting {
    uint32_t now = 0;        // requests and connections that wait for a host
    uint64_t overflows = 0;  // those that were not let to
  };
  struct StopReport {
    struct Lost {
      std::string target;
      uint64_t lines, bytes;
    };
    uint32_t connectionsCut = 0;
    std::vector<Lost> logsLost;
  };
  struct WorkerStats {
    uint32_t connections;
    uint64_t requests, busyNs, turns, handedOver, received, lag;
    uint64_t bytesHeld;             // for what peers sent and have yet to take
    uint64_t poolHits, poolMisses;  // requests to upstreams that found a connection, or did not
  };
  struct HostStats {
    uint64_t id;
    std::string address, hostname;
    uint32_t weight;
    spec::Host::Health health;
    uint8_t priority;
    uint32_t locality;
    bool canary;
    uint64_t cxActive, cxTotal, cxConnectFail, rqActive, rqTotal, rqSuccess, rqError, rqTimeout;
  };
  struct LogOptions {
    FlushSink::Target target;
    std::string name;  // for people: the path, or "stdout"
    uint32_t intervalMs = FlushOptions::kIntervalMs;
    size_t ringBytes = FlushOptions::kRingBytes;
    FlushRotation rotation = {};
  };
  struct LogStats {
    std::string target;
    FlushStats stats;
  };
  struct LogError {
    std::string target, message;
  };

  static Result<std::unique_ptr<WorkerGroup>> create(Options options);
  // Stops with a deadline of FlushFile::kDestructorStopMs if that was not done.
  ~WorkerGroup();
  WorkerGroup(const WorkerGroup&) = delete;
  WorkerGroup& operator=(const WorkerGroup&) = delete;

  void start();
  bool stopped() const { return stopped_; }
  // Closes every listener and connection, ends the threads, and lets the logs be written out within
  // the deadline, without waiting: onLogsWritten tells, unless one of them hangs in the kernel.
  // Nothing but stop() and reading stats is allowed afterwards.
  void beginStop(uint32_t deadlineMs);
  // The same, if that was not done, and waits for the logs, until the earliest deadline that was
  // given; never for what is over.
  StopReport stop(uint32_t deadlineMs);
  // Hands on what was published and staged, frees what came back, runs what workers posted. Called
  // after wakeMain(). What one turn of the main thread's loop published and told listeners becomes
  // visible to a worker all at once.
  void turn();
  // Until resume(), turn() hands on nothing of what was published and staged: what takes several
  // turns to publish becomes visible all at once, too.
  void hold() { held_ = true; }
  void resume();
  // Calls `done` on the main thread when every worker uses all that was published, and has carried
  // out all that was said about listeners, before this call. Not called when the group stops first.
  void whenTaken(std::function<void()> done);

  // For route tables and clusters; what is published there first decides for which.
  Result<SlotId> allocateSlot(std::string_view name);
  Status releaseSlot(SlotId slot);
  Status publishRoutes(SlotId slot, spec::RouteTable table);
  Status publishCluster(SlotId slot, const spec::Cluster& cluster);
  // Changes hosts of the cluster that was published last.
  Status updateHosts(SlotId slot, const spec::HostDelta& delta);
  // Takes the weights that hosts of the cluster have reported (`clientWeights`).
  Status reweigh(SlotId slot);
  // The cluster of the proxies themselves, for zone-aware routing of the others.
  void setLocalCluster(const spec::LocalCluster& local);
  // Requests to it are answered as for an unknown cluster; the slot stays allocated.
  Status withdrawCluster(SlotId slot);
  void publishDirectory(std::vector<std::pair<std::string, SlotId>> names);
  void publishRuntime(std::vector<spec::RuntimeValue> values);
  void publishDate(std::string text);

  Result<uint32_t> openLog(const LogOptions& options);
  // What the log holds is still written, for at most FlushFile::kDestructorStopMs; nobody waits.
  void closeLog(uint32_t log);
  // Errors: FlushFile::rotate().
  Status rotateLog(uint32_t log, const FlushRotation& rotation);
  std::vector<LogError> reopenLogs();
  std::vector<LogStats> logStats() const;

  // The addresses that are listened on, with the ports that the system chose.
  Result<std::vector<std::string>> addListener(spec::Listener listener);
  // Opens the sockets that the listener needs to become this one, and has not; the others stay.
  // They are in use after useSockets(), which cannot fail; dropSockets() closes them instead.
  Result<std::vector<std::string>> bindSockets(const spec::Listener& listener);
  void useSockets(const std::string& name);
  void dropSockets(const std::string& name);
  // Its connections live on; HTTP goes over to it with the next request.
  Status updateListener(spec::Listener listener);
  // Stops accepting. What waits is accepted first, as far as the system lets one; each response is
  // then the last one of its connection.
  Status drainListener(const std::string& name);
  // As drainListener(), for good: what is idle is closed, evenly over spreadMs, and what is left
  // after graceMs is cut.
  Status removeListener(const std::string& name, uint32_t spreadMs, uint32_t graceMs);
  // Each response is the last one of its connection; what is idle is closed, evenly over spreadMs.
  void drainAll(uint32_t spreadMs);
  // While failed, listeners that drain by default tell clients to go elsewhere (Connection: close).
  void setHealthFailed(bool failed);
  void resetCounters() { stats_.resetCounters(); }

  std::vector<WorkerStats> workerStats() const;
  void visitStats(StatVisitor& visitor) const {
    stats_.visit(visitor);
    clusters_.visitGauges(visitor);
  }
  // Of what is no cluster, this and what follows is empty.
  std::vector<HostStats> clusterHosts(SlotId slot) const;
  // What workers found out about hosts since the last call, in the order in which it came.
  std::vector<OutlierEvent> takeOutlierEvents();
  // What was counted of the cluster's hosts since the last call.
  std::vector<OutlierCount> outlierWindow(SlotId slot) const;
  // These hosts were un-ejected: their rows of failures begin anew.
  void resetOutliers(SlotId slot, std::vector<uint64_t> hosts) const;
  // What workers asked for since the last call; a key may be there several times. Each is to be
  // answered by updateHosts() or refuseHosts(), or requests wait for it until they give up.
  std::vector<WantedHost> takeWantedHosts();
  // What was committed or published before reaches a worker before this does.
  void refuseHosts(SlotId slot, std::vector<std::string> keys, HostRefusal why);
  // Hosts of an on-demand cluster (ids) that requests went to since the last call;
  // `orConnected`: also those that connections are open to.
  std::vector<uint64_t> takeUsedHosts(SlotId slot, bool orConnected) const;
  Waiting waiting(SlotId slot) const;
  // On all workers, those included that are on their way from one to another.
  uint32_t connectionCount() const;
  // Sockets that workers accept on. One that is closing counts until all that waited is accepted,
  // and so in connectionCount() if that is read afterwards.
  uint32_t socketCount() const;
  uint32_t listenerConnections(const std::string& name) const;
  SlotTable::Stats slotStats() const { return table_.stats(); }

 private:
  struct Log;
  // An address that a listener listens on, with a socket for each worker, or one for all.
  struct Bound {
    uint32_t number;
    spec::Address wanted;
    bool reusePort, ipv4Compat;
    Address local;
  };
  // Sockets that are open, and that no worker knows of yet.
  struct Opened {
    std::vector<Bound> bound;            // all that the listener will have
    std::vector<std::vector<Fd>> fresh;  // of `bound`, by index; none: they are there already
    spec::Listener options;              // its socket options alone
  };
  struct Listening {
    SharedListener shared;
    std::vector<Bound> bound;
    std::unique_ptr<Opened> next;  // what bindSockets() opened
    uint32_t workersLeft = 0;      // that have not let go of a removed listener
  };
  explicit WorkerGroup(Options options);
  Status makeWorkers();
  static Error stoppedError();
  void toMain(std::function<void()> fn);
  void tellLog(const std::string& name, const FlushEvent& event);
  void logWritten(uint32_t log);
  void publishAll(std::vector<std::unique_ptr<ClusterSnapshot>> snapshots);
  bool wantHost(SlotId slot, std::string_view key);
  // Runs `fn` on the worker's thread after the next commit, when the worker has taken it.
  // `listener`: whom it is about, 0: nobody.
  void stage(Worker& worker, uint32_t listener, std::function<void()> fn);
  void postStaged();
  bool dropStaged(uint32_t listener);
  enum class SlotUse : uint8_t { kNone, kRoutes, kCluster };
  Status checkSlot(SlotId slot) const;
  // The slot is there, and for that, from now on.
  Status useSlot(SlotId slot, SlotUse use);
  // Null: nothing of the kind is there.
  const ClusterSnapshot* clusterIn(SlotId slot) const;
  Status unknownListener(const std::string& name) const;
  void takeDown(Listening* listening, uint32_t spreadMs, uint32_t graceMs);
  Result<Opened> openSockets(const spec::Listener& listener, const Listening* from);
  bool ownPort(const Address& at);
  static std::vector<std::string> addressesOf(const std::vector<Bound>& bound);
  void tellFailed(const std::string& listener, const Status& status);
  void stageAdd(Listening& listening, Opened opened);
  void stageSockets(Listening& listening);
  void tellAcceptPaused(const std::string& listener, const std::string& message);

  const Options options_;
  StatsRegistry stats_;  // outlives every snapshot
  SlotTable table_;
  ClusterRegistry clusters_;
  CommonSlots common_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::map<std::string, std::unique_ptr<Listening>> listeners_;
  std::vector<std::unique_ptr<Listening>> removed_;  // until every worker let go of them
  std::map<uint32_t, std::unique_ptr<Log>> logs_;
  std::map<uint32_t, std::unique_ptr<Log>> closedLogs_;  // until they are written out
  size_t logsLeft_ = 0;                                  // after beginStop()
  std::unordered_map<SlotId, SlotUse> slots_;            // those of allocateSlot()
  // Ports of sockets that listeners gave up a moment ago: workers may be closing them still.
  static constexpr uint64_t kClosingNs = 5000 * kNsPerMs;
  std::vector<std::pair<uint16_t, uint64_t>> closing_;  // port, until when
  uint32_t nextListener_ = 1, nextSocket_ = 1, nextLog_ = 0;
  // What workers are told together with the next commit, so that a listener never serves with half
  // of what was published with it.
  struct Staged {
    Worker* worker;
    uint32_t listener;
    std::function<void()> fn;
  };
  std::vector<Staged> staged_;
  // Who waits for this turn's commit; null: nobody.
  std::shared_ptr<std::vector<std::function<void()>>> waiting_;
  bool started_ = false, stopped_ = false, logsStopped_ = false, held_ = false;
  StopReport report_;
  std::vector<OutlierEvent> outlierEvents_;
  std::vector<WantedHost> wanted_;
  std::atomic<uint32_t> wantedCount_{0};  // of wanted_, and on their way to it
  struct ToMain {
    std::function<void()> fn;
    ToMain* next = nullptr;
  };
  MpscList<ToMain> toMain_;
};

}  // namespace millrace
