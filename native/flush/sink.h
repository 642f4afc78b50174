// Where a flush thread writes: a path that it can open again, or a descriptor it was given (stdout,
// stderr).
//
// Regular files are written with plain blocking calls: only the flush thread waits for the disk.
// Pipes, sockets and terminals can stall for ever, so they are never written to without room:
// - what we opened ourselves is non-blocking (the open file description is ours alone);
// - a descriptor we were given keeps its flags, because other processes share them: it is polled
//   first and then written to in pieces of kPieceBytes, for which POSIX promises room.
//
// Thread rule: one thread at a time (the opener's, then the flush thread's).
#pragma once

#include <sys/types.h>

#include <cerrno>
#include <cstddef>
#include <string>

#include "base/result.h"

namespace millrace {

class FlushSink {
 public:
  // PIPE_BUF of Linux and the least that every pipe reported as writable takes.
  static constexpr size_t kPieceBytes = 4096;

  struct Target {
    std::string path = {};  // empty: use `fd`
    int fd = -1;            // duplicated: whoever gave it may close it
    bool append =
        true;  // false: an existing file is emptied when first opened (never when reopened)
    bool makeFolders = false;  // creates missing parent folders, mode 0755
    mode_t mode = 0644;        // of a file that is created
  };

  explicit FlushSink(Target target) : target_(std::move(target)) {}
  ~FlushSink() { closeOwned(); }
  FlushSink(const FlushSink&) = delete;
  FlushSink& operator=(const FlushSink&) = delete;

  // Opens the target. Errors: ERR_MILLRACE_FLUSH_OPEN with errno.
  Status open();
  // Opens the path anew and only then closes the old file; on failure the old one stays. `sameFile`
  // tells whether the path still led to the file that was open. A sink on a given descriptor has
  // nothing to reopen: success.
  Status reopen(bool& sameFile);
  // Bytes written (> 0), 0 when it would block (wait until fd() is writable), or -errno.
  ssize_t write(const char* data, size_t size);
  // Waits until the device has what was written; success where the target has none (a pipe, a
  // terminal). 0 or errno.
  int sync();
  int fd() const { return fd_; }
  const std::string& path() const { return target_.path; }
  // Of the file that is open: whether it is a regular one behind a path; its size in bytes, and
  // when it was last written to, ms since 1970.
  bool regular() const;
  uint64_t size() const;
  uint64_t writtenMs() const;
  // Whether the path leads to the file that is open.
  bool leadsHere() const;
  // Tells others who write to the file that it is in use, by a shared lock; as long as it is open.
  void share();
  // Whether writing can never work again after it failed so: the other end of a descriptor that was
  // given is gone. (Behind a path another one may come.)
  bool hopeless(int sysErrno) const {
    return target_.path.empty() && (sysErrno == EPIPE || sysErrno == ECONNRESET);
  }

 private:
  Result<int> openPath(bool truncate) const;
  void closeOwned();
  void classify();

  const Target target_;
  int fd_ = -1;
  bool canStall_ = false;     // not a regular file
  bool sharedFlags_ = false;  // a given descriptor: poll before each piece
};

}  // namespace millrace
