// envoy.filters.http.admission_control: turns requests away, by chance, when too many of those that
// this worker let through did not succeed.
#pragma once

#include <memory>

#include "base/result.h"
#include "proxy/filter_factory.h"

namespace millrace {

Result<std::shared_ptr<const HttpFilterFactory>> make(spec::AdmissionControl spec,
                                                      const FilterContext& context);

}  // namespace millrace
