// The table of shared files and the writers of one; see shared_file.h.
#include "flush/shared_file.h"

#include <ctime>

#include "base/clock.h"

namespace millrace {

namespace {

// Of the process, because threads of it find files by number. Never destroyed: threads may outlive
// static destructors.
struct Table {
  std::mutex mutex;
  uint64_t last = 0;
  std::map<uint64_t, std::weak_ptr<SharedFlushFile>> files;
};

Table& table() {
  static Table* const kTable = std::make_unique<Table>().release();
  return *kTable;
}

}  // namespace

void SharedFlushFile::Listeners::tell(const FlushNotice& notice) {
  std::lock_guard lock(mutex);
  for (const auto& [key, listener] : all) listener(notice);
}

Result<std::shared_ptr<SharedFlushFile>> SharedFlushFile::open(FlushOptions options) {
  std::shared_ptr<SharedFlushFile> shared(std::unique_ptr<SharedFlushFile>(new SharedFlushFile()));
  shared->name_ = options.name;
  shared->endDeadlineMs_ = options.endDeadlineMs;
  options.onEvent = [to = shared->listeners_](const FlushEvent& event) {
    constexpr std::pair<FlushEvent::Kind, FlushNotice::Kind> kTold[] = {
        // kReopenFailed is told to who asked.
        {FlushEvent::kFailing, FlushNotice::kFailing},
        {FlushEvent::kRecovered, FlushNotice::kRecovered},
        {FlushEvent::kRotated, FlushNotice::kRotated},
        {FlushEvent::kRotateFailed, FlushNotice::kRotateFailed},
    };
    for (const auto& [kind, notice] : kTold) {
      if (event.kind == kind) to->tell({notice, event.sysErrno, 0});
    }
  };
  options.onProgress = [to = shared->listeners_](const FlushProgress& progress) {
    to->tell({FlushNotice::Kind(progress.kind), progress.sysErrno, progress.ticket});
  };
  auto file = FlushFile::create(std::move(options));
  if (!file) return file.error();
  shared->file_ = std::move(*file);
  Table& t = table();
  std::lock_guard lock(t.mutex);
  shared->number_ = ++t.last;
  t.files[shared->number_] = shared;
  return shared;
}

std::shared_ptr<SharedFlushFile> SharedFlushFile::find(uint64_t number) {
  Table& t = table();
  std::lock_guard lock(t.mutex);
  const auto found = t.files.find(number);
  return found == t.files.end() ? nullptr : found->second.lock();
}

SharedFlushFile::~SharedFlushFile() {
  if (file_ == nullptr) return;
  {
    Table& t = table();
    std::lock_guard lock(t.mutex);
    t.files.erase(number_);
  }
  file_->retire(endDeadlineMs_);
}

void SharedFlushFile::end(uint32_t deadlineMs) {
  if (!ended_.exchange(true)) file_->askStop(deadlineMs);
}

FlushFile::StopReport SharedFlushFile::finish() {
  std::lock_guard lock(stopping_);
  ended_ = true;
  return file_->stop(0);
}

FlushWriter::FlushWriter(std::shared_ptr<SharedFlushFile> file, size_t maxBytes,
                         SharedFlushFile::Listener listener)
    : file_(std::move(file)), ring_(file_->file().attach()), highMark_(maxBytes / 2) {
  std::lock_guard lock(file_->listeners_->mutex);
  file_->listeners_->all[this] = std::move(listener);
}

FlushWriter::~FlushWriter() {
  std::lock_guard lock(file_->listeners_->mutex);
  file_->listeners_->all.erase(this);
}

uint32_t FlushWriter::write(std::string_view line, bool waits) {
  if (file_->ended()) [[unlikely]] {
    ring_->drop(line.size());
    return kEnded;
  }
  const uint64_t nowNs = monotonicNs();
  if (!ring_->offer(line, nowNs)) [[unlikely]] {
    if (!waits || !ring_->fitsEver(line.size())) {
      ring_->drop(line.size());
      ring_->wantDrain();
      return kDropped | kHigh;
    }
    uint64_t now = nowNs;
    do {
      ring_->wake();
      const timespec nap{0, long(kNapNs)};
      nanosleep(&nap, nullptr);
      now = monotonicNs();
      if (ring_->offer(line, now)) return kTaken | kHigh;
    } while (now - nowNs < kWaitNs);
    return kFull;
  }
  uint32_t how = kTaken;
  if (ring_->buffered() >= highMark_) [[unlikely]] {
    ring_->wantDrain();
    how |= kHigh;
  }
  if (ring_->wakeWanted()) how |= kWake;
  return how;
}

}  // namespace millrace
