// envoy.filters.http.dynamic_forward_proxy: before a dynamic forward proxy looks for the host that
// a request names, a route may have it name another one. The waiting for the host is the router's
// (router_host.cc), so that a stream whose route says nothing needs no filter.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "proxy/filter_factory.h"

namespace millrace {

Result<std::shared_ptr<const HttpFilterFactory>> make(spec::DynamicForwardProxy spec,
                                                      const FilterContext& context);
Result<std::shared_ptr<const FilterRouteConfig>> makeRoute(spec::DynamicForwardProxyRoute spec,
                                                           const std::string& where);

}  // namespace millrace
