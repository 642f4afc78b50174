// What the fuzzers share: bytes in memory of exactly their size (so that AddressSanitizer sees any
// byte read too many), heads as comparable text, and the comparison of the vector scanners with
// their scalar twins.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/scan.h"
#include "http/http1_parser.h"

namespace millrace::fuzz {

class Exact {
 public:
  explicit Exact(std::string_view bytes) : size_(bytes.size()), data_(new char[bytes.size()]) {
    if (size_ != 0) std::memcpy(data_.get(), bytes.data(), size_);
  }
  std::string_view view() const { return {data_.get(), size_}; }

 private:
  size_t size_;
  std::unique_ptr<char[]> data_;
};

inline std::string text(const HeaderList& fields) {
  std::string out;
  for (const Header& h : fields) {
    MR_ASSERT(h.id == headerId(h.name));
    MR_ASSERT(h.id == HeaderId::kOther || fields.has(h.id));
    out.append(h.name).append("=").append(h.value).append("\n");
  }
  return out;
}
inline std::string text(const RequestHead& h) {
  std::string out = std::to_string(h.version) + (h.keepAlive ? "k" : "c") +
                    (h.expectContinue ? "e" : "-") + std::to_string(int(h.framing)) + " " +
                    std::to_string(h.contentLength) + " ";
  out.append(h.methodText).append(" ").append(h.scheme).append(" ").append(h.authority);
  return out.append(" ").append(h.path).append("\n") + text(h.headers);
}
inline std::string text(const ResponseHead& h) {
  std::string out = std::to_string(h.version) + (h.keepAlive ? "k" : "c") +
                    std::to_string(int(h.framing)) + " " + std::to_string(h.contentLength) + " " +
                    std::to_string(h.status) + " ";
  return out.append(h.reason).append("\n") + text(h.headers);
}
inline std::string text(const ParseResult& r) {
  return std::to_string(int(r.state)) + " " + std::to_string(r.status) + " " +
         std::to_string(r.consumed) + " " + (r.detail == nullptr ? "" : r.detail) + "\n";
}

inline void compareScanners(std::string_view bytes) {
  const char* end = bytes.data() + bytes.size();
  for (const char* p = bytes.data(); p != end; p++) {
    MR_ASSERT(scanToken(p, end) == scalar::scanToken(p, end));
    MR_ASSERT(scanValue(p, end) == scalar::scanValue(p, end));
    MR_ASSERT(scanTarget(p, end) == scalar::scanTarget(p, end));
    MR_ASSERT(scanLineFeed(p, end) == scalar::scanLineFeed(p, end));
    if (p - bytes.data() > 256) break;
  }
}

// Parses `bytes` once more, in two pieces cut at `cut` and then in pieces of `step` bytes; the
// result is `whole` each time. `parse(bytes, progress)` returns state and text of the result.
template <typename Parse>
void compareSplits(std::string_view bytes, size_t cut, size_t step, const std::string& whole,
                   const Parse& parse) {
  ParseProgress progress;
  std::pair<ParseState, std::string> got = parse(bytes.substr(0, cut), progress);
  if (got.first == ParseState::kPartial) got = parse(bytes, progress);
  MR_ASSERT(got.second == whole);
  progress = {};
  for (size_t n = step;; n += step) {
    got = parse(bytes.substr(0, n), progress);
    if (got.first != ParseState::kPartial || n >= bytes.size()) break;
  }
  MR_ASSERT(got.second == whole);
}

}  // namespace millrace::fuzz
