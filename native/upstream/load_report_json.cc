// Load reports as JSON: the fields that are kept are read, the rest is looked at only to know where
// it ends.
#include "upstream/load_report_formats.h"

namespace millrace {

namespace {

// Deeper than a report is; what is deeper is none.
constexpr int kMaxDepth = 16;

class JsonScanner {
 public:
  explicit JsonScanner(std::string_view text) : at_(text.data()), end_(at_ + text.size()) {}

  bool report(LoadReport& report) {
    if (!take('{')) return false;
    if (take('}')) return done();
    do {
      std::string_view key;
      if (!string(key) || !take(':')) return false;
      double* field = loadField(report, canonical(key));
      if (field == nullptr ? !skip(1) : !number(*field)) return false;
    } while (take(','));
    return take('}') && done();
  }

 private:
  void space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\n' || *at_ == '\r')) at_++;
  }
  bool take(char c) {
    space();
    if (at_ == end_ || *at_ != c) return false;
    at_++;
    return true;
  }
  bool done() {
    space();
    return at_ == end_;
  }

  // The names of fields in JSON: as in the .proto file, or in lowerCamelCase.
  static std::string_view canonical(std::string_view key) {
    if (key == "cpuUtilization") return "cpu_utilization";
    if (key == "applicationUtilization") return "application_utilization";
    if (key == "rpsFractional") return "rps_fractional";
    return key;
  }

  // Its text, escapes as they stand.
  bool string(std::string_view& text) {
    if (!take('"')) return false;
    const char* begin = at_;
    for (; at_ != end_; at_++) {
      if (static_cast<unsigned char>(*at_) < 0x20) return false;
      if (*at_ == '"') {
        text = {begin, size_t(at_++ - begin)};
        return true;
      }
      if (*at_ == '\\' && ++at_ == end_) return false;
    }
    return false;
  }

  // A number, a number in quotes, or null, which says nothing.
  bool number(double& value) {
    space();
    std::string_view text;
    if (at_ != end_ && *at_ == '"') return string(text) && readNumber(text, value);
    text = word();
    return text == "null" || readNumber(text, value);
  }

  std::string_view word() {
    space();
    const char* begin = at_;
    while (at_ != end_ && *at_ != ',' && *at_ != '}' && *at_ != ']' && *at_ != ' ' &&
           *at_ != '\t' && *at_ != '\n' && *at_ != '\r') {
      at_++;
    }
    return {begin, size_t(at_ - begin)};
  }

  bool skip(int depth) {
    space();
    if (at_ == end_ || depth > kMaxDepth) return false;
    std::string_view text;
    if (*at_ == '"') return string(text);
    if (*at_ == '{' || *at_ == '[') return skipInside(*at_ == '{', depth);
    text = word();
    double ignored = 0;
    return text == "true" || text == "false" || text == "null" || readNumber(text, ignored);
  }

  bool skipInside(bool object, int depth) {
    char end = object ? '}' : ']';
    at_++;
    if (take(end)) return true;
    do {
      std::string_view key;
      if (object && (!string(key) || !take(':'))) return false;
      if (!skip(depth + 1)) return false;
    } while (take(','));
    return take(end);
  }

  const char* at_;
  const char* const end_;
};

}  // namespace

bool readJsonReport(std::string_view text, LoadReport& report) {
  LoadReport read;
  if (!JsonScanner(text).report(read)) return false;
  report = read;
  return true;
}

}  // namespace millrace
