// Renaming, removing and compressing; see rotator.h.
#include "flush/rotator.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/clock.h"

namespace millrace {

namespace {

constexpr uint64_t kUsPerMs = 1000;
// The clock on the wall may be set while we sleep; no sleep is longer.
constexpr uint64_t kLongestSleepMs = 60'000;

uint64_t wallMs() {
  return wallUs() / kUsPerMs;
}

// Rotating is for one at a time of those that write to files of a folder. Where there are no such
// locks, or somebody holds on to it, the worst is a file that is rotated sooner than it need be.
class FolderLock {
 public:
  explicit FolderLock(const std::string& folder)
      : fd_(::open(folder.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY)) {
    for (int i = 0; fd_ >= 0 && i < kTries; i++) {
      if (flock(fd_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
      const timespec nap{0, 1'000'000};
      nanosleep(&nap, nullptr);
    }
  }
  ~FolderLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  static constexpr int kTries = 200;  // of a millisecond each
  const int fd_;
};

// Whether somebody writes to it, or compresses it.
bool inUse(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return false;
  const bool locked = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(fd);
  return locked;
}

bool missing(const std::string& path) {
  struct stat st;
  return lstat(path.c_str(), &st) != 0 && errno == ENOENT;
}

}  // namespace

void FlushRotator::use(const FlushRotation& rotation) {
  rotation_ = rotation;
  clock_ = RotationClock(rotation);
  gzip_.reset();
  nextTryNs_ = 0;
  tidyNs_ = on() ? 0 : UINT64_MAX;
  if (!on()) return;
  opened();
  // A file that was last written to in a period that is over is of that period.
  const uint64_t now = wallMs();
  clock_.begin(empty() ? now : std::min(now, sink_.writtenMs()));
}

void FlushRotator::opened() {
  sink_.share();
  size_ = sink_.size();
}

int FlushRotator::follow() {
  if (sink_.leadsHere()) {
    size_ = sink_.size();
    return 0;
  }
  bool same = true;
  if (const Status s = sink_.reopen(same); !s.ok()) return s.error().sysErrno;
  clock_.begin(wallMs());
  opened();
  return 0;
}

bool FlushRotator::due() {
  return on() && clock_.due(wallMs());
}

uint64_t FlushRotator::leftMs() const {
  if (rotation_.every == FlushRotation::Every::kNever) return UINT64_MAX;
  const uint64_t nowNs = monotonicNs();
  if (nextTryNs_ > nowNs) return (nextTryNs_ - nowNs) / kNsPerMs + 1;
  return std::min(clock_.leftMs(wallMs()), kLongestSleepMs);
}

FlushRotator::Moved FlushRotator::moveAway() {
  if (empty() || !sink_.regular()) {
    clock_.begin(wallMs());
    return Moved::kNo;
  }
  const uint64_t nowNs = monotonicNs();
  if (nowNs < nextTryNs_) return Moved::kNo;
  if (!rename()) {
    nextTryNs_ = nowNs + tryAgainNs_;
    tryAgainNs_ = std::min(tryAgainNs_ * 2, kRetryMaxNs);
    return Moved::kFailed;
  }
  nextTryNs_ = 0;
  tryAgainNs_ = kRetryMinNs;
  clock_.begin(wallMs());
  opened();
  tidyNs_ = 0;
  return Moved::kYes;
}

bool FlushRotator::failed(int sysErrno) {
  sysErrno_ = sysErrno;
  return false;
}

// False: the path leads nowhere (now).
bool FlushRotator::findFolder() {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(sink_.path().c_str(), nullptr),
                                                         &std::free);
  if (real == nullptr) return failed(errno);
  const std::string path = real.get();
  folder_ = path.substr(0, path.rfind('/') + 1);
  prefix_ = path.substr(folder_.size()) + ".";
  return true;
}

bool FlushRotator::rename() {
  if (!findFolder()) return false;
  const std::string path = folder_ + prefix_.substr(0, prefix_.size() - 1);
  const FolderLock lock(folder_);
  bool same = true;
  if (!sink_.leadsHere()) {  // somebody else has just rotated it
    const Status s = sink_.reopen(same);
    return s.ok() || failed(s.error().sysErrno);
  }
  std::vector<Old> old;
  if (const int sysErrno = list(old); sysErrno != 0) return failed(sysErrno);
  const auto last = old.empty() ? std::nullopt : std::optional(old.back().name);
  const std::string to = folder_ + prefix_ + RotatedName::next(wallMs(), last).text();
  if (!missing(to)) return failed(EEXIST);
  if (::rename(path.c_str(), to.c_str()) != 0) return failed(errno);
  const Status opened = sink_.reopen(same);
  if (opened.ok()) return true;
  // All as before. If even that fails, lines go to the old file under its new name until the path
  // can be opened.
  if (missing(path)) ::rename(to.c_str(), path.c_str());
  return failed(opened.error().sysErrno);
}

// Oldest first; those of one stamp next to each other.
int FlushRotator::list(std::vector<Old>& old) const {
  DIR* const folder = ::opendir(folder_.c_str());
  if (folder == nullptr) return errno;
  while (const dirent* entry = ::readdir(folder)) {
    const std::string_view file = entry->d_name;
    if (file.substr(0, prefix_.size()) != prefix_) continue;
    if (const auto name = RotatedName::parse(file.substr(prefix_.size()))) {
      struct stat st;
      const bool known = fstatat(dirfd(folder), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0;
      old.push_back({*name, std::string(file), known && S_ISREG(st.st_mode)});
    }
  }
  ::closedir(folder);
  std::sort(old.begin(), old.end(), [](const Old& a, const Old& b) {
    return a.name.stampMs() != b.name.stampMs() ? a.name.stampMs() < b.name.stampMs()
                                                : a.file < b.file;
  });
  return 0;
}

int FlushRotator::tidy() {
  if (gzip_ != nullptr) {
    const GzipFile::Step step = gzip_->step();
    if (step == GzipFile::Step::kMore) return 0;
    const int sysErrno = step == GzipFile::Step::kFailed ? gzip_->sysErrno() : 0;
    gzip_.reset();
    tidyNs_ = step == GzipFile::Step::kInUse ? monotonicNs() + kInUseNs : 0;
    if (sysErrno != 0) retryLater();
    if (step == GzipFile::Step::kDone) tidyAgainNs_ = kRetryMinNs;
    return sysErrno;
  }
  tidyNs_ = UINT64_MAX;
  if (!sink_.regular()) return 0;
  if (!findFolder()) return 0;  // follow() opens it, or says why not
  std::vector<Old> old;
  int sysErrno = list(old);
  if (sysErrno == 0) sysErrno = removeOldest(old);
  if (sysErrno == 0 && rotation_.gzip) sysErrno = compressNext(old);
  if (sysErrno != 0) retryLater();
  return sysErrno;
}

int FlushRotator::removeOldest(const std::vector<Old>& old) {
  if (rotation_.keep == 0) return 0;
  uint32_t kept = 0;
  int failed = 0;
  // From the youngest: what is of one stamp counts once.
  for (size_t i = old.size(); i-- > 0;) {
    if (i + 1 == old.size() || old[i].name.stampMs() != old[i + 1].name.stampMs()) kept++;
    if (kept <= rotation_.keep) continue;
    if (!old[i].regular) continue;
    const std::string path = folder_ + old[i].file;
    if (inUse(path)) {
      tidyNs_ = monotonicNs() + kInUseNs;
    } else if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
      failed = errno;
    }
  }
  return failed;
}

int FlushRotator::compressNext(const std::vector<Old>& old) {
  uint32_t newer = 0;
  for (size_t i = old.size(); i-- > 0;) {
    if (i + 1 == old.size() || old[i].name.stampMs() != old[i + 1].name.stampMs()) newer++;
    if (rotation_.keep != 0 && newer > rotation_.keep) break;
    const Old& one = old[i];
    if (!one.regular || one.name.gzipped() || one.name.temporary()) continue;
    const std::string path = folder_ + one.file;
    if (inUse(path)) {
      tidyNs_ = monotonicNs() + kInUseNs;
      continue;
    }
    gzip_ = std::make_unique<GzipFile>(path, path + ".gz");
    tidyNs_ = 0;
    return 0;
  }
  return 0;
}

void FlushRotator::retryLater() {
  tidyNs_ = monotonicNs() + tidyAgainNs_;
  tidyAgainNs_ = std::min(tidyAgainNs_ * 2, kRetryMaxNs);
}

void FlushRotator::end() {
  gzip_.reset();
  const bool wanted = tidyNs_ <= monotonicNs() && rotation_.keep != 0;
  rotation_.gzip = false;
  if (wanted) tidy();
}

}  // namespace millrace
