// envoy.filters.http.adaptive_concurrency: lets so many requests be under way as
// gradient_controller.h finds good, and turns others away.
#pragma once

#include <memory>

#include "base/result.h"
#include "proxy/filter_factory.h"

namespace millrace {

Result<std::shared_ptr<const HttpFilterFactory>> make(spec::AdaptiveConcurrency spec,
                                                      const FilterContext& context);

}  // namespace millrace
