// Opening, reopening and writing of log targets; see sink.h.
#include "flush/sink.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/clock.h"

namespace millrace {

namespace {

Error openError(const std::string& path, const char* what, int sysErrno) {
  return Error{"ERR_MILLRACE_FLUSH_OPEN",
               std::string(what) + " " + path + ": " + std::strerror(sysErrno), sysErrno};
}

}  // namespace

Result<int> FlushSink::openPath(bool truncate) const {
  if (target_.makeFolders) {
    std::error_code failed;
    const auto parent = std::filesystem::path(target_.path).parent_path();
    if (!parent.empty()) std::filesystem::create_directories(parent, failed);
    if (failed) return openError(target_.path, "cannot create the folder of", failed.value());
  }
  // O_NONBLOCK: opening a FIFO must not wait for a reader; it means nothing for regular files.
  const int common = O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  int flags = O_WRONLY | O_CREAT | common;
  if (truncate) flags |= O_TRUNC;
  int fd = ::open(target_.path.c_str(), flags, target_.mode);
  // A FIFO without a reader: keep a reading end ourselves, so that readers may come and go.
  if (fd < 0 && errno == ENXIO) fd = ::open(target_.path.c_str(), O_RDWR | common);
  if (fd < 0) return openError(target_.path, "cannot open", errno);
  return fd;
}

void FlushSink::classify() {
  struct stat st;
  const bool known = fstat(fd_, &st) == 0;
  canStall_ = !known || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
  sharedFlags_ = target_.path.empty();
}

Status FlushSink::open() {
  if (target_.path.empty()) {
    const std::string name = "descriptor " + std::to_string(target_.fd);
    const int flags = fcntl(target_.fd, F_GETFL);
    if (flags < 0) return openError(name, "cannot use", errno);
    if ((flags & O_ACCMODE) == O_RDONLY) return openError(name, "cannot write to", EBADF);
    // Our own: a number that its owner closes and the kernel gives away again would lead elsewhere.
    fd_ = fcntl(target_.fd, F_DUPFD_CLOEXEC, 3);
    if (fd_ < 0) return openError(name, "cannot use", errno);
  } else {
    auto opened = openPath(!target_.append);
    if (!opened) return opened.error();
    fd_ = *opened;
  }
  classify();
  return {};
}

Status FlushSink::reopen(bool& sameFile) {
  sameFile = true;
  if (target_.path.empty()) return {};
  auto opened = openPath(false);
  if (!opened) return opened.error();
  struct stat before, now;
  sameFile = fstat(fd_, &before) == 0 && fstat(*opened, &now) == 0 && before.st_dev == now.st_dev &&
             before.st_ino == now.st_ino;
  closeOwned();
  fd_ = *opened;
  classify();
  return {};
}

bool FlushSink::regular() const {
  struct stat st;
  return !target_.path.empty() && fstat(fd_, &st) == 0 && S_ISREG(st.st_mode);
}

uint64_t FlushSink::size() const {
  struct stat st;
  return fstat(fd_, &st) == 0 && S_ISREG(st.st_mode) ? uint64_t(st.st_size) : 0;
}

uint64_t FlushSink::writtenMs() const {
  struct stat st;
  if (fstat(fd_, &st) != 0) return 0;
#ifdef __APPLE__
  const timespec at = st.st_mtimespec;
#else
  const timespec at = st.st_mtim;
#endif
  return at.tv_sec < 0 ? 0 : uint64_t(at.tv_sec) * 1000 + uint64_t(at.tv_nsec) / kNsPerMs;
}

bool FlushSink::leadsHere() const {
  struct stat ours, there;
  return fstat(fd_, &ours) == 0 && stat(target_.path.c_str(), &there) == 0 &&
         ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

void FlushSink::share() {
  flock(fd_, LOCK_SH | LOCK_NB);
}

ssize_t FlushSink::write(const char* data, size_t size) {
  if (canStall_ && sharedFlags_) {
    pollfd p{fd_, POLLOUT, 0};
    if (::poll(&p, 1, 0) <= 0 || (p.revents & (POLLOUT | POLLERR | POLLHUP | POLLNVAL)) == 0) {
      return 0;
    }
    size = std::min(size, kPieceBytes);
  }
  for (;;) {
    const ssize_t n = ::write(fd_, data, size);
    if (n > 0) return n;
    if (n == 0) return -EIO;  // nothing taken and no reason given: treated as a failing device
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
    return -errno;
  }
}

int FlushSink::sync() {
#ifdef __APPLE__
  const int failed = ::fsync(fd_);
#else
  const int failed = ::fdatasync(fd_);
#endif
  if (failed == 0 || errno == EINVAL || errno == ENOTSUP || errno == EROFS) return 0;
  return errno;
}

void FlushSink::closeOwned() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

}  // namespace millrace
