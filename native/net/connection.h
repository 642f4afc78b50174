// One connected stream socket on one loop: reading into the worker's receive buffer, gathered
// writing with watermarks, half-close, delayed close.
//
// Callbacks come from the loop (from readiness, from the flush after it, from a timer), never from
// inside a call of the owner, with one exception: close() and abort() call onClosed() before they
// return. Once an error is known, bytes that had already arrived are still offered; onClosed()
// follows them (while reading is paused: after resume(), unless nothing had arrived). What was to
// be written is dropped at once.
//
//   open ──shutdownWrite()──▶ write-closed ──peer's end of stream──▶ closed
//     │ ──peer's end of stream──▶ read-closed (onReadEnd)
//     └──close()/error──▶ closed (onClosed, once; then the object goes through Loop::deferDelete)
//
// Thread rule: the loop's thread only.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "event/loop.h"
#include "net/address.h"
#include "net/socket.h"

namespace millrace {

class Connection;
class NetContext;
class StatCell;

// Why a connection ended, for logs and response flags. `local` = we did it.
enum class CloseReason : uint8_t {
  kLocal,
  kRemoteEnd,
  kRemoteReset,
  kConnectFailed,
  kConnectTimeout,
  kError
};

// What reads from and writes to a connection. The owner decides when a connection is closed; it
// gets exactly one onClosed() for each connection it was given.
class ConnectionOwner {
 public:
  // `bytes` start with what was left over last time and lie in the worker's receive buffer: they
  // are valid until this call returns. Returns how many were consumed; the rest is kept and offered
  // again with what follows, in one piece. A call may come with no new bytes after resume() and
  // after setOwner(). An owner that leaves more than Connection::kMaxUnconsumed is cut off
  // (onClosed with kError, ENOBUFS): consume, or answer and close, before that.
  virtual size_t onData(Connection& c, std::span<char> bytes) = 0;
  // The peer sent its end of stream; unconsumed bytes were offered before. Writing is still
  // possible.
  virtual void onReadEnd(Connection& c) = 0;
  virtual void onConnected(Connection& c) { (void)c; }  // an outgoing connection is up
  virtual void onClosed(Connection& c, CloseReason reason, int sysErrno) = 0;
  // Bytes that wait to be written rose above the high / fell to the low watermark.
  // Reading is paused, and the peer has ended its stream or reset the connection meanwhile; what it
  // sent before may still wait to be read. May be told more than once, and not at all when nobody
  // polls (raw mode). The owner may close.
  virtual void onPeerLeft(Connection& c) { (void)c; }
  // Bytes of `c` that arrived before an error wait for resume(). Whether what they wait for has
  // moved since it was last asked.
  virtual bool moves(Connection& c) { return (void)c, false; }
  virtual void onHighWatermark(Connection& c) { (void)c; }
  virtual void onLowWatermark(Connection& c) { (void)c; }
  virtual void onDrained(Connection& c) {
    (void)c;
  }  // after a short write: all pending bytes are with the kernel
  // Only after setRaw(true) or awaitWritable(): the descriptor has readiness of these bits (Ready);
  // the owner moves the bytes itself.
  virtual void onRawReady(Connection& c, uint32_t bits) { (void)c, (void)bits; }

 protected:
  ~ConnectionOwner() = default;
};

// The transport seam: plain sockets now, TLS later. Never blocks.
// n > 0 bytes moved; 0 = end of stream (read only); -1 with errno (EAGAIN: try when ready).
class Transport {
 public:
  virtual ssize_t read(int fd, void* into, size_t size) = 0;
  virtual ssize_t write(int fd, const struct iovec* iov, int count) = 0;
  virtual void shutdownWrite(int fd) = 0;

