// envoy.filters.http.stateful_session: a client that names the host it was sent to before is sent
// there again, as long as the host is there; every other client is told which host it was.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "proxy/filter_factory.h"

namespace millrace {

Result<std::shared_ptr<const HttpFilterFactory>> make(spec::StatefulSession spec,
                                                      const FilterContext& context);
Result<std::shared_ptr<const FilterRouteConfig>> makeRoute(spec::StatefulSessionRoute spec,
                                                           const std::string& where);

}  // namespace millrace
