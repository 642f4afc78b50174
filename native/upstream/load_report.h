// What a host says of its load with a response (ORCA: xds.data.orca.v3.OrcaLoadReport), and what
// weight follows from it. Reading neither allocates nor keeps anything.
//
//   endpoint-load-metrics: TEXT cpu_utilization=0.3, rps_fractional=120, eps=1
//   endpoint-load-metrics: JSON {"cpu_utilization": 0.3, "rps_fractional": 120}
//   endpoint-load-metrics: BIN <base64 of the message>
//   endpoint-load-metrics-bin: <base64 of the message>
#pragma once

#include <cstdint>
#include <string_view>

#include "http/headers.h"

namespace millrace {

// The fields that weights are made of.
struct LoadReport {
  double cpuUtilization = 0, applicationUtilization = 0;
  double rpsFractional = 0, eps = 0;  // requests and errors a second
};

enum class LoadReportState : uint8_t {
  kNone,  // no field of these names
  kRead,
  kBad,
};

// Of a response's headers or trailers. `report` is as it was unless the result is kRead.
LoadReportState readLoadReport(const HeaderList& fields, LoadReport& report);
// The same of one format, without its prefix. False: it is none.
bool readTextReport(std::string_view text, LoadReport& report);
bool readJsonReport(std::string_view text, LoadReport& report);
bool readBinaryReport(std::string_view base64, LoadReport& report);

// rps / (utilization + errorPenalty × eps / rps), at least 1; 0 when nothing follows from the
// report.
uint32_t weightOf(const LoadReport& report, double errorPenalty);

}  // namespace millrace