 protected:
  ~Transport() = default;
};

// How an outgoing connection is made, beyond where to.
struct ConnectOptions {
  TcpKeepalive keepalive;
  // Local addresses: the first one of the destination's family, or else the first. None: the
  // system's choice.
  std::vector<Address> bind;
  bool freebind = false;                    // they need not be this machine's (Linux)
  std::vector<SocketOption> socketOptions;  // set before binding
  bool operator==(const ConnectOptions&) const = default;
};

// Where to. With several addresses, the one that answers first: each gets kHappyEyeballsMs before
// the next one is tried as well, in this order (RFC 8305 §5).
struct Destination {
  Destination(const Address& address) : first(address) {}  // NOLINT: an address is a destination
  Destination(const Address& address, std::span<const Address> more, std::string_view before)
      : first(address), others(more), preface(before) {}
  const Address& first;
  std::span<const Address> others;
  // Bytes that go out before all others, such as a PROXY header. Copied.
  std::string_view preface;
};

class Connection final : public IoHandle, public Deferred {
 public:
  // Named limits; see docs/limits.md.
  static constexpr size_t kWriteCapPerEvent = 256 * 1024;  // fairness: more waits for the next turn
  static constexpr size_t kMaxUnconsumed = 240 * 1024;     // 16 KiB stay free to read into
  static constexpr size_t kOfferWindow =
      16 * 1024;  // of leftover bytes; more if the owner needs it
  // A connection that moves so much at once shares a part of each turn with others of its kind, so
  // that one with little to say does not wait for all of them (Loop::putOff).
  static constexpr size_t kMuch = 32 * 1024;
  // How long bytes that have arrived wait for resume() after an error, while nothing moves that
  // they wait for (ConnectionOwner::moves).
  static constexpr uint32_t kErrorGraceMs = 10'000;
  // How long one address of a destination is tried alone (Envoy's happy eyeballs).
  static constexpr uint32_t kHappyEyeballsMs = 300;
  // closeAfterFlush() gives up when the peer takes nothing of what is pending for so long.
  static constexpr uint32_t kFlushStallMs = 60'000;
  // How often abortAfterFlush() asks whether the peer's system has everything: nothing tells it.
  static constexpr uint32_t kDeliveryPollMs = 20;

  // Takes over `fd` (connected, non-blocking). Allocated from ctx's pool; freed by close(). Null
  // with errno, and `fd` closed, when the poller takes no more.
  static Connection* accepted(NetContext& ctx, int fd, const Address& peer, ConnectionOwner* owner);
  // Starts a non-blocking connect. onConnected() or onClosed(kConnectFailed/kConnectTimeout)
  // follows, never from inside this call. timeoutMs 0: as long as the system tries. Returns null
  // with errno when no socket can be had. Bytes may be written before onConnected.
  static Connection* connect(NetContext& ctx, const Destination& to, uint32_t timeoutMs,
                             ConnectionOwner* owner, const ConnectOptions& options = {});

  // Use accepted() and connect(); public for the pool only.
  Connection(NetContext& ctx, int fd, const Address& peer, ConnectionOwner* owner);

  // Two cells, of this worker: bytes that were received and not consumed, and bytes that wait to be
  // written, of all connections that share them. They outlive the connection, or its next pair of
  // them, which takes over what is buffered.
  void setBufferedGauges(StatCell* rxAndTx);

  // May be called from inside callbacks. Unconsumed bytes are offered to the new owner, from the
  // loop.
  void setOwner(ConnectionOwner* owner);
  ConnectionOwner* owner() const { return owner_; }
  void setWatermarks(size_t high, size_t low) {
    high_ = uint32_t(high);
    low_ = uint32_t(low);
  }

  // Queues `bytes` for the next flush, which comes before the receive buffer is reused and before
  // the loop polls; all that is queued meanwhile leaves in one writev. Not copied unless the socket
  // cannot take it: `bytes` must stay valid until the flush, as everything does that lies in the
  // receive buffer or the arena of a live stream. After shutdownWrite(), close() and errors bytes
  // are dropped.
  void write(std::string_view bytes);
  // As write(), for bytes that do not live that long: copied into the worker's scratch memory.
  void writeCopy(std::string_view bytes);
  // `size` bytes of scratch memory that are part of the output from now on. The caller fills them,
  // and says with trimReserved() how many at the end it did not need, before any other call on a
  // connection.
  char* reserve(size_t size);
  void trimReserved(size_t unused);
  void flushNow();
  size_t pendingBytes() const;  // queued and not yet with the kernel
  // Bytes have arrived that the owner has not consumed: what a peer would lose if the connection
  // were closed now. A system call.
  bool hasUnread() const;

