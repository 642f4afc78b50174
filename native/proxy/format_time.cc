// Points in time as text; see format_time.h.
#include "proxy/format_time.h"

#include <cstring>

#include "proxy/format_output.h"

namespace millrace {

namespace {

constexpr std::string_view kDays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                      "Thursday", "Friday", "Saturday"};
constexpr std::string_view kMonths[] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};
constexpr uint16_t kDaysBefore[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};

struct Civil {
  uint32_t year, month, day;  // month and day from 1
  uint32_t dayOfYear;         // from 1
  uint32_t weekday;           // 0: Sunday
  uint32_t hour, minute, second;
  uint64_t seconds;  // since the epoch
  uint32_t micros;
};

bool isLeap(uint32_t year) {
  return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

// The Gregorian calendar from a count of days: years are counted from March, so that leap days come
// last.
Civil civilFrom(uint64_t wallUs) {
  Civil c;
  c.seconds = wallUs / 1'000'000;
  c.micros = uint32_t(wallUs % 1'000'000);
  const uint64_t days = c.seconds / 86400;
  const uint32_t inDay = uint32_t(c.seconds % 86400);
  c.hour = inDay / 3600;
  c.minute = inDay / 60 % 60;
  c.second = inDay % 60;
  c.weekday = uint32_t((days + 4) % 7);  // the epoch was a Thursday
  const uint64_t sinceMarch0000 = days + 719468;
  const uint64_t era = sinceMarch0000 / 146097;  // 400 years
  const uint32_t inEra = uint32_t(sinceMarch0000 % 146097);
  const uint32_t yearOfEra = (inEra - inEra / 1460 + inEra / 36524 - inEra / 146096) / 365;
  const uint32_t inYear = inEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
  const uint32_t monthFromMarch = (5 * inYear + 2) / 153;
  c.day = inYear - (153 * monthFromMarch + 2) / 5 + 1;
  c.month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  c.year = uint32_t(era * 400) + yearOfEra + (c.month <= 2 ? 1 : 0);
  c.dayOfYear = kDaysBefore[c.month - 1] + c.day + (c.month > 2 && isLeap(c.year) ? 1 : 0);
  return c;
}

char* put(char* p, std::string_view s) {
  std::memcpy(p, s.data(), s.size());
  return p + s.size();
}

char* putYmd(char* p, const Civil& c) {
  p = putPadded(p, c.year, 4);
  *p++ = '-';
  p = putPadded(p, c.month, 2);
  *p++ = '-';
  return putPadded(p, c.day, 2);
}

char* putHms(char* p, const Civil& c) {
  p = putPadded(p, c.hour, 2);
  *p++ = ':';
  p = putPadded(p, c.minute, 2);
  *p++ = ':';
  return putPadded(p, c.second, 2);
}

char* putFraction(char* p, uint32_t micros, int digits) {
  char nine[9];
  putPadded(nine, micros, 6);
  std::memset(nine + 6, '0', 3);
  return put(p, {nine, size_t(digits)});
}

uint32_t hour12(const Civil& c) {
  return c.hour % 12 == 0 ? 12 : c.hour % 12;
}

char* putDayPadded(char* p, const Civil& c) {
  if (c.day >= 10) return putPadded(p, c.day, 2);
  *p++ = ' ';
  return putPadded(p, c.day, 1);
}

char* putDatePart(char* p, char conversion, const Civil& c) {
  switch (conversion) {
    case 'Y':
      return putPadded(p, c.year, 4);
    case 'C':
      return putPadded(p, c.year / 100, 2);
    case 'y':
      return putPadded(p, c.year % 100, 2);
    case 'm':
      return putPadded(p, c.month, 2);
    case 'd':
      return putPadded(p, c.day, 2);
    case 'e':
      return putDayPadded(p, c);
    case 'j':
      return putPadded(p, c.dayOfYear, 3);
    case 'a':
      return put(p, kDays[c.weekday].substr(0, 3));
    case 'A':
      return put(p, kDays[c.weekday]);
    case 'b':
    case 'h':
      return put(p, kMonths[c.month - 1].substr(0, 3));
    case 'B':
      return put(p, kMonths[c.month - 1]);
    case 'u':
      return putPadded(p, c.weekday == 0 ? 7 : c.weekday, 1);
    case 'w':
      return putPadded(p, c.weekday, 1);
    default:
      return nullptr;
  }
}

char* putTimePart(char* p, char conversion, const Civil& c) {
  switch (conversion) {
    case 'H':
      return putPadded(p, c.hour, 2);
    case 'I':
      return putPadded(p, hour12(c), 2);
    case 'p':
      return put(p, c.hour < 12 ? "AM" : "PM");
    case 'M':
      return putPadded(p, c.minute, 2);
    case 'S':
      return putPadded(p, c.second, 2);
    case 's':
      return putDecimal(p, c.seconds);
    case 'z':
      return put(p, "+0000");
    case 'Z':
      return put(p, "UTC");
    default:
      return nullptr;
  }
}

// What a conversion stands for, in other conversions (C locale).
std::string_view expansion(char conversion) {
  switch (conversion) {
    case 'F':
      return "%Y-%m-%d";
    case 'T':
    case 'X':
      return "%H:%M:%S";
    case 'D':
    case 'x':
      return "%m/%d/%y";
    case 'R':
      return "%H:%M";
    case 'r':
      return "%I:%M:%S %p";
    case 'c':
      return "%a %b %e %H:%M:%S %Y";
    default:
      return {};
  }
}

// The longest text of a conversion: "Wednesday", "September", nine digits; %s may have 20 digits.
size_t longest(char conversion) {
  return conversion == 's' ? 20 : 9;
}

}  // namespace

