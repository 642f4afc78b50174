// Making a gzip file of a file, in slices. The compressor is zlib's: that which the program exports
// (Node does, for addons), or the system's library. Nothing is linked, so that a program without
// either runs, and is told so where gzip is asked for.
//
// Thread rule: any thread, one at a time for each object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace millrace {

class GzipFile {
 public:
  // Read and compressed at once: some milliseconds of work.
  static constexpr size_t kSliceBytes = 256 * 1024;

  // Whether there is a zlib.
  static bool available();

  // `from` becomes `to`, by way of a file `to`.tmp beside it. Nothing is opened before the first
  // step.
  GzipFile(std::string from, std::string to);
  // What is not done yet leaves nothing but `from`.
  ~GzipFile();
  GzipFile(const GzipFile&) = delete;
  GzipFile& operator=(const GzipFile&) = delete;

  enum class Step {
    kMore,    // call again
    kDone,    // `to` is whole and with the device, and `from` is gone
    kInUse,   // somebody writes to `from` or compresses it, or it is no regular file: left alone
    kFailed,  // sysErrno() says why; `from` is as it was
  };
  Step step();
  int sysErrno() const { return sysErrno_; }

 private:
  struct Zlib;
  struct Stream;
  struct Deleter {
    void operator()(Stream* stream) const;
  };
  static const Zlib& zlib();

  Step begin();
  Step compress(size_t size, bool last);
  bool writeOut(const uint8_t* data, size_t size);
  Step finish();
  Step failed(int sysErrno);

  const std::string from_, to_, temporary_;
  int in_ = -1, out_ = -1;
  uint64_t read_ = 0;
  int sysErrno_ = 0;
  bool made_ = false;  // the temporary file is ours to take away
  std::unique_ptr<Stream, Deleter> stream_;
  std::vector<uint8_t> buffer_;
};

}  // namespace millrace
