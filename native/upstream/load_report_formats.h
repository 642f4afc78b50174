// What the formats of load reports share. For load_report*.cc alone.
#pragma once

#include <cstddef>
#include <string_view>

#include "upstream/load_report.h"

namespace millrace {

// More than any number needs that a double holds.
inline constexpr size_t kMaxDigits = 400;

// A decimal number, finite, with nothing before or after it.
bool readNumber(std::string_view text, double& value);
// Where the report keeps the field of that name; null: it does not.
double* loadField(LoadReport& report, std::string_view name);

}  // namespace millrace
