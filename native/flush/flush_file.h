// A log file that never stalls who writes to it: one thread for each open file, one ring for each
// writer.
//
//   worker 1 ─▶ ring ─┐
//   worker 2 ─▶ ring ─┼─▶ flush thread ─▶ write(2) ─▶ file, pipe, terminal
//   …                 ┘
//
// Promises
// - A writer never waits and makes no system call, but for one wake-up each time its ring passes
//   the fill mark.
// - Lines are written whole, by one thread: never interleaved, and torn only where a full disk cut
//   one and the process ended before there was room again.
// - Lines of one ring keep their order. Lines of different rings are merged by their stamps within
//   one pass; a line may follow a younger one of another ring only if it was committed after that
//   pass had begun. The disorder is thus bounded by the time between taking a stamp and committing:
//   one turn of a loop.
// - With a rotation, a line is whole in one file, and no file is larger than it may be but for a
//   longer line, or while no other could be opened, or in the handler of a signal that ends the
//   process.
// - A write that fails (ENOSPC, EIO, EPIPE, …) keeps its bytes and is repeated with back-off,
//   counted and told. Meanwhile the rings fill, and then drop what does not fit, counted.
// - accepted = written + buffered + lost, in lines and in bytes; offered = accepted + dropped.
//
// Thread rule: create, reopen, flush, stop and the destructor belong to one thread at a time.
// attach(), ask…() and stats() may be called by any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.h"
#include "flush/ring.h"
#include "flush/rotation.h"
#include "flush/sink.h"

namespace millrace {

struct FlushEvent {
  enum Kind : uint8_t { kFailing, kRecovered, kReopenFailed, kRotated, kRotateFailed };
  Kind kind;
  int sysErrno;  // 0 for kRecovered and kRotated
};

// What was asked for by askFlush(), askReopen() or askStop() has come about, or a writer that
// wanted to know has been drained.
struct FlushProgress {
  enum Kind : uint8_t { kFlushed, kReopened, kStopped, kDrained };
  Kind kind;
  uint64_t ticket;  // kFlushed, kReopened: this and all before it
  int sysErrno;     // kFlushed: a write failed, what is left is kept; kReopened: the old file stays
};

struct FlushOptions {
  static constexpr uint32_t kIntervalMs = 10'000;  // Envoy's --file-flush-interval-msec
  // Envoy's flush size: large writes, small delay.
  static constexpr size_t kFillMarkBytes = 64 * 1024;
  // A second of 5,000 lines while the disk is busy.
  static constexpr size_t kRingBytes = 1024 * 1024;

  FlushSink::Target target = {};
  uint32_t intervalMs =
      kIntervalMs;  // at least 1; what was written is on its way to the kernel after so long
  size_t fillMark = kFillMarkBytes;  // or when a ring holds so much
  size_t ringBytes = kRingBytes;     // of each writer
  size_t maxBytes = 0;     // up to which a full ring grows; at most ringBytes: it drops instead
  bool deferWake = false;  // see FlushRing::Limits
  bool fsync = false;      // after each pass that wrote something, and before a flush is done
  // When the process ends (exit(), a fatal signal, SIGTERM left to its default), what is buffered
  // is written for at most so long, and what could not be is said on stderr; see process_end.h. 0:
  // that is left to whoever owns the file.
  uint32_t endDeadlineMs = 0;
  std::string name = {};        // in what is said on stderr
  FlushRotation rotation = {};  // of a regular file behind a path
  // Called on the flush thread when writing begins to fail, works again, or reopening failed, when
  // there is a new file, and when one could not be made or an old one not be removed or compressed
  // (once, until the next is). Must not call back into the FlushFile other than stats().
  std::function<void(const FlushEvent&)> onEvent = {};
  // Called on the flush thread, with the same restriction.
  std::function<void(const FlushProgress&)> onProgress = {};
};

struct FlushStats {
  uint64_t acceptedLines = 0, acceptedBytes = 0;
  uint64_t writtenLines = 0, writtenBytes = 0;
  uint64_t bufferedLines = 0, bufferedBytes = 0;  // accepted and not yet with the kernel
  uint64_t droppedLines = 0, droppedBytes = 0;    // a ring was full
  uint64_t lostLines = 0, lostBytes = 0;          // given up at stop()
  uint64_t ringsGrown = 0;
  uint64_t writeErrors = 0;
  uint64_t reopens = 0, reopenErrors = 0;
  uint64_t rotations = 0, rotateErrors = 0;
  int lastErrno = 0;     // of the last failed write, reopening or rotation
  bool failing = false;  // the last write failed
};

class FlushFile {
 public:
  // How long the destructor waits when stop() was not called.
  static constexpr uint32_t kDestructorStopMs = 1000;

  // Opens the target (in the calling thread) and starts its flush thread. Errors: those of the
  // sink; ERR_MILLRACE_FLUSH_ROTATION: it cannot be rotated, or is open in this process and rotated
  // otherwise; ERR_MILLRACE_FLUSH_GZIP: there is no zlib.
  static Result<std::unique_ptr<FlushFile>> create(FlushOptions options);
  ~FlushFile();
  FlushFile(const FlushFile&) = delete;
  FlushFile& operator=(const FlushFile&) = delete;

  // A ring for one more writer, at any time. One thread may use it. Dropping the last reference
  // detaches it: what it still holds is written. It may outlive the FlushFile, but what is written
  // to it after stop() reaches nobody.
  std::shared_ptr<FlushRing> attach();

  // Rotation: everything committed before the call goes to the file that is open now; then the path
  // is opened anew, and only if that works the old file is closed. While writing fails or stalls
  // the switch is made at once, and a line that the old file holds only in part is repeated whole
  // in the new one. Waits up to `timeoutMs` for the outcome (0: does not wait; stats() and onEvent
  // tell).
  Status reopen(uint32_t timeoutMs);

  // As reopen() that does not wait: onProgress tells, with the ticket that is returned.
  uint64_t askReopen();

  // Rotates otherwise from now on. Errors: as of create(), with nothing changed.
  Status rotate(const FlushRotation& rotation);

  // Writes out what was committed before the call; false when that took longer than `timeoutMs`.
  bool flush(uint32_t timeoutMs);
  // The same, without waiting: onProgress tells, also when writing fails meanwhile.
  uint64_t askFlush();

  struct StopReport {
    bool clean;  // nothing was lost
    uint64_t lostLines, lostBytes;
  };
  // Writes out everything and ends the thread. At the deadline it gives up, even if a write(2)
  // hangs in the kernel: such a thread is left behind with its file and buffers, writes nothing
  // more and ends when the kernel lets it go; the bytes of that one call count as lost. Writers
  // must have stopped before. Idempotent.
  StopReport stop(uint32_t deadlineMs);
  // The same, without waiting: onProgress tells when the thread has ended, and then stop(0) reports
  // at once. A thread that hangs in the kernel never tells.
  void askStop(uint32_t deadlineMs);
  // Lets go of the thread: it writes out what there is within the deadline, says on stderr what it
  // could not (if endDeadlineMs is set), and ends by itself. Nothing else may be called after it.
  void retire(uint32_t deadlineMs);

  FlushStats stats() const;

 private:
  struct Impl;
  explicit FlushFile(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace millrace
