#include "worker/worker_group.h"

#include <cstring>
#include <utility>

#include "base/clock.h"
#include "proxy/date.h"
#include "proxy/route_table.h"
#include "proxy/runtime.h"

namespace millrace {

struct WorkerGroup::Log {
  std::string name;
  std::unique_ptr<FlushFile> file;
};

Result<std::unique_ptr<WorkerGroup>> WorkerGroup::create(Options options) {
  std::unique_ptr<WorkerGroup> group(new WorkerGroup(std::move(options)));
  Status status = group->makeWorkers();
  if (!status.ok()) return status.error();
  return group;
}

WorkerGroup::WorkerGroup(Options options)
    : options_(std::move(options)),
      table_({.scheduleCommit =
                  [](void* self) { static_cast<WorkerGroup*>(self)->options_.wakeMain(); },
              .scheduleReclaim =
                  [](void* self) { static_cast<WorkerGroup*>(self)->options_.wakeMain(); },
              .context = this}),
      clusters_(stats_, options_.concurrency,
                [this] { toMain([this] { publishAll(clusters_.takeBuilt()); }); }) {}

Status WorkerGroup::makeWorkers() {
  const std::pair<const char*, SlotId*> names[] = {{"date", &common_.date},
                                                   {"runtime", &common_.runtime},
                                                   {"cluster directory", &common_.directory}};
  for (auto& [name, slot] : names) {
    auto allocated = table_.allocate(name);
    if (!allocated) return allocated.error();
    *slot = *allocated;
  }
  for (uint32_t i = 0; i < options_.concurrency; i++) {
    auto worker = Worker::create(
        {.index = i,
         .count = options_.concurrency,
         .slots = common_,
         .peers = &workers_,
         .onAcceptPaused =
             [this](const std::string& listener, int sysErrno) {
               toMain([this, listener, sysErrno] {
                 tellAcceptPaused(listener,
                                  std::string("accepting pauses, and goes on by itself: ") +
                                      std::strerror(sysErrno));
               });
             },
         .onOutlier =
             [this](const OutlierEvent& event) {
               toMain([this, event] { outlierEvents_.push_back(event); });
             },
         .onHostWanted = [this](SlotId slot, std::string_view key) { return wantHost(slot, key); }},
        table_, stats_);
    if (!worker) {
      Error error = worker.error();
      error.message = "cannot make the event loop of worker " + std::to_string(i) + " of " +
                      std::to_string(options_.concurrency) + " (" + error.message +
                      "): raise the limit of open files (ulimit -n), or have fewer workers or "
                      "proxies";
      return error;
    }
    workers_.push_back(std::move(*worker));
  }
  return {};
}

WorkerGroup::~WorkerGroup() {
  stop(FlushFile::kDestructorStopMs);
}

void WorkerGroup::start() {
  if (started_ || stopped_) return;
  started_ = true;
  table_.commit();
  postStaged();
  for (auto& worker : workers_) worker->start();
}

void WorkerGroup::beginStop(uint32_t deadlineMs) {
  if (stopped_) return;
  stopped_ = true;
  held_ = false;
  staged_.clear();
  waiting_ = nullptr;
  for (auto& worker : workers_) report_.connectionsCut += worker->stopAndJoin();
  clusters_.stopBuilding();
  turn();
  logs_.merge(closedLogs_);
  // All of them at once, so that several that stall cost one deadline.
  logsLeft_ = logs_.size();
  for (auto& [id, log] : logs_) log->file->askStop(deadlineMs);
  if (logs_.empty()) {
    toMain([this] {
      if (options_.onLogsWritten) options_.onLogsWritten();
    });
  }
  // Now, and not when the garbage collector comes by: each has descriptors. What they counted
  // stays.
  workers_.clear();
}

WorkerGroup::StopReport WorkerGroup::stop(uint32_t deadlineMs) {
  if (logsStopped_) return report_;
  const uint64_t untilNs = monotonicNs() + uint64_t{deadlineMs} * kNsPerMs;
  beginStop(deadlineMs);
  logsStopped_ = true;
  for (auto& [id, log] : logs_) {
    const uint64_t nowNs = monotonicNs();
    const uint64_t leftNs = untilNs > nowNs ? untilNs - nowNs : 0;
    FlushFile::StopReport lost = log->file->stop(uint32_t(leftNs / kNsPerMs));
    if (!lost.clean) report_.logsLost.push_back({log->name, lost.lostLines, lost.lostBytes});
  }
  turn();
  return report_;
}

void WorkerGroup::turn() {
  if (!held_) {
    // However often the local cluster changed meanwhile.
    publishAll(clusters_.takeRezoned());
    if (clusters_.rezonesMore()) options_.wakeMain();
    table_.commit();
    postStaged();
  }
  for (ToMain* item = toMain_.takeAll(); item != nullptr;) {
    std::unique_ptr<ToMain> owned(item);
    item = item->next;
    owned->fn();
  }
  if (!outlierEvents_.empty() && options_.onOutlier) options_.onOutlier();
  if (!wanted_.empty() && options_.onHostsWanted) options_.onHostsWanted();
  table_.reclaim();
}

void WorkerGroup::resume() {
  if (!held_) return;
  held_ = false;
  options_.wakeMain();
}

void WorkerGroup::toMain(std::function<void()> fn) {
  auto item = std::make_unique<ToMain>();
  item->fn = std::move(fn);
  toMain_.push(item.release());
  options_.wakeMain();
}

void WorkerGroup::stage(Worker& worker, uint32_t listener, std::function<void()> fn) {
  if (staged_.empty()) options_.wakeMain();
  staged_.push_back({&worker, listener, std::move(fn)});
}

void WorkerGroup::postStaged() {
  auto staged = std::move(staged_);
  staged_.clear();
  waiting_ = nullptr;
  for (Staged& s : staged) {
    // Posted tasks come before the quiet period of a turn: what was committed before them is taken
    // first.
    s.worker->post([worker = s.worker, fn = std::move(s.fn)] {
      worker->context().slots.quiesce();
      fn();
    });
  }
}

// Whether workers had not heard of the listener yet.
bool WorkerGroup::dropStaged(uint32_t listener) {
  return std::erase_if(staged_, [listener](const Staged& s) { return s.listener == listener; }) > 0;
}

void WorkerGroup::whenTaken(std::function<void()> done) {
  if (waiting_ == nullptr) {
    // However many wait for this turn's commit, it is one task for each worker.
    waiting_ = std::make_shared<std::vector<std::function<void()>>>();
    auto left = std::make_shared<std::atomic<size_t>>(workers_.size());
    for (auto& worker : workers_) {
      stage(*worker, 0, [this, left, waiting = waiting_] {
        if (left->fetch_sub(1, std::memory_order_acq_rel) != 1) return;
        toMain([waiting] {
          for (auto& each : *waiting) each();
        });
      });
    }
  }
  waiting_->push_back(std::move(done));
}

Error WorkerGroup::stoppedError() {
  return Error{"ERR_MILLRACE_CLOSED", "the workers were stopped", 0};
}

// ---- Snapshots ----------------------------------------------------------------------------------

Result<SlotId> WorkerGroup::allocateSlot(std::string_view name) {
  auto slot = table_.allocate(name);
  if (slot) slots_[*slot] = SlotUse::kNone;
  return slot;
}

Status WorkerGroup::checkSlot(SlotId slot) const {
  if (slots_.contains(slot)) return {};
  return Error{"ERR_MILLRACE_SLOT", "slot " + std::to_string(slot) + " is not allocated", 0};
}

Status WorkerGroup::useSlot(SlotId slot, SlotUse use) {
  if (Status known = checkSlot(slot); !known.ok()) return known;
  SlotUse& now = slots_[slot];
  if (now == SlotUse::kNone) now = use;
  if (now == use) return {};
  const char* holds = now == SlotUse::kRoutes ? " holds a route table" : " holds a cluster";
  return Error{"ERR_MILLRACE_SLOT", "slot " + std::to_string(slot) + holds, 0};
}

const ClusterSnapshot* WorkerGroup::clusterIn(SlotId slot) const {
  auto found = slots_.find(slot);
  if (found == slots_.end() || found->second != SlotUse::kCluster) return nullptr;
  return static_cast<const ClusterSnapshot*>(table_.latest(slot));
}

Status WorkerGroup::releaseSlot(SlotId slot) {
  if (Status known = checkSlot(slot); !known.ok()) return known;
  clusters_.forget(slot);
  table_.release(slot);
  slots_.erase(slot);
  return {};
}

Status WorkerGroup::publishRoutes(SlotId slot, spec::RouteTable spec) {
  if (Status known = useSlot(slot, SlotUse::kRoutes); !known.ok()) return known;
  auto table = RouteTable::build(std::move(spec));
  if (!table) return table.error();
  table_.publish(slot, std::move(*table));
  return {};
}

Status WorkerGroup::publishCluster(SlotId slot, const spec::Cluster& cluster) {
  if (Status known = useSlot(slot, SlotUse::kCluster); !known.ok()) return known;
  auto snapshot = clusters_.build(slot, cluster);
  if (!snapshot) return snapshot.error();
  if (*snapshot != nullptr) table_.publish(slot, std::move(*snapshot));
  return {};
}

Status WorkerGroup::updateHosts(SlotId slot, const spec::HostDelta& delta) {
  if (Status known = useSlot(slot, SlotUse::kCluster); !known.ok()) return known;
  auto snapshot = clusters_.update(slot, delta);
  if (!snapshot) return snapshot.error();
  if (*snapshot != nullptr) table_.publish(slot, std::move(*snapshot));
  return {};
}

Status WorkerGroup::reweigh(SlotId slot) {
  if (Status known = useSlot(slot, SlotUse::kCluster); !known.ok()) return known;
  auto snapshot = clusters_.reweigh(slot);
  if (!snapshot) return snapshot.error();
  if (*snapshot != nullptr) table_.publish(slot, std::move(*snapshot));
  return {};
}

void WorkerGroup::publishAll(std::vector<std::unique_ptr<ClusterSnapshot>> snapshots) {
  for (auto& snapshot : snapshots) {
    SlotId slot = snapshot->slot();
    table_.publish(slot, std::move(snapshot));
  }
}

void WorkerGroup::setLocalCluster(const spec::LocalCluster& local) {
  clusters_.setLocal(local);
  options_.wakeMain();
}

Status WorkerGroup::withdrawCluster(SlotId slot) {
  if (Status known = useSlot(slot, SlotUse::kCluster); !known.ok()) return known;
  clusters_.forget(slot);
  table_.publish(slot, nullptr);
  return {};
}

void WorkerGroup::publishDirectory(std::vector<std::pair<std::string, SlotId>> names) {
  auto directory = std::make_unique<ClusterDirectory>();
  for (auto& [name, slot] : names) directory->add(std::move(name), slot);
  table_.publish(common_.directory, std::move(directory));
}

void WorkerGroup::publishRuntime(std::vector<spec::RuntimeValue> values) {
  table_.publish(common_.runtime, std::make_unique<RuntimeSnapshot>(std::move(values)));
}

void WorkerGroup::publishDate(std::string text) {
  table_.publish(common_.date, std::make_unique<DateSnapshot>(std::move(text), monotonicNs()));
}

// ---- Logs ---------------------------------------------------------------------------------------

Result<uint32_t> WorkerGroup::openLog(const LogOptions& options) {
  if (stopped_) return stoppedError();
  FlushOptions flush;
  flush.target = options.target;
  flush.intervalMs = options.intervalMs;
  flush.ringBytes = options.ringBytes;
  flush.rotation = options.rotation;
  flush.onEvent = [this, name = options.name](const FlushEvent& event) {
    if (event.kind != FlushEvent::kRotated) {
      toMain([this, name, event] { tellLog(name, event); });
    }
  };
  const uint32_t id = nextLog_++;
  flush.onProgress = [this, id](const FlushProgress& progress) {
    if (progress.kind == FlushProgress::kStopped) toMain([this, id] { logWritten(id); });
  };
  auto file = FlushFile::create(std::move(flush));
  if (!file) return file.error();
  logs_[id] = std::make_unique<Log>(Log{options.name, std::move(*file)});
  for (auto& worker : workers_) {
    worker->post(
        [w = worker.get(), id, ring = logs_[id]->file->attach()] { w->logs().setRing(id, ring); });
  }
  return id;
}

void WorkerGroup::closeLog(uint32_t log) {
  auto it = logs_.find(log);
  if (it == logs_.end()) return;
  for (auto& worker : workers_) {
    worker->post([w = worker.get(), log] { w->logs().setRing(log, nullptr); });
  }
  // The rings are closed by the workers; the file ends when it was written out.
  it->second->file->askStop(FlushFile::kDestructorStopMs);
  closedLogs_.insert(logs_.extract(it));
}

Status WorkerGroup::rotateLog(uint32_t log, const FlushRotation& rotation) {
  const auto it = logs_.find(log);
  if (stopped_ || it == logs_.end()) return stoppedError();
  return it->second->file->rotate(rotation);
}

// The thread of the log is at its end.
void WorkerGroup::logWritten(uint32_t log) {
  if (closedLogs_.erase(log) != 0 || logsLeft_ == 0) return;
  if (--logsLeft_ == 0 && options_.onLogsWritten) options_.onLogsWritten();
}

void WorkerGroup::tellLog(const std::string& name, const FlushEvent& event) {
  using Kind = Options::Event::Kind;
  Kind kind = Kind::kLogFailing;
  if (event.kind == FlushEvent::kRecovered) kind = Kind::kLogRecovered;
  if (event.kind == FlushEvent::kReopenFailed) kind = Kind::kLogReopenFailed;
  if (event.kind == FlushEvent::kRotateFailed) kind = Kind::kLogRotateFailed;
  if (!options_.onEvent) return;
  options_.onEvent({kind, name, event.sysErrno == 0 ? "" : std::strerror(event.sysErrno)});
}

std::vector<WorkerGroup::LogError> WorkerGroup::reopenLogs() {
  std::vector<LogError> errors;
  for (auto& [id, log] : logs_) {
    Status status = log->file->reopen(kReopenWaitMs);
    if (!status.ok()) errors.push_back({log->name, status.error().message});
  }
  return errors;
}

std::vector<WorkerGroup::LogStats> WorkerGroup::logStats() const {
  std::vector<LogStats> all;
  for (const auto& [id, log] : logs_) all.push_back({log->name, log->file->stats()});
  return all;
}

// ---- Figures ------------------------------------------------------------------------------------

std::vector<WorkerGroup::WorkerStats> WorkerGroup::workerStats() const {
  std::vector<WorkerStats> all;
  uint64_t generation = table_.generation();
  for (const auto& worker : workers_) {
    const WorkerLoad& load = worker->load();
    constexpr auto relaxed = std::memory_order_relaxed;
    uint64_t taken = worker->reader().taken();
    all.push_back({load.connections.load(relaxed), load.requests.load(relaxed),
                   worker->loop().busyNs(), worker->loop().turns(), load.handedOver.load(relaxed),
                   load.received.load(relaxed), generation > taken ? generation - taken : 0,
                   load.bytesHeld.load(relaxed), worker->upstream().poolHits(),
                   worker->upstream().poolMisses()});
  }
  return all;
}

std::vector<WorkerGroup::HostStats> WorkerGroup::clusterHosts(SlotId slot) const {
  std::vector<HostStats> all;
  const ClusterSnapshot* cluster = clusterIn(slot);
  if (cluster == nullptr) return all;
  for (const HostEntry& entry : cluster->hosts()) {
    if (entry.host == nullptr) continue;
    const Host& host = *entry.host;
    HostStats s{.id = host.id(),
                .address = host.addressText(),
                .hostname = host.hostname(),
                .weight = entry.weight,
                .health = entry.health,
                .priority = entry.priority,
                .locality = entry.locality,
                .canary = entry.canary,
                .cxActive = 0,
                .cxTotal = 0,
                .cxConnectFail = 0,
                .rqActive = 0,
                .rqTotal = 0,
                .rqSuccess = 0,
                .rqError = 0,
                .rqTimeout = 0};
    for (uint32_t w = 0; w < host.workers(); w++) {
      const HostLocal& local = host.local(w);
      constexpr auto relaxed = std::memory_order_relaxed;
      s.cxActive += local.cxActive.load(relaxed);
      s.cxTotal += local.cxTotal.load(relaxed);
      s.cxConnectFail += local.cxConnectFail.load(relaxed);
      s.rqActive += local.rqActive.load(relaxed);
      s.rqTotal += local.rqTotal.load(relaxed);
      s.rqSuccess += local.rqSuccess.load(relaxed);
      s.rqError += local.rqError.load(relaxed);
      s.rqTimeout += local.rqTimeout.load(relaxed);
    }
    all.push_back(std::move(s));
  }
  return all;
}

std::vector<OutlierEvent> WorkerGroup::takeOutlierEvents() {
  std::vector<OutlierEvent> events = std::exchange(outlierEvents_, {});
  std::map<SlotId, std::vector<uint64_t>> immediate;
  for (const OutlierEvent& event : events) {
    if (event.kind == OutlierKind::kImmediateFail) immediate[event.slot].push_back(event.host);
  }
  for (auto& [slot, hosts] : immediate) {
    const ClusterSnapshot* cluster = clusterIn(slot);
    if (cluster != nullptr) immediateFailTaken(*cluster, std::move(hosts));
  }
  return events;
}

std::vector<OutlierCount> WorkerGroup::outlierWindow(SlotId slot) const {
  const ClusterSnapshot* cluster = clusterIn(slot);
  return cluster == nullptr ? std::vector<OutlierCount>() : readWindow(*cluster);
}

void WorkerGroup::resetOutliers(SlotId slot, std::vector<uint64_t> hosts) const {
  const ClusterSnapshot* cluster = clusterIn(slot);
  if (cluster != nullptr) resetConsecutive(*cluster, std::move(hosts));
}

uint32_t WorkerGroup::connectionCount() const {
  uint32_t sum = 0;
  for (const auto& worker : workers_) sum += worker->load().expected();
  return sum;
}

uint32_t WorkerGroup::socketCount() const {
  uint32_t sum = 0;
  // Acquire: what was accepted before a socket was closed is counted.
  for (const auto& worker : workers_) sum += worker->load().sockets.load(std::memory_order_acquire);
  return sum;
}

uint32_t WorkerGroup::listenerConnections(const std::string& name) const {
  auto it = listeners_.find(name);
  return it == listeners_.end() ? 0
                                : it->second->shared.connections.load(std::memory_order_relaxed);
}

}  // namespace millrace
