// The Date header (RFC 9110 §5.6.7). The main thread formats it twice a second and publishes it; a
// worker that finds it older than that (the main thread is stalled) formats its own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "rcu/reader.h"

namespace millrace {

class DateSnapshot final : public Snapshot {
 public:
  // `text`: an IMF-fixdate; `atNs`: when it was formatted, monotonic.
  DateSnapshot(std::string text, uint64_t atNs) : text_(std::move(text)), atNs_(atNs) {}
  std::string_view text() const { return text_; }
  uint64_t atNs() const { return atNs_; }

 private:
  const std::string text_;
  const uint64_t atNs_;
};

constexpr size_t kDateLength = 29;  // "Sun, 06 Nov 1994 08:49:37 GMT"
// Writes the IMF-fixdate of `wallUs` (µs since 1970) into `out`, kDateLength bytes.
void formatDate(uint64_t wallUs, char* out);

// One worker's view of the date. Thread rule: the worker's loop.
class DateSource {
 public:
  static constexpr uint64_t kStaleNs = 1'000'000'000;  // two publishes missed
  static constexpr uint64_t kOwnNs = 500'000'000;      // how long one of our own is used

  DateSource(Reader& slots, SlotId slot) : slots_(slots), slot_(slot) {}
  // Valid for this turn of the loop.
  std::string_view text(uint64_t nowNs) {
    const auto* published = slots_.get<DateSnapshot>(slot_);
    if (published != nullptr && nowNs < published->atNs() + kStaleNs) return published->text();
    return own(nowNs);
  }

 private:
  std::string_view own(uint64_t nowNs);
  Reader& slots_;
  const SlotId slot_;
  uint64_t ownNs_ = 0;
  char own_[kDateLength];
};

}  // namespace millrace
