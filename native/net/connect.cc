// Connection: how an outgoing one is made.
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "net/net_context.h"
#include "net/socket.h"

namespace millrace {

namespace {

const Address* localFor(const Address& to, const ConnectOptions& options) {
  for (const Address& local : options.bind) {
    if (local.family() == to.family()) return &local;
  }
  return options.bind.empty() ? nullptr : &options.bind.front();
}

// Begins to connect `fd`. Returns errno; 0 also when it is under way.
int begin(int fd, const Address& to, const ConnectOptions& options) {
  setKeepalive(fd, options.keepalive);
  if (int failed = setSocketOptions(fd, options.socketOptions); failed != 0) return failed;
  if (const Address* local = localFor(to, options)) {
    if (int failed = bindLocal(fd, *local, options.freebind); failed != 0) return failed;
  }
  if (::connect(fd, to.sockaddrPtr(), to.size()) == 0) return 0;
  return errno == EINPROGRESS || errno == EINTR ? 0 : errno;
}

// -1 with errno, EMFILE also where what is left is reserved.
int socketFor(const Address& to) {
  int fd = openSocket(to.family());
  if (fd < 0 || !beyondReserve(fd, DescriptorUse::kConnect)) return fd;
  ::close(fd);
  errno = EMFILE;
  return -1;
}

int pendingError(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

}  // namespace

Connection* Connection::connect(NetContext& ctx, const Destination& to, uint32_t timeoutMs,
                                ConnectionOwner* owner, const ConnectOptions& options) {
  int fd = socketFor(to.first);
  if (fd < 0) return nullptr;
  int failed = begin(fd, to.first, options);
  Connection* c = accepted(ctx, fd, to.first, owner);
  if (c == nullptr) return nullptr;
  c->state_ = kConnecting;
  if (failed != 0) {
    c->sysErrno_ = failed;
    ctx.loop().again(c, kError);
  }
  if (timeoutMs > 0) c->armDeadline(timeoutMs);
  if (!to.preface.empty()) c->append(to.preface.data(), to.preface.size());
  if (!to.others.empty()) {
    if (c->deadline_ == nullptr) c->deadline_ = ctx.deadlines_.take(*c, 0);
    c->deadline_->race = ctx.races_.take(*c, to.others, options);
  }
  return c;
}

void Connection::connectDone(uint32_t events) {
  int failed = sysErrno_;
  if (failed == 0 && (events & (kError | kReadClosed)) != 0) failed = pendingError(fd_);
  if (failed != 0) return connectFailed(failed);
  if ((events & kWritable) == 0) return;
  state_ = kOpen;
  dropDeadline();
  owner_->onConnected(*this);
  if (pending_ == 0 && state_ == kOpen) flushed();
}

// Its own attempt, or the last one of the race.
void Connection::connectFailed(int sysErrno) {
  Race* race = deadline_ == nullptr ? nullptr : deadline_->race;
  if (race == nullptr) return finish(CloseReason::kConnectFailed, sysErrno);
  if (fd_ >= 0) {
    ctx_->loop().remove(this);
    ::close(fd_);
    fd_ = -1;
    sysErrno_ = 0;
  }
  if (!race->goOn()) finish(CloseReason::kConnectFailed, sysErrno);
}

// Goes on with a descriptor that is connected. Its readiness is reported anew.
void Connection::adopt(int fd, const Address& peer) {
  if (fd_ >= 0) {
    ctx_->loop().remove(this);
    ::close(fd_);
  }
  sysErrno_ = 0;
  fd_ = fd;
  setPeer(peer);
  Status added = ctx_->loop().add(this, fd);
  if (!added) return finish(CloseReason::kConnectFailed, added.error().sysErrno);
  connectDone(kWritable);
}

// ---- Race

Connection::Race::Race(Connection& connection, std::span<const Address> others,
                       const ConnectOptions& options)
    : connection_(connection),
      others_(others.begin(), others.end()),
      options_(options),
      step_([](void* self) { static_cast<Race*>(self)->startNext(); }, this) {
  connection_.ctx_->loop().arm(step_, kHappyEyeballsMs);
}

bool Connection::Race::underWay() const {
  if (connection_.fd_ >= 0) return true;
  for (const auto& attempt : attempts_) {
    if (attempt->registered()) return true;
  }
  return false;
}

// Tries addresses until one is under way. False when none is left that could be.
bool Connection::Race::startNext() {
  while (next_ < others_.size()) {
    const Address& to = others_[next_++];
    auto attempt = std::make_unique<Attempt>(*this, to);
    int fd = socketFor(to);
    if (fd < 0) continue;
    if (begin(fd, to, options_) != 0 || !attempt->start(fd)) {
      ::close(fd);
      continue;
    }
    attempts_.push_back(std::move(attempt));
    if (next_ < others_.size()) connection_.ctx_->loop().arm(step_, kHappyEyeballsMs);
    return true;
  }
  return false;
}

bool Connection::Race::goOn() {
  connection_.ctx_->loop().cancel(step_);
  return startNext() || underWay();
}

void Connection::Race::end() {
  Loop& loop = connection_.ctx_->loop();
  loop.cancel(step_);
  for (auto& attempt : attempts_) attempt->drop();
  loop.deferDelete(this);
}

void Connection::Race::destroyDeferred() {
  connection_.ctx_->races_.give(this);
}

bool Connection::Race::Attempt::start(int fd) {
  return race.connection_.ctx_->loop().add(this, fd).ok();
}

void Connection::Race::Attempt::drop() {
  if (fd_ < 0) return;
  race.connection_.ctx_->loop().remove(this);
  ::close(fd_);
  fd_ = -1;
}

void Connection::Race::Attempt::onReady(uint32_t events) {
  if (fd_ < 0) return;
  int failed = (events & (kError | kReadClosed)) != 0 ? pendingError(fd_) : 0;
  if (failed != 0) {
    drop();
    race.connection_.connectFailed(failed);
  } else if ((events & kWritable) != 0) {
    race.connection_.ctx_->loop().remove(this);
    int won = fd_;
    fd_ = -1;
    race.connection_.adopt(won, to);
  }
}

void Connection::Deadline::endRace() {
  race->end();
  race = nullptr;
}

}  // namespace millrace