  // Stops / resumes reading; nested calls count. Readiness that arrived meanwhile is acted on after
  // resume (from the loop, not from inside the call).
  void pause() { pauseCount_++; }
  void resume();
  bool paused() const { return pauseCount_ != 0; }
  // From inside onData(): the owner has had its share of the turn. What it leaves is offered again
  // in a later one, also without new bytes, and may be more than kMaxUnconsumed.
  void yield() { flags_ |= kYielded; }

  // After pending bytes are written. When the peer has ended too, the connection closes then.
  void shutdownWrite();
  // At once; onClosed(kLocal) follows before this returns. Pending bytes are dropped; when there
  // are any, the peer gets a reset: an orderly end would say that it has all.
  void close();
  // Flushes, shuts down writing, waits up to delayMs for the peer's end (what it still sends is
  // read and dropped, so that no reset destroys our last bytes), closes: onClosed(kLocal). The
  // flush may stall for stallMs, or delayMs if that is longer; both start anew whenever the peer
  // has taken some.
  void closeAfterFlush(uint32_t delayMs, uint32_t stallMs = kFlushStallMs);
  void abort();  // as close(), with a TCP reset
  // For a stream that ends before its time, where its end is all that tells the peer that it is
  // complete: what is pending goes out, and when the peer's system has all of it (or has taken
  // nothing for stallMs) a reset says that there should have been more. onClosed(kLocal) follows.
  void abortAfterFlush(uint32_t stallMs = kFlushStallMs);

  bool connecting() const { return state_ == kConnecting; }
  bool closed() const { return state_ == kClosed; }
  bool readEnded() const { return (flags_ & kReadEnded) != 0; }
  // Open, and when the loop polled last the peer had neither said anything that was not consumed
  // nor ended. What came behind something that was read since is only seen by the next poll.
  bool silent() const {
    constexpr uint32_t kSaid = kReadable | kReadClosed | kError;
    return state_ == kOpen && leftoverSize_ == 0 && ((ready() | polled()) & kSaid) == 0 &&
           (flags_ & (kReadEnded | kBroken)) == 0;
  }
  // As silent(), at this moment. A system call.
  bool silentNow() const;
  bool writeEnded() const { return (flags_ & (kWriteShut | kShutAsked)) != 0; }
  // Of several addresses: the first one until the connection is up.
  Address peer() const;                 // a unix peer is asked for with a system call
  Address local() const;                // a system call
  Address originalDestination() const;  // see socket.h
  bool wasRedirected(const Address& meant) const;
  uint64_t id() const { return id_; }  // unique in the process
  uint64_t bytesRead() const { return bytesRead_; }
  uint64_t bytesWritten() const { return bytesWritten_; }  // handed to the kernel
  // Of these, what the peer's system has received, as far as ours knows; else what ours has taken.
  // A system call. Unix sockets count otherwise: all of it or not is all that can be told of them.
  uint64_t bytesDelivered() const;
  bool overTcp() const;
  // More waits to be written than the high watermark allows, and onLowWatermark() is to come, or
  // onDrained(): whoever would write more waits for it.
  bool aboveHigh() const { return pending_ > high_ || (flags_ & kAboveHigh) != 0; }
  NetContext& context() const { return *ctx_; }

  // For an owner that moves bytes between descriptors itself (splice): in raw mode the connection
  // does not read, and readiness goes to onRawReady(). The owner leaves nothing unconsumed when
  // it turns it on, keeps to clearReady(), and reports what it found:
  void setRaw(bool on);
  // onRawReady() with kWritable comes once, when the socket, found full by the owner, takes bytes.
  void awaitWritable() { flags_ |= kAwaitWritable; }
  bool raw() const { return (flags_ & kRaw) != 0; }
  void countRead(size_t n) { bytesRead_ += n; }
  void countWritten(size_t n) { bytesWritten_ += n; }
  void rawReadEnd();  // the read gave end of stream: onReadEnd() follows before this returns
  void rawFailed(int sysErrno);  // a read or write failed: onClosed() follows from the loop

