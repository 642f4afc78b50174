// A flush file that several threads of a process write to, found by its number. Whoever opens it or
// attaches to it gets a FlushWriter: a ring of its own, and news from the flush thread.
//
//   thread A ─ FlushWriter ─┐
//   thread B ─ FlushWriter ─┴─▶ SharedFlushFile ─▶ FlushFile and its thread
//
// The file lives as long as a writer does. When the last one goes without stop(), what is buffered
// is still written, within the file's endDeadlineMs, and the thread ends by itself.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string_view>

#include "base/result.h"
#include "flush/flush_file.h"

namespace millrace {

// What a flush thread has to say, in one small value.
struct FlushNotice {
  enum Kind : uint8_t {
    kFlushed,
    kReopened,
    kStopped,
    kDrained,
    kFailing,
    kRecovered,
    kRotated,
    kRotateFailed
  };
  Kind kind;
  int sysErrno;     // 0 where nothing failed
  uint64_t ticket;  // of kFlushed and kReopened
};

class SharedFlushFile {
 public:
  using Listener = std::function<void(const FlushNotice&)>;

  // `options` without callbacks. Errors: those of FlushFile::create().
  static Result<std::shared_ptr<SharedFlushFile>> open(FlushOptions options);
  // Any thread: the file of that number, or null when it is gone.
  static std::shared_ptr<SharedFlushFile> find(uint64_t number);
  ~SharedFlushFile();
  SharedFlushFile(const SharedFlushFile&) = delete;
  SharedFlushFile& operator=(const SharedFlushFile&) = delete;

  uint64_t number() const { return number_; }
  const std::string& name() const { return name_; }
  FlushFile& file() { return *file_; }
  // Any thread: stop() begins; nothing that is offered from now on is taken.
  void end(uint32_t deadlineMs);
  bool ended() const { return ended_.load(std::memory_order_relaxed); }
  // Any thread, after the flush thread has told kStopped, or to give up on it.
  FlushFile::StopReport finish();

 private:
  friend class FlushWriter;
  // Kept alive by the flush thread's callbacks too.
  struct Listeners {
    std::mutex mutex;
    std::map<const void*, Listener> all;
    void tell(const FlushNotice& notice);
  };
  SharedFlushFile() = default;

  std::shared_ptr<Listeners> listeners_ = std::make_shared<Listeners>();
  std::unique_ptr<FlushFile> file_;
  std::mutex stopping_;
  std::string name_;
  uint64_t number_ = 0;
  uint32_t endDeadlineMs_ = 0;
  std::atomic<bool> ended_{false};
};

// One thread's access to a shared file. All of it belongs to that thread, but the listener is
// called on the flush thread, and never again once the destructor has returned.
class FlushWriter {
 public:
  // How a line fared; the bits above kHow are hints that can come with any of them.
  enum : uint32_t {
    kTaken = 0,
    kDropped = 1,  // and counted: no room, or longer than the buffer ever is
    kFull = 2,     // not counted: to be offered again
    kEnded = 3,    // and counted as dropped: the file has ended
    kHow = 3,
    kHigh = 4,  // more than half of the buffer is taken: kDrained will follow
    kWake = 8,  // wake() soon
  };
  // How long write() waits in one call when it should wait at all: JavaScript gets to see then
  // whether its thread is to end.
  static constexpr uint64_t kWaitNs = 50'000'000;
  static constexpr uint64_t kNapNs = 100'000;

  FlushWriter(std::shared_ptr<SharedFlushFile> file, size_t maxBytes,
              SharedFlushFile::Listener listener);
  ~FlushWriter();
  FlushWriter(const FlushWriter&) = delete;
  FlushWriter& operator=(const FlushWriter&) = delete;

  // Copies the line in. No system call, unless a quarter of the buffer is taken, or `waits` (for up
  // to kWaitNs) and it is full.
  uint32_t write(std::string_view line, bool waits);
  void wake() { ring_->wake(); }
  SharedFlushFile& file() { return *file_; }

 private:
  const std::shared_ptr<SharedFlushFile> file_;
  const std::shared_ptr<FlushRing> ring_;
  const size_t highMark_;
};

}  // namespace millrace
