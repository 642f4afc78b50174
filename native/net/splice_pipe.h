// Pipes through which splice(2) moves bytes from one socket to another without copying them to user
// memory, kept for reuse. Only Linux has them; elsewhere take() gives none. Thread rule: one loop's
// thread.
#pragma once

#include <sys/types.h>

#include <cstddef>

#include "base/object_pool.h"
#include "net/socket.h"

namespace millrace {

class SplicePipe {
 public:
  // Bytes in flight between two sockets. With a larger pipe the pages leave the processor's caches
  // before they are sent on: measured on loopback, 1 MiB costs a third more than 256 KiB.
  static constexpr size_t kBytes = 256 * 1024;

  SplicePipe(Fd readEnd, Fd writeEnd) : read_(std::move(readEnd)), write_(std::move(writeEnd)) {}

  // Moves what the socket `from` has, as far as the pipe has room. As read(2): 0 is the end of
  // stream.
  ssize_t fill(int from);
  // Moves what the pipe holds to the socket `to`. As write(2).
  ssize_t drain(int to);
  // Reads what the pipe holds into memory, for when its bytes have to outlive it.
  ssize_t takeOut(char* into, size_t size);
  size_t held() const { return held_; }

 private:
  friend class SplicePipes;
  Fd read_;
  Fd write_;
  size_t held_ = 0;
  SplicePipe* next_ = nullptr;
};

class SplicePipes {
 public:
  static constexpr size_t kKept = 64;  // empty pipes, of two descriptors each

  SplicePipes() = default;
  ~SplicePipes();
  SplicePipes(const SplicePipes&) = delete;
  SplicePipes& operator=(const SplicePipes&) = delete;

  // An empty pipe; null where there is no splice(2), and at the descriptor limit.
  SplicePipe* take();
  // A pipe that still holds bytes is closed, with them.
  void give(SplicePipe* pipe);

 private:
  SplicePipe* free_ = nullptr;
  size_t kept_ = 0;
  ObjectPool<SplicePipe> pool_;
};

}  // namespace millrace
