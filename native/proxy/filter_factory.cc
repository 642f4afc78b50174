#include "proxy/filter_factory.h"

#include <utility>

namespace millrace {

Result<std::shared_ptr<const HttpFilterFactory>> makeFilterFactory(spec::FilterConfig config,
                                                                   const FilterContext&) {
  return std::move(*std::get_if<std::shared_ptr<const HttpFilterFactory>>(&config));
}

Result<std::shared_ptr<const FilterRouteConfig>> makeFilterRouteConfig(
    spec::FilterRouteConfig config, const std::string&) {
  return std::move(*std::get_if<std::shared_ptr<const FilterRouteConfig>>(&config));
}

}  // namespace millrace
