// One connected stream socket on one loop: reading into the worker's receive buffer, gathered writing with watermarks,
// half-close, delayed close.
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

#include "event/loop.h"
#include "net/address.h"

namespace millrace {

class Connection;
class NetContext;

// Why a connection ended, for logs and response flags. `local` = we did it.
enum class CloseReason : uint8_t { kLocal, kRemoteEnd, kRemoteReset, kConnectFailed, kConnectTimeout, kError };

// What reads from and writes to a connection. The owner decides when a connection is closed; it gets exactly one
// onClosed() for each connection it was given.
class ConnectionOwner {
 public:
  // `bytes` start with what was left over last time and lie in the worker's receive buffer: they are valid until this
  // call returns. Returns how many were consumed; the rest is kept and offered again with what follows.
  // `fresh` bytes at the end are new. A call may come with no new bytes after resume().
  virtual size_t onData(Connection& c, std::span<char> bytes) = 0;
  // The peer sent its end of stream; unconsumed bytes were offered before. Writing is still possible.
  virtual void onReadEnd(Connection& c) = 0;
  virtual void onConnected(Connection& c) { (void)c; }  // an outgoing connection is up
  virtual void onClosed(Connection& c, CloseReason reason, int sysErrno) = 0;
  // Bytes that wait to be written rose above the high / fell to the low watermark.
  virtual void onHighWatermark(Connection& c) { (void)c; }
  virtual void onLowWatermark(Connection& c) { (void)c; }
  virtual void onDrained(Connection& c) { (void)c; }    // after a short write: all pending bytes are with the kernel

 protected:
  ~ConnectionOwner() = default;
};

// The transport seam: plain sockets now, TLS later. Never blocks.
// n > 0 bytes moved; 0 = end of stream (read only); -1 with errno (EAGAIN: try when ready).
class Transport {
 public:
  virtual ~Transport() = default;
  virtual ssize_t read(int fd, void* into, size_t size) = 0;
  virtual ssize_t write(int fd, const struct iovec* iov, int count) = 0;
  virtual void shutdownWrite(int fd) = 0;
};

class Connection final : public IoHandle, public Deferred, public ListNode<Connection> {
 public:
  // Named limits; see docs/limits.md.
  static constexpr size_t kWriteCapPerEvent = 256 * 1024;  // fairness: more waits for the next turn

  // Takes over `fd` (connected, non-blocking). Allocated from ctx's pool; freed by close().
  static Connection* accepted(NetContext& ctx, int fd, const Address& peer, ConnectionOwner* owner);
  // Starts a non-blocking connect. onConnected() or onClosed(kConnectFailed/kConnectTimeout) follows, never from
  // inside this call. Returns null with errno when no socket can be had. Bytes may be written before onConnected.
  static Connection* connect(NetContext& ctx, const Address& to, uint32_t timeoutMs, ConnectionOwner* owner);

  void setOwner(ConnectionOwner* owner) { owner_ = owner; }
  void setWatermarks(size_t high, size_t low) { high_ = uint32_t(high); low_ = uint32_t(low); }

  // Queues `bytes` for the next flush, which comes before the receive buffer is reused and before the loop polls; all
  // that is queued meanwhile leaves in one writev. Not copied unless the socket cannot take it: `bytes` must stay
  // valid until the flush, as everything does that lies in the receive buffer or the arena of a live stream.
  void write(std::string_view bytes);
  // As write(), for bytes that do not live that long: copied into the worker's scratch memory.
  void writeCopy(std::string_view bytes);
  // `size` bytes of scratch memory that are part of the output from now on; the caller fills them before it returns to
  // the loop. `commit` less with trimReserved().
  char* reserve(size_t size);
  void trimReserved(size_t unused);
  void flushNow();
  size_t pendingBytes() const;    // queued and not yet with the kernel

  // Stops / resumes reading; nested calls count. Readiness that arrived meanwhile is acted on after resume (from the
  // loop, not from inside the call).
  void pause();
  void resume();
  bool paused() const { return pauseCount_ != 0; }

  void shutdownWrite();   // after pending bytes are written
  void close();           // at once; pending bytes are dropped; onClosed(kLocal) follows before this returns
  void closeAfterFlush(uint32_t delayMs);  // flush, shut down writing, wait up to delayMs for the peer's end, close
  void abort();           // as close(), with a TCP reset

  bool connecting() const;
  bool closed() const { return state_ == 2; }
  bool readEnded() const;
  const Address& peer() const { return peer_; }
  Address local() const;
  uint64_t id() const { return id_; }            // unique in the process
  uint64_t bytesRead() const { return bytesRead_; }
  uint64_t bytesWritten() const { return bytesWritten_; }
  // For TCP proxying with splice(2): takes the descriptor's readiness handling over. See tcp_proxy.cc.
  bool takePending(size_t& pending) const;

  void onReady(uint32_t events) override;
  void destroyDeferred() override;

 private:
  friend class NetContext;
  ConnectionOwner* owner_ = nullptr;
  uint32_t high_ = 1 << 20, low_ = 1 << 19;
  uint8_t state_ = 0;
  uint8_t pauseCount_ = 0;
  uint64_t id_ = 0, bytesRead_ = 0, bytesWritten_ = 0;
  Address peer_;
};

}  // namespace millrace
