// gzip by zlib, found at run time; see gzip.h.
#include "flush/gzip.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace millrace {

// z_stream of zlib.h, whose layout is that of every zlib 1.x: deflateInit2_() is told its size and
// the version, and refuses what it does not know.
struct GzipFile::Stream {
  const uint8_t* nextIn = nullptr;
  unsigned availIn = 0;
  unsigned long totalIn = 0;  // NOLINT: zlib's type
  uint8_t* nextOut = nullptr;
  unsigned availOut = 0;
  unsigned long totalOut = 0;  // NOLINT
  const char* message = nullptr;
  void* state = nullptr;
  void* (*allocate)(void*, unsigned, unsigned) = nullptr;
  void (*release)(void*, void*) = nullptr;
  void* opaque = nullptr;
  int dataType = 0;
  unsigned long check = 0;     // NOLINT
  unsigned long reserved = 0;  // NOLINT
};

struct GzipFile::Zlib {
  int (*init)(Stream*, int level, int method, int windowBits, int memLevel, int strategy,
              const char* version, int streamSize) = nullptr;
  int (*deflate)(Stream*, int flush) = nullptr;
  int (*end)(Stream*) = nullptr;

  bool find(void* library, const std::string& prefix) {
    const auto symbol = [&](const char* name) { return dlsym(library, (prefix + name).c_str()); };
    init = reinterpret_cast<decltype(init)>(symbol("deflateInit2_"));
    deflate = reinterpret_cast<decltype(deflate)>(symbol("deflate"));
    end = reinterpret_cast<decltype(end)>(symbol("deflateEnd"));
    return init != nullptr && deflate != nullptr && end != nullptr;
  }
};

namespace {

constexpr int kLevel = 6;  // gzip's own default
constexpr int kDeflated = 8;
constexpr int kGzipWindow = 15 + 16;  // the largest, in the frame of gzip
constexpr int kMemLevel = 8;
constexpr int kNoFlush = 0, kFinish = 4;
constexpr int kOk = 0, kStreamEnd = 1, kBufError = -5;
constexpr size_t kOutBytes = 64 * 1024;

#ifdef __APPLE__
constexpr const char* kLibrary = "libz.1.dylib";
#else
constexpr const char* kLibrary = "libz.so.1";
#endif

// The names in the folder of `path` are with the device, as far as the file system can tell.
void syncFolderOf(const std::string& path) {
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  const int fd = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

void closeFile(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

}  // namespace

const GzipFile::Zlib& GzipFile::zlib() {
  static const Zlib kFound = [] {
    Zlib z;
    // Node has Chromium's zlib, whose names have a prefix.
    if (z.find(RTLD_DEFAULT, "Cr_z_") || z.find(RTLD_DEFAULT, "")) return z;
    void* const library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr && z.find(library, "")) return z;
    return Zlib{};
  }();
  return kFound;
}

bool GzipFile::available() {
  return zlib().init != nullptr;
}

void GzipFile::Deleter::operator()(Stream* stream) const {
  zlib().end(stream);
  std::default_delete<Stream>()(stream);
}

GzipFile::GzipFile(std::string from, std::string to)
    : from_(std::move(from)), to_(std::move(to)), temporary_(to_ + ".tmp") {}

GzipFile::~GzipFile() {
  if (made_) ::unlink(temporary_.c_str());
  closeFile(out_);
  closeFile(in_);
}

GzipFile::Step GzipFile::failed(int sysErrno) {
  sysErrno_ = sysErrno == 0 ? EIO : sysErrno;
  return Step::kFailed;
}

GzipFile::Step GzipFile::begin() {
  in_ = ::open(from_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (in_ < 0) return failed(errno);
  struct stat st;
  if (fstat(in_, &st) != 0) return failed(errno);
  // Whoever writes to a log that is rotated holds a shared lock on it. Where the file system has no
  // locks, nobody else is expected.
  const bool taken = flock(in_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  if (taken || !S_ISREG(st.st_mode)) return Step::kInUse;
  // O_NOFOLLOW: who can write to the folder may not lead us elsewhere.
  const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  out_ = ::open(temporary_.c_str(), flags, S_IRUSR | S_IWUSR);
  if (out_ < 0) return failed(errno);
  made_ = true;
  // As the file's own, as far as we may.
  [[maybe_unused]] const int owned = fchown(out_, st.st_uid, st.st_gid);
  fchmod(out_, st.st_mode & 07777);
  auto stream = std::make_unique<Stream>();
  const int made = zlib().init(stream.get(), kLevel, kDeflated, kGzipWindow, kMemLevel, 0, "1.2.11",
                               int(sizeof(Stream)));
  if (made != kOk) return failed(ENOMEM);
  stream_.reset(stream.release());
  buffer_.resize(kSliceBytes + kOutBytes);
  return Step::kMore;
}

GzipFile::Step GzipFile::step() {
  if (stream_ == nullptr) {
    if (const Step s = begin(); s != Step::kMore) return s;
  }
  const ssize_t n = ::read(in_, buffer_.data(), kSliceBytes);
  if (n < 0) return errno == EINTR ? Step::kMore : failed(errno);
  read_ += uint64_t(n);
  if (n != 0) return compress(size_t(n), false);
  const Step s = compress(0, true);
  return s == Step::kMore ? finish() : s;
}

GzipFile::Step GzipFile::compress(size_t size, bool last) {
  uint8_t* const out = buffer_.data() + kSliceBytes;
  stream_->nextIn = buffer_.data();
  stream_->availIn = unsigned(size);
  do {
    stream_->nextOut = out;
    stream_->availOut = kOutBytes;
    const int how = zlib().deflate(stream_.get(), last ? kFinish : kNoFlush);
    // No progress was possible: all was taken and put out before.
    if (how == kBufError && !last) break;
    if (how < kOk) return failed(EIO);
    if (!writeOut(out, kOutBytes - stream_->availOut)) return failed(errno);
    if (how == kStreamEnd) break;
  } while (stream_->availIn != 0 || stream_->availOut == 0 || last);
  return Step::kMore;
}

bool GzipFile::writeOut(const uint8_t* data, size_t size) {
  while (size != 0) {
    const ssize_t n = ::write(out_, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    data += n;
    size -= size_t(n);
  }
  return true;
}

// The order in which a crash, or loss of power, leaves at least one of the two whole.
GzipFile::Step GzipFile::finish() {
  struct stat st;
  if (fstat(in_, &st) != 0) return failed(errno);
  // Somebody without a lock went on writing: not now.
  if (uint64_t(st.st_size) != read_) return Step::kInUse;
#ifdef __APPLE__
  const timespec times[2] = {st.st_atimespec, st.st_mtimespec};
#else
  const timespec times[2] = {st.st_atim, st.st_mtim};
#endif
  futimens(out_, times);
  if (::fsync(out_) != 0 && errno != EINVAL && errno != ENOTSUP) return failed(errno);
  if (::rename(temporary_.c_str(), to_.c_str()) != 0) return failed(errno);
  made_ = false;
  syncFolderOf(to_);
  if (::unlink(from_.c_str()) != 0 && errno != ENOENT) return failed(errno);
  return Step::kDone;
}

}  // namespace millrace