  void onReady(uint32_t events) override;
  void destroyDeferred() override;

 private:
  friend class NetContext;
  // Lingering: closeAfterFlush() or abortAfterFlush() was called.
  enum State : uint8_t { kConnecting, kOpen, kLingering, kClosed };
  enum Flag : uint16_t {
    kReadEnded = 1,
    kShutAsked = 2,  // shutdownWrite() waits for the flush
    kWriteShut = 4,  // our end of stream is out, or nothing can be written any more
    kAboveHigh = 8,
    kOfferAgain = 16,  // leftover bytes are to be offered without new ones
    kRaw = 32,
    kBroken = 64,  // an error is known: sysErrno_
    kAwaitWritable = 128,
    kYielded = 256,    // within onData(): the owner called yield()
    kMovesMuch = 512,  // the last read brought kMuch or more
    kCut = 1024,       // abortAfterFlush() was called
  };
  struct Block;     // bytes that the kernel did not take
  struct Deadline;  // connect timeout, delayed close, grace after an error
  class Race;       // for the first of several addresses that answers
  static constexpr uint8_t kNoLane = 255;

  bool movesMuch() const { return (flags_ & (kMovesMuch | kRaw)) != 0 || pending_ > kMuch; }
  void setPeer(const Address& peer);
  void connectDone(uint32_t events);
  void connectFailed(int sysErrno);
  void adopt(int fd, const Address& peer);
  void readReady();
  void discardReady();
  size_t readBehind(size_t kept, bool& end);
  void offerWindow();
  void offer(size_t size);
  bool yielded();
  void keep(const char* rest, size_t size);
  void dropLeftover();
  void readEnd();
  void failIfDrained();

  void sendLane();
  void flushed();
  void sendPending();
  void append(const char* bytes, size_t size);
  void takeSent(size_t size);
  void shutNow();
  void broken(int sysErrno);
  void dropOutput();

  void fail(int sysErrno);
  void finish(CloseReason reason, int sysErrno);
  void armDeadline(uint32_t ms);
  void linger(uint32_t delayMs, uint32_t stallMs);
  void lingered();
  void cutWhenDelivered();
  void dropDeadline();
  void deadlinePassed();

  uint8_t state_ = kOpen;
  uint8_t lane_ = kNoLane;  // where in the worker's write batch its slices are
  uint16_t flags_ = 0;
  uint8_t peerFamily_ = 0;
  uint16_t peerPort_ = 0;  // network order
  uint16_t pauseCount_ = 0;
  uint32_t peerScope_ = 0;
  unsigned char peerIp_[16] = {};
  int sysErrno_ = 0;
  uint32_t pending_ = 0;  // bytes in blocks
  uint32_t high_ = 1 << 20, low_ = 1 << 19;
  uint32_t leftoverBegin_ = 0, leftoverSize_ = 0;
  ChunkPool::Chunk* leftover_ = nullptr;
  NetContext* ctx_;
  ConnectionOwner* owner_;
  Transport* transport_;
  Block* firstBlock_ = nullptr;
  Block* lastBlock_ = nullptr;
  Deadline* deadline_ = nullptr;
  StatCell* buffered_ = nullptr;
  uint64_t id_, bytesRead_ = 0, bytesWritten_ = 0;
};

// Whether a peer takes what it is sent. A system takes megabytes of a slow reader's bytes at once
// and says nothing of its own progress, so whoever would close because nothing moves asks here
// first. Each that asks has one of its own.
class Progress {
 public:
  // Something has arrived since this was last asked, and there is more to arrive. True also the
  // first time, if there is more. A system call.
  bool moved(const Connection& c) {
    const uint64_t now = c.bytesDelivered();
    const bool moved = now != delivered_ && (now != c.bytesWritten() || c.pendingBytes() > 0);
    delivered_ = now;
    return moved;
  }

 private:
  uint64_t delivered_ = 0;
};

}  // namespace millrace
