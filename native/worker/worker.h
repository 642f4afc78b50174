// One worker: a thread with a loop, and all that it owns. Everything it serves stays with it until
// it is closed.
//
// Thread rule: made, started and joined by the main thread; what runs on the worker's thread says
// so. The main thread reaches a running worker through post() only.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "event/loop.h"
#include "net/listener.h"
#include "net/net_context.h"
#include "proxy/http_connection.h"
#include "proxy/listener_config.h"
#include "proxy/tcp_proxy.h"
#include "proxy/worker_client.h"
#include "proxy/worker_context.h"
#include "rcu/slot_table.h"
#include "stats/registry.h"
#include "upstream/upstream_worker.h"
#include "worker/worker_memory.h"

namespace millrace {

class Worker;

// What all workers of a group share of one listener. Made by the main thread, which keeps it until
// no worker has the listener any more.
struct SharedListener {
  uint32_t id = 0;
  std::string name;
  SlotId slot = kNoSlot;                 // its ListenerConfig
  std::atomic<uint32_t> connections{0};  // on all workers, and on their way from one to another
  // Workers that have not heard of it. Accepting starts when all have: whoever accepts may hand
  // over to any.
  std::atomic<uint32_t> unaware{0};
};

// A bound socket for one worker. The number is the address', the same on all workers.
struct BoundSocket {
  uint32_t number = 0;
  Fd fd;
  Address local;
};

// What becomes of the sockets of a listener on one worker.
struct SocketChange {
  struct Kept {
    uint32_t number;
    ListenOptions options;  // what can be changed of a socket that listens
  };
  std::vector<Kept> keep;        // all others are closed
  std::vector<BoundSocket> add;  // all workers know the listener
};

// A listener on one worker. The worker's thread.
class WorkerListener final : public AcceptSink {
 public:
  WorkerListener(Worker& worker, SharedListener& shared);
  // Not accepted on before accept().
  void add(BoundSocket socket);
  Status accept();
  Status change(SocketChange sockets);
  // What waits is accepted; then the sockets are closed.
  void stopAccepting();
  // Stops accepting; from now on each response is the last one of its connection.
  void drain();
  // Closes connections that are quiet, evenly over `spreadMs`, beginning after quietMs().
  void endQuiet(uint64_t spreadMs);
  // The next step of that. In how many ms the one after it is due; 0: there is none.
  uint32_t endQuietTick();
  void closeAll();
  bool idle() const { return local_.sessions.empty() && openSockets_ == 0; }
  ListenerLocal& local() { return local_; }
  SharedListener& shared() { return shared_; }
  // The worker has taken another configuration of the listener.
  void onConfig();

  void onAccept(int fd, const Address& peer, const Address& local) override;
  void onAcceptPaused(int sysErrno) override;
  void onAcceptFailed() override;
  void onStopped() override;
  // Serves the connection here: accepted here, or handed over by another worker.
  void serve(int fd, const Address& peer, const Address& local);

 private:
  struct Socket {
    uint32_t number;
    std::unique_ptr<Listener> listener;
  };
  bool overLimit(const ListenerConfig& config) const;
  Worker& worker_;
  SharedListener& shared_;
  ListenerLocal local_;
  std::vector<Socket> sockets_;
  uint32_t openSockets_ = 0;
  uint64_t quietEndMs_ = 0;  // when all that are quiet are closed; 0: not asked for
  uint64_t quietMs_ = 0;     // how long one is quiet before it is closed
  uint64_t quietFromMs_ = 0;
  uint64_t pauseToldMs_ = 0;  // when the main thread was last told that accepting paused
};

class Worker {
 public:
  // A worker may have so many connections more than the least loaded one before it hands new ones
  // over; beyond that a quarter more. Small, because it is the few long connections that land
  // unevenly; not smaller, because handing over costs a wake-up.
  static constexpr uint32_t kHandOverSlack = 1;

