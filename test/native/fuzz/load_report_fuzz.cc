// Reports of load in their three formats: what is read is finite, and reads the same again; a
// report that is refused leaves what was there. The first byte of the input chooses the format.
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "fuzz_support.h"
#include "upstream/load_report.h"

using namespace millrace;
using namespace millrace::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  Exact exact({reinterpret_cast<const char*>(data) + 1, size - 1});
  auto read = [&](LoadReport& report) {
    switch (data[0] % 3) {
      case 0:
        return readTextReport(exact.view(), report);
      case 1:
        return readJsonReport(exact.view(), report);
      default:
        return readBinaryReport(exact.view(), report);
    }
  };
  LoadReport first{.eps = 0.5}, second;
  bool good = read(first);
  MR_ASSERT(read(second) == good);
  if (!good) {
    MR_ASSERT(first.eps == 0.5 && first.rpsFractional == 0);
    MR_ASSERT(second.eps == 0);
    return 0;
  }
  for (double LoadReport::* field :
       {&LoadReport::cpuUtilization, &LoadReport::eps, &LoadReport::applicationUtilization,
        &LoadReport::rpsFractional}) {
    MR_ASSERT(std::isfinite(first.*field) && first.*field == second.*field);
  }
  uint32_t weight = weightOf(first, 1);
  MR_ASSERT(weight == 0 || first.rpsFractional > 0);
  return 0;
}
