// The flush thread's side of a FlushFile: merging rings into blocks and writing them. Internal to
// native/flush/.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "flush/flush_file.h"
#include "flush/ring.h"
#include "flush/sink.h"
#include "flush/waker.h"

namespace millrace {

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
  bool exited = false;
  FlushStats totals;  // accepted and dropped: of rings that are gone; the rest: of all

  // Set under the mutex, read without it before each write.
  static constexpr uint64_t kNever = UINT64_MAX;
  std::atomic<uint64_t> stopDeadlineNs{kNever};  // stop() was called: give up then
  std::atomic<bool> abandoned{false};  // stop() gave up on the thread: it must not write or count
};

class FlushThread {
 public:
  // Bytes merged before they are written: large enough that the call is cheap beside the copy.
  static constexpr size_t kBlockBytes = 256 * 1024;
  static constexpr uint64_t kRetryMinNs = 50 * kNsPerMs;
  static constexpr uint64_t kRetryMaxNs = 5 * kNsPerSec;

  FlushThread(std::shared_ptr<FlushShared> shared, std::unique_ptr<FlushSink> sink);
  // Until stopped or abandoned.
  void run();

 private:
  enum class Outcome { kDone, kWouldBlock, kFailed, kDeadline, kAbandoned };
  struct Orders {
    uint64_t flush, reopen;  // tickets
    uint64_t deadlineNs;     // kNever: go on
    bool stopping() const { return deadlineNs != FlushShared::kNever; }
  };

  Orders takeOrders();
  Outcome pass();
  bool collect();
  void append(FlushRing& ring, const FlushRing::Head& head);
  Outcome writeBlock();
  bool countWritten(size_t bytes);
  Outcome failed(int sysErrno);
  void tell(FlushEvent::Kind kind, int sysErrno);
  Status reopenSink();
  void serveReopen(uint64_t ticket);
  void finish();
  void completeFlush(uint64_t ticket);
  void wait(Outcome outcome, const Orders& orders);

  struct Source {
    std::shared_ptr<FlushRing> ring;
    uint64_t target = 0;  // records to take in this pass
  };

  const std::shared_ptr<FlushShared> shared_;
  const std::unique_ptr<FlushSink> sink_;
  std::vector<Source> sources_;

  // The block: whole lines, `written_` bytes of which are with the kernel.
  std::vector<char> block_;
  size_t blockSize_ = 0;
  size_t written_ = 0;
  std::vector<size_t> lineEnds_;
  size_t linesWritten_ = 0;

  bool failing_ = false;
  int lastErrno_ = 0;
  uint64_t retryNs_ = kRetryMinNs;
  uint64_t nextRetryNs_ = 0;
  uint64_t nextPassNs_ = 0;
  uint64_t reopenServed_ = 0;
};

}  // namespace millrace
