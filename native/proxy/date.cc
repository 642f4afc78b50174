#include "proxy/date.h"

#include <cstdio>
#include <ctime>

#include "base/clock.h"

namespace millrace {

void formatDate(uint64_t wallUs, char* out) {
  static constexpr char kDays[] = "SunMonTueWedThuFriSat";
  static constexpr char kMonths[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  time_t seconds = time_t(wallUs / 1'000'000);
  tm parts;
  gmtime_r(&seconds, &parts);
  char text[64];
  snprintf(text, sizeof text, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", kDays + 3 * parts.tm_wday,
           parts.tm_mday, kMonths + 3 * parts.tm_mon, parts.tm_year + 1900, parts.tm_hour,
           parts.tm_min, parts.tm_sec);
  std::char_traits<char>::copy(out, text, kDateLength);
}

std::string_view DateSource::own(uint64_t nowNs) {
  if (ownNs_ == 0 || nowNs >= ownNs_ + kOwnNs) {
    ownNs_ = nowNs;
    formatDate(wallUs(), own_);
  }
  return {own_, kDateLength};
}

}  // namespace millrace
