// Rotates the file of a flush thread: says when, moves the file away, and looks after the old ones.
//
//   moveAway: name ──rename──▶ old name; the name is opened anew ──▶ tidying wanted
//   tidy:     folder ──▶ old files beyond `keep` removed ──▶ the oldest plain one compressed, in
//             slices ──▶ folder …
//
// Whatever step fails, or is never made because the process ends there, no line is lost: a file
// that could not be opened leaves the old one in use under its old name; what was not compressed or
// removed is, when the file is next rotated or opened.
//
// Several processes, and several files of one process, may write to one path if all of them rotate:
// each holds a shared lock (flock) on the file that it writes to, and sees before it writes whether
// the path still leads there. What is locked is neither compressed nor removed.
//
// Thread rule: the flush thread. While it is in tidy() its pen is free.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flush/gzip.h"
#include "flush/rotation.h"
#include "flush/sink.h"

namespace millrace {

class FlushRotator {
 public:
  // After a failure it is tried again so much later, twice as late each time.
  static constexpr uint64_t kRetryMinNs = 1'000'000'000;
  static constexpr uint64_t kRetryMaxNs = 60'000'000'000;
  // An old file that somebody still writes to is looked at again after so long.
  static constexpr uint64_t kInUseNs = 1'000'000'000;

  explicit FlushRotator(FlushSink& sink) : sink_(sink) {}
  ~FlushRotator() = default;

  // Begins to rotate so, with the file that is open; what is left of before is tidied.
  void use(const FlushRotation& rotation);
  bool on() const { return rotation_.on(); }
  bool bySize() const { return rotation_.maxBytes != 0; }

  // The file was opened again.
  void opened();
  // Goes over to the file that the path leads to, if that is another one by now, and looks how
  // large it is: others may write to it. 0, or errno when it cannot be opened.
  int follow();
  // So many bytes more of the file are written.
  void wrote(size_t bytes) { size_ += bytes; }
  // How many bytes there is room for.
  uint64_t room() const { return size_ >= rotation_.maxBytes ? 0 : rotation_.maxBytes - size_; }
  bool empty() const { return size_ == 0; }

  // Whether the file's hour, day or period is over.
  bool due();
  // Milliseconds until then, or until the clock should be looked at.
  uint64_t leftMs() const;

  // Goes on in a new file, if the old one has anything in it, and a failure is long enough ago.
  enum class Moved { kNo, kYes, kFailed };
  Moved moveAway();
  int sysErrno() const { return sysErrno_; }  // of what failed last

  // Does a piece of what is left to do. 0, or errno; see tidyNs().
  int tidy();
  // When tidy() should be called, by the monotonic clock; UINT64_MAX: when a file was rotated.
  uint64_t tidyNs() const { return tidyNs_; }
  // The last of the thread: what may not be left to the next one that opens the file.
  void end();

 private:
  struct Old {
    RotatedName name;
    std::string file;  // in the folder
    bool regular;      // else it only has the name
  };

  bool findFolder();
  bool rename();
  bool failed(int sysErrno);
  int list(std::vector<Old>& old) const;
  int removeOldest(const std::vector<Old>& old);
  int compressNext(const std::vector<Old>& old);
  void retryLater();

  FlushSink& sink_;
  FlushRotation rotation_;
  RotationClock clock_{rotation_};
  uint64_t size_ = 0;
  int sysErrno_ = 0;
  uint64_t nextTryNs_ = 0;  // of moveAway()
  uint64_t tryAgainNs_ = kRetryMinNs;
  uint64_t tidyNs_ = UINT64_MAX;
  uint64_t tidyAgainNs_ = kRetryMinNs;
  std::string folder_, prefix_;  // "/var/log/", "app.log."
  std::unique_ptr<GzipFile> gzip_;
};

}  // namespace millrace
