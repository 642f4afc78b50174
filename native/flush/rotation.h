// What a file that is rotated is to be like: its options, when the next one begins, and what the
// old ones are called. Rotating itself is rotator.h's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace millrace {

struct FlushRotation {
  enum class Every : uint8_t { kNever, kHour, kDay, kPeriod };

  uint64_t maxBytes = 0;  // no line makes the file larger, but one that is longer; 0: no limit
  Every every = Every::kNever;  // hours and days begin as the clock on the wall says, in local time
  uint64_t periodMs = 0;        // of kPeriod: multiples of it since 1970
  uint32_t keep = 0;            // old files; 0: all
  bool gzip = false;            // of the old ones

  bool on() const { return maxBytes != 0 || every != Every::kNever; }
  bool operator==(const FlushRotation&) const = default;
};

// When periods end. The clock may be set meanwhile: that it was set back begins a period anew, and
// ends none.
class RotationClock {
 public:
  explicit RotationClock(const FlushRotation& rotation) : rotation_(rotation) {}
  // The file belongs to the period of this moment, ms since 1970.
  void begin(uint64_t wallMs);
  // Whether the file's period is over.
  bool due(uint64_t wallMs);
  // How long until then; UINT64_MAX: never.
  uint64_t leftMs(uint64_t wallMs) const;

 private:
  uint64_t endOf(uint64_t wallMs) const;

  FlushRotation rotation_;
  uint64_t beganMs_ = 0;
  uint64_t endMs_ = UINT64_MAX;
};

// Old files of `app.log` are called `app.log.20261130-154303-123`, and `….gz` when compressed: the
// local time at which they were rotated, to the millisecond. A name is always later than those that
// are there, even if the clock is not: their order is that of their lines.
class RotatedName {
 public:
  // Of what follows "app.log." in a name; none: it is none of ours.
  static std::optional<RotatedName> parse(std::string_view suffix);
  // The first name that is neither before this moment (ms since 1970) nor before `last`.
  static RotatedName next(uint64_t wallMs, std::optional<RotatedName> last);

  // Milliseconds since 1970 if the local time were UTC. By this they are ordered.
  int64_t stampMs() const { return stampMs_; }
  bool gzipped() const { return gzipped_; }
  bool temporary() const { return temporary_; }  // a gzip file that is not whole
  // "20261130-154303-123"
  std::string text() const;

 private:
  explicit RotatedName(int64_t stampMs) : stampMs_(stampMs) {}

  int64_t stampMs_;
  bool gzipped_ = false, temporary_ = false;
};

}  // namespace millrace
