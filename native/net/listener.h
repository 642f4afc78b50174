// Accepts connections on one loop, from a socket that was bound elsewhere (so that the main thread
// sees errors in binding before any worker starts).
//
//   made ──start()──▶ accepting ◀──▶ paused (no descriptors: kPauseMs, then again)
//     └──────stop()──────▶│ no new clients are let in (Linux, TCP); those that had begun to connect
//                         ▼ are accepted for kStopGraceMs
//                      stopping ──what waits is accepted──▶ closed (onStopped)
//
// Before the descriptor limit is reached (see beyondReserve()), and at it (EMFILE, ENFILE, ENOBUFS,
// ENOMEM), accepting pauses for kPauseMs and is tried again: clients wait in the backlog, nothing
// spins. Clients are not accepted and closed at once: that would turn a moment of scarcity into
// failed requests.
//
// Thread rule: the loop's thread; accepted() and the other counts may be read by any (relaxed).
#pragma once

#include <atomic>
#include <cstdint>

#include "event/loop.h"
#include "net/address.h"
#include "net/socket.h"

namespace millrace {

// Who gets accepted connections. `fd` is non-blocking, owned by the callee from here on. `local` is
// the address that the listener was bound to; for a wildcard, Connection::local() tells the one
// that the client reached.
class AcceptSink {
 public:
  virtual void onAccept(int fd, const Address& peer, const Address& local) = 0;
  // At the descriptor limit: accepting pauses for Listener::kPauseMs.
  virtual void onAcceptPaused(int sysErrno) { (void)sysErrno; }
  // One connection was gone before it could be accepted.
  virtual void onAcceptFailed() {}
  // After stop(): the socket is closed. The listener must not be destroyed from inside this call.
  virtual void onStopped() {}

 protected:
  ~AcceptSink() = default;
};

class Listener final : public IoHandle {
 public:
  static constexpr int kAcceptsPerEvent = 64;  // then other descriptors get their turn
  // A batch grows when clients have waited for so many turns in a row. It is one client at first:
  // the call that finds nobody waiting is not free, and a listener is reported again as long as
  // somebody is.
  static constexpr int kTurnsToGrow = 4;
  static constexpr uint32_t kPauseMs = 100;  // at the descriptor limit
  // A handshake that has begun takes one more round trip; few clients are further away than this.
  static constexpr uint32_t kStopGraceMs = 250;
  // Clients that are taken from a socket that stops: as many as the system lets wait, unless its
  // limit was raised (net.core.somaxconn). Clients that come meanwhile, where the system cannot
  // refuse them, could be without end.
  static constexpr int kMostAtEnd = 4096;

  // Call start() to begin. The descriptor is closed by the destructor, at once.
  Listener(Loop& loop, Fd fd, const Address& local, AcceptSink& sink);
  ~Listener() override;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  Status start();
  // Stops accepting for good, so that no client that reached the socket is lost, as far as the
  // system lets one; then closes it. onStopped() follows, perhaps from inside this call. Also
  // before start().
  void stop();
  // As stop(), at once: takes what waits and closes. A client whose handshake is not over, and one
  // that comes in between, is reset by the system.
  void stopNow();

  const Address& local() const { return local_; }
  int socket() const { return socket_.get(); }
  bool stopped() const { return stopped_; }  // the socket is closed
  uint64_t accepted() const { return accepted_.load(std::memory_order_relaxed); }
  uint64_t pauses() const {
    return pauses_.load(std::memory_order_relaxed);
  }  // at the descriptor limit
  uint64_t failures() const {
    return failures_.load(std::memory_order_relaxed);
  }  // single connections lost

  void onReady(uint32_t events) override;

 private:
  bool acceptBatch(int most);
  void takeRest();
  void adjustBatch();
  void pause(int sysErrno);
  void onTimer();
  void close();

  Loop& loop_;
  Fd socket_;
  Address local_;
  AcceptSink& sink_;
  Timer timer_;  // the end of a pause, or of the grace
  bool paused_ = false;
  bool stopping_ = false;
  bool stopped_ = false;
  int batch_ = 1;          // clients to accept at one event
  int turnsInARow_ = 0;    // that had as many waiting
  int rest_ = kMostAtEnd;  // clients to take yet, when stopping
  uint64_t lastTurn_ = 0;
  std::atomic<uint64_t> accepted_{0};
  std::atomic<uint64_t> pauses_{0};
  std::atomic<uint64_t> failures_{0};
};

}  // namespace millrace
