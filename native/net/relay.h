// Moves bytes between two connections, both ways, until both directions have ended.
//
// A direction starts by reading into the worker's buffer and writing from there: two system calls
// for a small exchange. When a read brings much, it goes over to splice(2) until little comes:
//
//   copying ──a read of kSpliceFrom or more──▶ splicing
//     ▲                                           │
//     └── drained, and it was less than kSpliceFrom since the last time
//
// Back-pressure: what one side does not take keeps the other from being read (by watermarks while
// copying; while splicing nothing is read until the pipe is empty). The end of a stream is passed
// on; a reset is passed on as a reset, when the other side has the bytes that were received before
// it: an orderly end would say that they are all there is.
//
// Thread rule: the loop of the two connections.
#pragma once

#include <cstdint>
#include <span>

#include "event/loop.h"
#include "net/connection.h"
#include "net/splice_pipe.h"

namespace millrace {

// How a relay ended: what was first.
struct RelayEnd {
  enum class Side : uint8_t { kFirst, kSecond, kLocal, kIdle };
  Side side = Side::kLocal;
  CloseReason reason = CloseReason::kLocal;
  int sysErrno = 0;
};

class RelayOwner {
 public:
  // Bytes moved, in either direction.
  virtual void onRelayUsed() {}
  // One of the connections is closed; its facts can be had now for the last time.
  virtual void onRelayClosing(Connection& c, CloseReason reason) { (void)c, (void)reason; }
  // Called once, when both connections are closed; from the loop, or from inside close(). The relay
  // may be destroyed after the turn.
  virtual void onRelayOver(const RelayEnd& end) = 0;

 protected:
  ~RelayOwner() = default;
};

class Relay {
 public:
  static constexpr size_t kSpliceFrom = 32 * 1024;  // from so many bytes at a time splicing pays
  static constexpr size_t kSpliceCapPerEvent =
      1024 * 1024;  // fairness: more waits for the next turn
  static constexpr uint32_t kLastBytesMs =
      10'000;  // how long the other side may take for what came before a reset

  Relay(SplicePipes& pipes, RelayOwner& owner);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // Becomes the owner of both connections, which are open and not paused, and closes them.
  // `idleMs`: after so long without a byte in either direction both are closed; 0: never. A byte
  // that a peer takes from our system counts.
  void start(Connection& first, Connection& second, uint64_t idleMs);
  // Closes both connections.
  void close();
  bool active() const { return first_.connection != nullptr || second_.connection != nullptr; }
  // Null when it is closed.
  Connection* first() const { return first_.connection; }
  Connection* second() const { return second_.connection; }
  // How often reading the first connection stopped because the second took too little, and went on.
  uint32_t pauses() const { return pauses_; }
  uint32_t resumes() const { return resumes_; }

 private:
  // One connection, and the direction from it to the other one.
  struct Half final : ConnectionOwner {
    explicit Half(Relay& r) : relay(r) {}
    size_t onData(Connection& c, std::span<char> bytes) override;
    void onReadEnd(Connection& c) override;
    void onClosed(Connection& c, CloseReason reason, int sysErrno) override;
    bool moves(Connection& c) override;
    void onHighWatermark(Connection& c) override;
    void onLowWatermark(Connection& c) override;
    void onDrained(Connection& c) override;
    void onRawReady(Connection& c, uint32_t bits) override;

    void pump();
    bool drainPipe();
    bool fillPipe();
    void passOnPipe();
    bool owesSome() const;
    void releasePipe();
    bool tookSome();
    void leaveSplicing();

    Relay& relay;
    Half* other = nullptr;
    Connection* connection = nullptr;
    SplicePipe* pipe = nullptr;
    Progress progress;
    uint32_t burst = 0;      // bytes spliced since the socket was last drained
    bool holdsBack = false;  // the other one is paused because of this one's pending bytes
  };

  void used();
  void closed(Half& half, CloseReason reason, int sysErrno);
  void idle();

  SplicePipes& pipes_;
  RelayOwner& owner_;
  Half first_{*this};
  Half second_{*this};
  Timer idleTimer_;
  uint64_t idleMs_ = 0;
  uint32_t pauses_ = 0, resumes_ = 0;
  bool over_ = false;
  RelayEnd end_;
};

}  // namespace millrace
