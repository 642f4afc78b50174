// The flush thread's side of a FlushFile: merging rings into blocks and writing them. Internal to
// native/flush/.
#pragma once

#include <signal.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "flush/flush_file.h"
#include "flush/ring.h"
#include "flush/rotation_claim.h"
#include "flush/rotator.h"
#include "flush/sink.h"
#include "flush/waker.h"

namespace millrace {

// Who may touch the block, the sink and the taking ends of the rings: the flush thread while it
// works, or the handler of a signal that ends the process, for good.
class FlushPen {
 public:
  bool tryTake() {
    uint32_t free = 0;
    return pen_.compare_exchange_strong(free, 1);
  }
  void drop() { pen_.store(0); }
  // The holder should stop at the next whole write, and nobody else may begin.
  void claim() { claimed_.store(true); }
  bool claimed() const { return claimed_.load(); }

 private:
  std::atomic<uint32_t> pen_{0};
  std::atomic<bool> claimed_{false};
};

// What the main thread and the flush thread share. Kept alive by both and by every ring. The mutex
// is held for moments only, never across a system call that can block, and never by a writer.
struct FlushShared {
  explicit FlushShared(FlushOptions o) : options(std::move(o)) {}

  const FlushOptions options;
  std::unique_ptr<FlushWaker> waker;

  std::mutex mutex;
  std::condition_variable changed;  // flushed, reopened, exited
  // Guarded by the mutex:
  std::vector<std::shared_ptr<FlushRing>> rings;
  bool ringsChanged = false;
  uint64_t flushAsked = 0, flushDone = 0;
  uint64_t reopenAsked = 0, reopenDone = 0;
  Status reopenStatus;
  FlushRotation rotation;
  bool rotationChanged = false;
  // What others who open the path are measured by; gone with the thread's last write. Null: it is
  // no regular file.
  std::unique_ptr<RotationClaim> claim;
  bool exited = false;
  bool hopeless = false;  // what is buffered can never be written: nobody waits for it at the end
  bool retired = false;   // nobody will ask for the outcome
  FlushStats totals;      // accepted and dropped: of rings that are gone; the rest: of all

  // Set under the mutex, read without it before each write.
  static constexpr uint64_t kNever = UINT64_MAX;
  std::atomic<uint64_t> stopDeadlineNs{kNever};  // stop() was called: give up then
  std::atomic<bool> abandoned{false};  // stop() gave up on the thread: it must not write or count

  FlushPen pen;
  // `rings` is being changed by a thread without the pen: a signal handler cannot take the mutex,
  // and waits for this.
  std::atomic<bool> ringsBusy{false};

  std::atomic<bool> lossSaid{false};  // on stderr, once

  FlushStats stats();
};

// Holds the mutex of a FlushShared outside its flush thread. Signals whose handler may wait for the
// flush thread are put off meanwhile, because that thread may wait for this very mutex.
class FlushLock {
 public:
  explicit FlushLock(FlushShared& shared);
  ~FlushLock();
  FlushLock(const FlushLock&) = delete;
  FlushLock& operator=(const FlushLock&) = delete;
  std::unique_lock<std::mutex>& lock() { return lock_; }

 private:
  sigset_t before_;
  std::unique_lock<std::mutex> lock_;
};

// What could not be written.
struct FlushLoss {
  uint64_t lines = 0, bytes = 0;
  uint64_t droppedLines = 0, droppedBytes = 0;  // before: a ring was full
};

class FlushThread {
 public:
  // Bytes merged before they are written: large enough that the call is cheap beside the copy.
  static constexpr size_t kBlockBytes = 256 * 1024;
  // Lines of 64 bytes fill a block. A signal handler, which cannot allocate, merges no more at
  // once.
  static constexpr size_t kLinesReserved = kBlockBytes / 64;
  static constexpr uint64_t kRetryMinNs = 50 * kNsPerMs;
  static constexpr uint64_t kRetryMaxNs = 5 * kNsPerSec;

  FlushThread(std::shared_ptr<FlushShared> shared, std::unique_ptr<FlushSink> sink);
  // Until stopped or abandoned.
  void run();

  // For the handler of a signal that ends the process (flush_last.cc); async-signal-safe. Takes the
  // pen for good when it is free and writes what it can without waiting.
  enum class LastStep { kDone, kAgain, kFailed };
  LastStep lastStep();
  // The signal handler's: what is left, as far as it is known.
  FlushLoss lastLoss() const;
  const FlushShared& shared() const { return *shared_; }
  FlushShared& shared() { return *shared_; }

 private:
  enum class Outcome { kDone, kWouldBlock, kFailed, kDeadline, kAbandoned };
  struct Orders {
    uint64_t flush, reopen;  // tickets
    uint64_t deadlineNs;     // kNever: go on
    bool rotation;           // was changed
    bool stopping() const { return deadlineNs != FlushShared::kNever; }
  };

  bool turn();
  Orders takeOrders();
  Outcome pass();
  bool collect();
  void append(FlushRing& ring, const FlushRing::Head& head);
  Outcome writeBlock();
  bool countWritten(size_t bytes);
  Outcome failed(int sysErrno);
  void tell(FlushEvent::Kind kind, int sysErrno);
  Status reopenSink();
  bool atLineStart() const { return written_ == lineStart(); }
  size_t lineStart() const { return linesWritten_ == 0 ? 0 : lineEnds_[linesWritten_ - 1]; }
  void beginRotation();
  void followPath();
  size_t endInFile();
  void rotate();
  void rotateWhenDue();
  void rotateFailed(int sysErrno);
  void tidy(uint64_t untilNs);
  void serveReopen(uint64_t ticket);
  void finish();
  Outcome sync();
  void completeFlush(uint64_t ticket, int sysErrno);
  void noteDrained();
  void deliverNotes();
  void wait(Outcome outcome, const Orders& orders);
  bool lastCollect();
  LastStep lastWrite();

  struct Source {
    std::shared_ptr<FlushRing> ring;
    uint64_t target = 0;  // records to take in this pass
  };

  const std::shared_ptr<FlushShared> shared_;
  const std::unique_ptr<FlushSink> sink_;
  FlushRotator rotator_{*sink_};
  std::vector<Source> sources_;

  // The block: whole lines, `written_` bytes of which are with the kernel.
  std::vector<char> block_;
  size_t blockSize_ = 0;
  size_t written_ = 0;
  std::vector<size_t> lineEnds_;
  size_t linesWritten_ = 0;

  bool failing_ = false;
  bool rotateFailing_ = false;
  int lastErrno_ = 0;
  uint64_t retryNs_ = kRetryMinNs;
  uint64_t nextRetryNs_ = 0;
  uint64_t nextPassNs_ = 0;
  uint64_t reopenServed_ = 0;
  uint64_t flushServed_ = 0;
  bool unsynced_ = false;

  // What there is to tell once the pen is dropped.
  std::vector<FlushEvent> events_;
  std::vector<FlushProgress> progress_;

  // Of lastStep().
  bool hasPen_ = false, last_ = false;
  size_t lastPart_ = 0;  // bytes written of a line that is longer than the block
  uint64_t lastLines_ = 0, lastBytes_ = 0;
};

}  // namespace millrace