Result<TimeFormat> TimeFormat::compile(std::string_view pattern) {
  TimeFormat f;
  size_t bound = 0;
  const auto literal = [&](char c) {
    if (f.parts_.empty() || f.parts_.back().conversion != 0) f.parts_.push_back({0, 0, {}});
    f.parts_.back().literal += c;
    bound++;
  };
  const auto part = [&](char conversion, uint8_t digits) {
    f.parts_.push_back({conversion, digits, {}});
    bound += longest(conversion);
  };
  const auto refuse = [&](const std::string& what) {
    return Error{"ERR_MILLRACE_FORMAT", "time format \"" + std::string(pattern) + "\": " + what};
  };
  std::string text(pattern);
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == '\n' || text[i] == '\r' || text[i] == '\0') return refuse("has a line break");
    if (text[i] != '%') {
      literal(text[i]);
      continue;
    }
    if (++i == text.size()) return refuse("ends in a single %");
    const char c = text[i];
    if (c == '%') {
      literal('%');
    } else if (c == 'f') {
      part('f', 9);
    } else if (c >= '1' && c <= '9' && i + 1 < text.size() && text[i + 1] == 'f') {
      part('f', uint8_t(c - '0'));
      i++;
    } else if (const std::string_view longer = expansion(c); !longer.empty()) {
      text.replace(i - 1, 2, longer);
      i -= 2;  // the loop goes on with the first of what it stands for
    } else {
      char probe[32];
      const Civil epoch = civilFrom(0);
      if (putDatePart(probe, c, epoch) == nullptr && putTimePart(probe, c, epoch) == nullptr) {
        return refuse(std::string("has no conversion %") + c);
      }
      part(c, 0);
    }
  }
  if (bound > kMaxText) return refuse("is too long");
  return f;
}

size_t TimeFormat::run(uint64_t wallUs, char* out) const {
  const Civil c = civilFrom(wallUs);
  char* p = out;
  if (parts_.empty()) {
    p = putYmd(p, c);
    *p++ = 'T';
    p = putHms(p, c);
    *p++ = '.';
    p = putFraction(p, c.micros, 3);
    *p++ = 'Z';
    return size_t(p - out);
  }
  for (const Part& part : parts_) {
    if (part.conversion == 0) {
      p = put(p, part.literal);
    } else if (part.conversion == 'f') {
      p = putFraction(p, c.micros, part.digits);
    } else if (char* const end = putDatePart(p, part.conversion, c); end != nullptr) {
      p = end;
    } else {
      p = putTimePart(p, part.conversion, c);
    }
  }
  return size_t(p - out);
}

}  // namespace millrace
