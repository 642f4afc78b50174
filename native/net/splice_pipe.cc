#include "net/splice_pipe.h"

#include <fcntl.h>
#include <unistd.h>

namespace millrace {

#ifdef __linux__

ssize_t SplicePipe::fill(int from) {
  ssize_t n =
      splice(from, nullptr, write_.get(), nullptr, kBytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (n > 0) held_ += size_t(n);
  return n;
}

ssize_t SplicePipe::drain(int to) {
  ssize_t n = splice(read_.get(), nullptr, to, nullptr, held_, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (n > 0) held_ -= size_t(n);
  return n;
}

SplicePipe* SplicePipes::take() {
  if (free_ != nullptr) {
    SplicePipe* pipe = free_;
    free_ = pipe->next_;
    kept_--;
    return pipe;
  }
  int ends[2];
  if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return nullptr;
  // Refused to a user with many pipes already (pipe-user-pages-soft); the default of 64 KiB works
  // too.
  fcntl(ends[0], F_SETPIPE_SZ, int(SplicePipe::kBytes));
  return pool_.take(Fd(ends[0]), Fd(ends[1]));
}

#else

ssize_t SplicePipe::fill(int) {
  return -1;
}
ssize_t SplicePipe::drain(int) {
  return -1;
}
SplicePipe* SplicePipes::take() {
  return nullptr;
}

#endif

ssize_t SplicePipe::takeOut(char* into, size_t size) {
  ssize_t n = read(read_.get(), into, size < held_ ? size : held_);
  if (n > 0) held_ -= size_t(n);
  return n;
}

void SplicePipes::give(SplicePipe* pipe) {
  if (pipe->held_ > 0 || kept_ >= kKept) return pool_.give(pipe);
  pipe->next_ = free_;
  free_ = pipe;
  kept_++;
}

SplicePipes::~SplicePipes() {
  while (free_ != nullptr) {
    SplicePipe* pipe = free_;
    free_ = pipe->next_;
    pool_.give(pipe);
  }
}

}  // namespace millrace
