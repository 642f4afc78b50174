#include "upstream/load_report.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "upstream/load_report_formats.h"

namespace millrace {

LoadReportState readLoadReport(const HeaderList& fields, LoadReport& report) {
  LoadReport read;
  bool good = false;
  if (const Header* binary = fields.find("endpoint-load-metrics-bin")) {
    good = readBinaryReport(binary->value, read);
  } else if (const Header* any = fields.find("endpoint-load-metrics")) {
    std::string_view value = any->value;
    auto rest = value.substr(std::min(value.size(), size_t(5)));
    if (value.starts_with("TEXT ")) {
      good = readTextReport(rest, read);
    } else if (value.starts_with("JSON ")) {
      good = readJsonReport(rest, read);
    } else if (value.starts_with("BIN ")) {
      good = readBinaryReport(value.substr(4), read);
    }
  } else {
    return LoadReportState::kNone;
  }
  if (!good) return LoadReportState::kBad;
  report = read;
  return LoadReportState::kRead;
}

uint32_t weightOf(const LoadReport& report, double errorPenalty) {
  // Comparisons that are false for what is no number.
  if (!(report.rpsFractional > 0)) return 0;
  double utilization =
      report.applicationUtilization > 0 ? report.applicationUtilization : report.cpuUtilization;
  utilization += errorPenalty * report.eps / report.rpsFractional;
  if (!(utilization > 0)) return 0;
  double weight = report.rpsFractional / utilization;
  return weight >= double(UINT32_MAX) ? UINT32_MAX : std::max(1u, uint32_t(weight));
}

double* loadField(LoadReport& report, std::string_view name) {
  if (name == "cpu_utilization") return &report.cpuUtilization;
  if (name == "application_utilization") return &report.applicationUtilization;
  if (name == "rps_fractional") return &report.rpsFractional;
  if (name == "eps") return &report.eps;
  return nullptr;
}

bool readNumber(std::string_view text, double& value) {
  size_t at = 0;
  auto digit = [&] { return at < text.size() && text[at] >= '0' && text[at] <= '9'; };
  bool negative = !text.empty() && text[0] == '-';
  if (negative || (!text.empty() && text[0] == '+')) at++;
  double mantissa = 0;
  int exponent = 0;
  size_t digits = 0;
  for (; digit(); at++, digits++) mantissa = mantissa * 10 + (text[at] - '0');
  if (at < text.size() && text[at] == '.') {
    for (at++; digit(); at++, digits++, exponent--) mantissa = mantissa * 10 + (text[at] - '0');
  }
  if (digits == 0 || digits > kMaxDigits) return false;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    at++;
    bool small = at < text.size() && text[at] == '-';
    if (small || (at < text.size() && text[at] == '+')) at++;
    int power = 0;
    size_t from = at;
    for (; digit(); at++) power = std::min(power * 10 + (text[at] - '0'), 10'000);
    if (at == from) return false;
    exponent += small ? -power : power;
  }
  if (at != text.size()) return false;
  // A division where that is exact: 3 / 10 is the number next to 0.3, 3 × 0.1 is not.
  double result =
      exponent < 0 ? mantissa / std::pow(10.0, -exponent) : mantissa * std::pow(10.0, exponent);
  if (mantissa == 0) result = 0;
  if (!std::isfinite(result)) return false;
  value = negative ? -result : result;
  return true;
}

// ---- TEXT ---------------------------------------------------------------------------------------

namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// One of the maps, which are written as `named_metrics.<key>`.
bool isMapEntry(std::string_view name) {
  for (std::string_view map : {"named_metrics.", "utilization.", "request_cost."}) {
    if (name.size() > map.size() && name.starts_with(map)) return true;
  }
  return false;
}

}  // namespace

bool readTextReport(std::string_view text, LoadReport& report) {
  LoadReport read;
  std::array<const double*, 4> seen{};  // fields that were there
  size_t count = 0;
  bool any = false;
  while (!text.empty()) {
    size_t comma = std::min(text.find(','), text.size());
    std::string_view item = trimmed(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
    if (item.empty()) continue;
    size_t split = item.find_first_of("=:");
    if (split == std::string_view::npos) return false;
    std::string_view name = trimmed(item.substr(0, split));
    double value = 0;
    if (!readNumber(trimmed(item.substr(split + 1)), value)) return false;
    any = true;
    if (double* field = loadField(read, name)) {
      if (std::find(seen.begin(), seen.end(), field) != seen.end()) return false;
      seen[count++] = field;
      *field = value;
    } else if (name != "mem_utilization" && !isMapEntry(name)) {
      return false;
    }
  }
  if (any) report = read;
  return any;
}

}  // namespace millrace
