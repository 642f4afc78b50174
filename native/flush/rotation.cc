// Local time and names; see rotation.h.
#include "flush/rotation.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>

namespace millrace {

namespace {

constexpr uint64_t kMsPerSec = 1000;
constexpr uint64_t kMsPerHour = 3600 * kMsPerSec;
constexpr int64_t kMsPerDay = 24 * int64_t(kMsPerHour);
constexpr size_t kStampChars = 19;  // 20261130-154303-123

tm localTime(uint64_t wallMs) {
  const time_t seconds = time_t(wallMs / kMsPerSec);
  tm local = {};
  localtime_r(&seconds, &local);
  return local;
}

// As many days as the calendar has, in whatever zone.
int64_t asUtcMs(const tm& t, uint64_t ms) {
  using namespace std::chrono;
  const sys_days day = year{t.tm_year + 1900} / month{unsigned(t.tm_mon + 1)} /
                       std::chrono::day{unsigned(t.tm_mday)};
  const int64_t seconds = (int64_t{t.tm_hour} * 60 + t.tm_min) * 60 + t.tm_sec;
  return int64_t{day.time_since_epoch().count()} * kMsPerDay + seconds * 1000 + int64_t(ms);
}

bool number(std::string_view text, size_t at, size_t digits, int& out) {
  out = 0;
  for (size_t i = at; i < at + digits; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    out = out * 10 + (text[i] - '0');
  }
  return true;
}

}  // namespace

uint64_t RotationClock::endOf(uint64_t wallMs) const {
  switch (rotation_.every) {
    case FlushRotation::Every::kNever:
      break;
    case FlushRotation::Every::kPeriod:
      return (wallMs / rotation_.periodMs + 1) * rotation_.periodMs;
    case FlushRotation::Every::kHour: {
      const tm local = localTime(wallMs);
      const uint64_t into = uint64_t(local.tm_min * 60 + std::min(local.tm_sec, 59)) * kMsPerSec;
      return wallMs - wallMs % kMsPerSec - into + kMsPerHour;
    }
    case FlushRotation::Every::kDay: {
      // A day may have 23 or 25 hours, and begin at one o'clock: mktime() knows.
      tm local = localTime(wallMs);
      local.tm_mday++;
      local.tm_hour = local.tm_min = local.tm_sec = 0;
      local.tm_isdst = -1;
      const time_t midnight = mktime(&local);
      const uint64_t endMs = midnight < 0 ? 0 : uint64_t(midnight) * kMsPerSec;
      return endMs > wallMs ? endMs : wallMs + uint64_t(kMsPerDay);
    }
  }
  return UINT64_MAX;
}

void RotationClock::begin(uint64_t wallMs) {
  beganMs_ = wallMs;
  endMs_ = endOf(wallMs);
}

bool RotationClock::due(uint64_t wallMs) {
  if (wallMs < beganMs_) begin(wallMs);
  return wallMs >= endMs_;
}

uint64_t RotationClock::leftMs(uint64_t wallMs) const {
  if (endMs_ == UINT64_MAX) return UINT64_MAX;
  return endMs_ <= wallMs ? 0 : endMs_ - wallMs;
}

std::optional<RotatedName> RotatedName::parse(std::string_view suffix) {
  if (suffix.size() < kStampChars || suffix[8] != '-' || suffix[15] != '-') return {};
  struct Part {
    size_t at, digits;
    int low, high;
  };
  constexpr std::array<Part, 7> kParts = {{{0, 4, 1, 9999},
                                           {4, 2, 1, 12},
                                           {6, 2, 1, 31},
                                           {9, 2, 0, 23},
                                           {11, 2, 0, 59},
                                           {13, 2, 0, 60},
                                           {16, 3, 0, 999}}};
  std::array<int, 7> v{};
  for (size_t i = 0; i < kParts.size(); i++) {
    if (!number(suffix, kParts[i].at, kParts[i].digits, v[i])) return {};
    if (v[i] < kParts[i].low || v[i] > kParts[i].high) return {};
  }
  tm t = {};
  t.tm_year = v[0] - 1900;
  t.tm_mon = v[1] - 1;
  t.tm_mday = v[2];
  t.tm_hour = v[3];
  t.tm_min = v[4];
  t.tm_sec = v[5];
  RotatedName name(asUtcMs(t, uint64_t(v[6])));
  const std::string_view rest = suffix.substr(kStampChars);
  name.temporary_ = rest == ".gz.tmp";
  name.gzipped_ = rest == ".gz";
  if (!rest.empty() && !name.temporary_ && !name.gzipped_) return {};
  return name;
}

RotatedName RotatedName::next(uint64_t wallMs, std::optional<RotatedName> last) {
  const RotatedName now(asUtcMs(localTime(wallMs), wallMs % kMsPerSec));
  if (!last || last->stampMs_ < now.stampMs_) return now;
  return RotatedName(last->stampMs_ + 1);
}

std::string RotatedName::text() const {
  using namespace std::chrono;
  const sys_time<milliseconds> at{milliseconds{stampMs_}};
  const sys_days day = floor<days>(at);
  const year_month_day date{day};
  const hh_mm_ss time{at - day};
  char out[64];
  std::snprintf(out, sizeof out, "%04d%02u%02u-%02d%02d%02d-%03d", int(date.year()),
                unsigned(date.month()), unsigned(date.day()), int(time.hours().count()),
                int(time.minutes().count()), int(time.seconds().count()),
                int(time.subseconds().count()));
  return out;
}

}  // namespace millrace
