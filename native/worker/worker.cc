#include "worker/worker.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "proxy/listener_stats.h"

namespace millrace {

using namespace listener_stat;

// ---- WorkerListener -----------------------------------------------------------------------------

WorkerListener::WorkerListener(Worker& worker, SharedListener& shared)
    : worker_(worker), shared_(shared) {
  WorkerContext& context = worker.context();
  const auto* config = context.slots.get<ListenerConfig>(shared.slot);
  MR_ASSERT(config != nullptr);  // it is committed before the listener is added
  local_.stats = context.stats.block(config->statBlock());
  local_.load = &context.load;
  local_.config = shared.slot;
  local_.total = &shared.connections;
  local_.modifyOnly = config->spec().drainType == spec::Listener::DrainType::kModifyOnly;
}

void WorkerListener::add(BoundSocket socket) {
  auto listener =
      std::make_unique<Listener>(worker_.context().loop, std::move(socket.fd), socket.local, *this);
  sockets_.push_back({socket.number, std::move(listener)});
  openSockets_++;
  bump(worker_.ownLoad().sockets);
}

Status WorkerListener::accept() {
  // Some worker has not heard of the listener yet; the last one that does lets all accept.
  if (shared_.unaware.load(std::memory_order_acquire) != 0) return {};
  for (Socket& socket : sockets_) {
    if (socket.listener->registered() || socket.listener->stopped() || local_.draining) continue;
    if (Status status = socket.listener->start(); !status.ok()) return status;
  }
  return {};
}

Status WorkerListener::change(SocketChange sockets) {
  std::erase_if(sockets_, [](const Socket& s) { return s.listener->stopped(); });
  int failed = 0;
  for (Socket& socket : sockets_) {
    auto kept = std::ranges::find(sockets.keep, socket.number, &SocketChange::Kept::number);
    if (kept == sockets.keep.end()) {
      socket.listener->stop();
      continue;
    }
    const Listener& listener = *socket.listener;
    int error = changeListening(listener.socket(), listener.local(), kept->options);
    if (error != 0) failed = error;
  }
  for (BoundSocket& socket : sockets.add) add(std::move(socket));
  if (Status status = accept(); !status.ok()) return status;
  if (failed == 0) return {};
  return Error{"ERR_MILLRACE_BIND", "cannot change the options of a listening socket", failed};
}

void WorkerListener::onStopped() {
  openSockets_--;
  std::atomic<uint32_t>& open = worker_.ownLoad().sockets;
  open.store(open.load(std::memory_order_relaxed) - 1, std::memory_order_release);
}

void WorkerListener::stopAccepting() {
  for (Socket& socket : sockets_) socket.listener->stop();
}

void WorkerListener::drain() {
  local_.draining = true;
  stopAccepting();
}

void WorkerListener::endQuiet(uint64_t spreadMs) {
  uint64_t now = worker_.context().loop.nowMs();
  quietMs_ = std::min<uint64_t>(spreadMs, Worker::kQuietMs);
  quietFromMs_ = now + quietMs_;
  quietEndMs_ = now + spreadMs;
}

uint32_t WorkerListener::endQuietTick() {
  List<Session>& sessions = local_.sessions;
  if (quietEndMs_ == 0) return 0;
  uint64_t now = worker_.context().loop.nowMs();
  if (now < quietFromMs_) return Worker::kDrainTickMs;
  uint64_t left = now >= quietEndMs_ ? 0 : quietEndMs_ - now;
  size_t count = sessions.size(), due = count;
  if (left > Worker::kDrainTickMs) due = (count * Worker::kDrainTickMs + left - 1) / left;
  for (; due > 0 && !sessions.empty(); due--) {
    Session* s = sessions.front();
    s->drain();
    s->closeIfQuiet(quietMs_);
    if (s != sessions.front()) continue;  // it closed at once
    s->unlink();
    sessions.pushBack(s);
  }
  if (left != 0) return Worker::kDrainTickMs;
  // Where accepting goes on, whoever comes from now on is told by its response.
  if (local_.draining && !sessions.empty()) return Worker::kStragglersMs;
  quietEndMs_ = 0;
  return 0;
}

void WorkerListener::closeAll() {
  local_.draining = true;
  for (Socket& socket : sockets_) socket.listener->stopNow();
  while (Session* s = local_.sessions.front()) s->closeNow();
}

void WorkerListener::onConfig() {
  const auto* config = worker_.context().slots.get<ListenerConfig>(shared_.slot);
  if (config == nullptr) return;
  local_.moveStats(worker_.context().stats.block(config->statBlock()));
  local_.modifyOnly = config->spec().drainType == spec::Listener::DrainType::kModifyOnly;
}

void WorkerListener::onAcceptPaused(int sysErrno) {
  ++local_.stats[kAcceptPaused];
  uint64_t now = worker_.context().loop.nowMs();
  if (pauseToldMs_ != 0 && now - pauseToldMs_ < Worker::kPauseToldMs) return;
  pauseToldMs_ = now;
  const auto& tell = worker_.options().onAcceptPaused;
  if (tell) tell(shared_.name, sysErrno);
}

void WorkerListener::onAcceptFailed() {
  ++local_.stats[kAcceptFailed];
}

bool WorkerListener::overLimit(const ListenerConfig& config) const {
  double limit = runtimeNumber(worker_.context().runtime(), config.spec().connectionLimitFlag, -1);
  return limit >= 0 && shared_.connections.load(std::memory_order_relaxed) >= limit;
}

void WorkerListener::onAccept(int fd, const Address& peer, const Address& local) {
  const auto* config = worker_.context().slots.get<ListenerConfig>(shared_.slot);
  if (config == nullptr || overLimit(*config)) {
    ++local_.stats[kCxOverflow];
    close(fd);
    return;
  }
  shared_.connections.fetch_add(1, std::memory_order_relaxed);
  const Address& reached = config->spec().originalDst ? originalDestination(fd) : local;
  // The others have let go, or are about to.
  Worker& server = local_.draining ? worker_ : worker_.chooseForAccepted();
  if (&server == &worker_) {
    serve(fd, peer, reached);
  } else {
    ++local_.stats[kCxHandedOver];
    worker_.handOver(server, shared_, fd, peer, reached);
  }
}

void WorkerListener::serve(int fd, const Address& peer, const Address& local) {
  WorkerContext& context = worker_.context();
  Pin pin = context.slots.pin(shared_.slot);
  const auto* config = pin.get<ListenerConfig>();
  // A wildcard says nothing about the port that the chains are chosen by; that one is the same in
  // both.
  const FilterChain* chain = config == nullptr ? nullptr : config->match(local.port());
  if (chain == nullptr) {
    ++local_.stats[kNoFilterChainMatch];
    shared_.connections.fetch_sub(1, std::memory_order_relaxed);
    close(fd);
    return;
  }
  Session* session;
  if (auto* http = std::get_if<std::unique_ptr<HttpManager>>(&chain->filter)) {
    session = HttpConnection::accept(context, local_, std::move(pin), **http, chain->name, fd, peer,
                                     local, config->bufferLimit());
  } else {
    auto& tcp = *std::get_if<std::unique_ptr<TcpManager>>(&chain->filter);
    session = TcpSession::accept(context, local_, std::move(pin), *tcp, chain->name, fd, peer,
                                 local, config->bufferLimit());
  }
  if (session == nullptr) shared_.connections.fetch_sub(1, std::memory_order_relaxed);
}

// ---- Worker -------------------------------------------------------------------------------------

struct Worker::Removal {
  uint32_t listener;
  uint64_t deadlineMs;
  std::function<void()> gone;
};

namespace {

void wakeLoop(void* worker) {
  // The turn that this makes is all that is wanted: it ends with a quiet period.
  static_cast<Worker*>(worker)->post([] {});
}

}  // namespace

Result<std::unique_ptr<Worker>> Worker::create(const Options& options, SlotTable& table,
                                               StatsRegistry& stats) {
  auto loop = Loop::create();
  if (!loop) return loop.error();
  return std::unique_ptr<Worker>(new Worker(options, table, stats, std::move(*loop)));
}

Worker::Worker(const Options& options, SlotTable& table, StatsRegistry& stats,
               std::unique_ptr<Loop> loop)
    : options_(options),
      table_(table),
      stats_(stats),
      loop_(std::move(loop)),
      net_(std::make_unique<NetContext>(*loop_, options.index + 1, options.count)),
      reader_(table.attach(wakeLoop, this)),
      shard_(stats.addShard()),
      drainTimer_([](void* self) { static_cast<Worker*>(self)->drainTick(); }, this),
      removalTimer_([](void* self) { static_cast<Worker*>(self)->sweepRemovals(); }, this) {
  Random random;
  upstream_ =
      std::make_unique<UpstreamWorker>(*net_, *reader_, *shard_, options.index, random.next());
  upstream_->setOutlierSink(options.onOutlier);
  upstream_->setHostSink(options.onHostWanted);
  logs_ = std::make_unique<AccessLogWriter>(*reader_, options.slots.runtime);
  context_ = std::make_unique<WorkerContext>(
      WorkerContext{.index = options.index,
                    .loop = *loop_,
                    .net = *net_,
                    .slots = *reader_,
                    .stats = *shard_,
                    .upstream = *upstream_,
                    .load = load_,
                    .common = options.slots,
                    .date = DateSource(*reader_, options.slots.date),
                    .logs = *logs_,
                    .random = random,
                    .http = http_,
                    .tcp = tcp_,
                    .client = client_});
  reader_->observe([](void* self, SlotId slot, const Snapshot*,
                      const Snapshot*) { static_cast<Worker*>(self)->onSlotChanged(slot); },
                   this);
  memory_ = std::make_unique<WorkerMemory>(*context_, options.count);
  loop_->setQuietHook(
      [](void* self) {
        auto* worker = static_cast<Worker*>(self);
        worker->reader_->quiesce();
        // A change may have ended requests: what their answers are written from is deleted next.
        worker->net_->flush();
        worker->memory_->turned();
      },
      this);
}

Worker::~Worker() {
  if (running()) stopAndJoin();
  memory_.reset();
  context_.reset();
  upstream_.reset();
  logs_.reset();
  table_.detach(reader_);
  stats_.removeShard(shard_);
}

void Worker::start() {
  thread_ = std::thread([this] { runThread(); });
}

void Worker::runThread() {
  char name[16];
  snprintf(name, sizeof name, "millrace-w%u", options_.index);
#if defined(__APPLE__)
  pthread_setname_np(name);
#else
  pthread_setname_np(pthread_self(), name);
#endif
  loop_->run();
}

uint32_t Worker::stopAndJoin() {
  post([this] {
    closing_ = true;
    for (auto& [id, listener] : listeners_) {
      cut_ += uint32_t(listener->local().sessions.size());
      listener->closeAll();
    }
    client_.cancelAll();
    upstream_->closeAll();
    // What was closed is freed at the end of this turn; the next one is the last.
    post([this] {
      listeners_.clear();
      for (Removal& removal : removals_) removal.gone();
      removals_.clear();
      loop_->stop();
    });
  });
  if (!running()) start();
  thread_.join();
  return cut_;
}

void Worker::post(std::function<void()> fn) {
  loop_->post(std::move(fn));
}

WorkerListener* Worker::find(uint32_t id) {
  auto it = listeners_.find(id);
  return it == listeners_.end() ? nullptr : it->second.get();
}

void Worker::onSlotChanged(SlotId slot) {
  upstream_->onSlotChanged(slot);
  for (auto& [id, listener] : listeners_) {
    if (listener->shared().slot == slot) listener->onConfig();
  }
}

void Worker::addListener(SharedListener& shared, std::vector<BoundSocket> sockets) {
  std::unique_ptr<WorkerListener>& listener = listeners_[shared.id];
  if (listener == nullptr) listener = std::make_unique<WorkerListener>(*this, shared);
  for (BoundSocket& socket : sockets) listener->add(std::move(socket));
}

Status Worker::startAccepting(uint32_t id) {
  WorkerListener* listener = find(id);
  return listener == nullptr ? Status() : listener->accept();
}

Status Worker::changeSockets(uint32_t id, SocketChange sockets) {
  WorkerListener* listener = find(id);
  return listener == nullptr ? Status() : listener->change(std::move(sockets));
}

void Worker::drainListener(uint32_t id) {
  if (WorkerListener* listener = find(id)) listener->drain();
}

void Worker::removeListener(uint32_t id, uint32_t spreadMs, uint32_t graceMs,
                            std::function<void()> gone) {
  WorkerListener* listener = find(id);
  if (listener == nullptr) {
    gone();
    return;
  }
  listener->drain();
  listener->endQuiet(spreadMs);
  drainTick();
  removals_.push_back({id, loop_->nowMs() + graceMs, std::move(gone)});
  sweepRemovals();
}

void Worker::sweepRemovals() {
  uint64_t now = loop_->nowMs();
  for (Removal& removal : removals_) {
    WorkerListener* listener = find(removal.listener);
    if (now >= removal.deadlineMs) listener->closeAll();
    if (!listener->idle()) continue;
    // Sessions that just closed are freed at the end of the turn and name the listener no more.
    listeners_.erase(removal.listener);
    removal.gone();
    removal.gone = nullptr;
  }
  std::erase_if(removals_, [](const Removal& r) { return r.gone == nullptr; });
  if (!removals_.empty()) loop_->arm(removalTimer_, kSweepMs);
}

void Worker::drainAll(uint32_t spreadMs) {
  context_->draining = true;
  for (auto& [id, listener] : listeners_) listener->endQuiet(spreadMs);
  drainTick();
}

void Worker::drainTick() {
  uint32_t next = 0;
  for (auto& [id, listener] : listeners_) {
    uint32_t due = listener->endQuietTick();
    if (due != 0 && (next == 0 || due < next)) next = due;
  }
  if (next != 0) loop_->arm(drainTimer_, next);
}

Worker& Worker::chooseForAccepted() {
  uint32_t mine = load_.expected();
  if (mine == 0) return *this;
  Worker* best = this;
  uint32_t least = mine;
  for (const auto& peer : *options_.peers) {
    uint32_t theirs = peer->load_.expected();
    if (theirs < least) {
      least = theirs;
      best = peer.get();
    }
  }
  return mine + 1 - least > kHandOverSlack + least / 4 ? *best : *this;
}

void Worker::handOver(Worker& target, SharedListener& listener, int fd, const Address& peer,
                      const Address& local) {
  bump(load_.handedOver);
  target.load_.coming.fetch_add(1, std::memory_order_relaxed);
  // The descriptor closes with the task if the target is gone before it runs.
  auto socket = std::make_shared<Fd>(fd);
  target.post([&target, &listener, socket, peer, local] {
    WorkerListener* home = target.closing_ ? nullptr : target.find(listener.id);
    if (home != nullptr) {
      bump(target.load_.received);
      ++home->local().stats[kCxReceived];
      home->serve(socket->release(), peer, local);
    } else {
      listener.connections.fetch_sub(1, std::memory_order_relaxed);
    }
    target.load_.coming.fetch_sub(1, std::memory_order_release);
  });
}

}  // namespace millrace