  static constexpr uint32_t kDrainTickMs =
      20;  // how finely the closing of idle connections is spread
  // A connection is not closed by a drain before it was idle for so long: a client that is using it
  // learns from its next response, and none loses a request to the close.
  static constexpr uint32_t kQuietMs = 1000;
  // When the time of the spread is over, those that were not quiet then are looked at so often.
  static constexpr uint32_t kStragglersMs = 250;
  static constexpr uint32_t kSweepMs = 20;  // how often a removed listener is looked at
  // Accepting pauses ten times a second at the descriptor limit; people are told once in a while.
  static constexpr uint32_t kPauseToldMs = 10'000;

  struct Options {
    uint32_t index = 0;
    uint32_t count = 1;  // of workers in the group
    CommonSlots slots;
    const std::vector<std::unique_ptr<Worker>>* peers = nullptr;  // complete before start()
    // On the worker's thread: a listener's accepting paused, at most once in kPauseToldMs.
    std::function<void(const std::string& listener, int sysErrno)> onAcceptPaused;
    // On the worker's thread: a row of failures of a host is complete.
    std::function<void(const OutlierEvent&)> onOutlier;
    // On the worker's thread: a request names a host that an on-demand cluster does not have.
    UpstreamWorker::HostSink onHostWanted;
  };

  // Main thread.
  static Result<std::unique_ptr<Worker>> create(const Options& options, SlotTable& table,
                                                StatsRegistry& stats);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  void start();
  // Closes every connection and ends the thread. Returns how many connections were cut.
  uint32_t stopAndJoin();
  bool running() const { return thread_.joinable(); }
  // Runs `fn` on the worker's thread, soon; before start(), at once.
  void post(std::function<void()> fn);

  // Any thread.
  const WorkerLoad& load() const { return load_; }
  const Loop& loop() const { return *loop_; }
  const Reader& reader() const { return *reader_; }
  const UpstreamWorker& upstream() const { return *upstream_; }

  // The worker's thread.
  // Without sockets: the listener's connections come by hand-over only. They are not accepted on
  // before startAccepting().
  void addListener(SharedListener& shared, std::vector<BoundSocket> sockets);
  Status startAccepting(uint32_t id);
  Status changeSockets(uint32_t id, SocketChange sockets);
  void drainListener(uint32_t id);
  // Stops accepting, closes what is idle over `spreadMs` and what is left after graceMs, then calls
  // `gone` (on this thread).
  void removeListener(uint32_t id, uint32_t spreadMs, uint32_t graceMs, std::function<void()> gone);
  // Each response is the last one of its connection; connections that are idle are closed, spread
  // evenly over `spreadMs`.
  void drainAll(uint32_t spreadMs);
  WorkerContext& context() { return *context_; }
  void refuseHosts(SlotId slot, const std::vector<std::string>& keys, HostRefusal why) {
    upstream_->refuseHosts(slot, keys, why);
  }
  AccessLogWriter& logs() { return *logs_; }
  const Options& options() const { return options_; }
  // The worker of the group that should serve a connection accepted here: this one, or one far less
  // loaded.
  Worker& chooseForAccepted();
  void handOver(Worker& target, SharedListener& listener, int fd, const Address& peer,
                const Address& local);
  WorkerLoad& ownLoad() { return load_; }

 private:
  struct Removal;
  Worker(const Options& options, SlotTable& table, StatsRegistry& stats,
         std::unique_ptr<Loop> loop);
  void runThread();
  void drainTick();
  void sweepRemovals();
  void onSlotChanged(SlotId slot);
  WorkerListener* find(uint32_t id);

  const Options options_;
  SlotTable& table_;
  StatsRegistry& stats_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<NetContext> net_;
  Reader* reader_;     // the table owns it
  StatsShard* shard_;  // the registry owns it
  WorkerLoad load_;
  std::unique_ptr<UpstreamWorker> upstream_;
  std::unique_ptr<AccessLogWriter> logs_;
  HttpPools http_;
  TcpPools tcp_;
  WorkerClient client_;
  std::unique_ptr<WorkerContext> context_;
  std::unique_ptr<WorkerMemory> memory_;
  std::unordered_map<uint32_t, std::unique_ptr<WorkerListener>> listeners_;
  std::vector<Removal> removals_;
  Timer drainTimer_, removalTimer_;
  uint32_t cut_ = 0;
  bool closing_ = false;  // set by stopAndJoin(): takes no connection any more. Worker thread
  std::thread thread_;
};

}  // namespace millrace
