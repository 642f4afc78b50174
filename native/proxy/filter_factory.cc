#include "proxy/filter_factory.h"

#include <type_traits>
#include <utility>

#include "proxy/filters/adaptive_concurrency.h"
#include "proxy/filters/admission_control.h"
#include "proxy/filters/dynamic_forward_proxy.h"
#include "proxy/filters/stateful_session.h"

namespace millrace {

// Each filter has a make() for what the configuration says of it, and perhaps a makeRoute().

Result<std::shared_ptr<const HttpFilterFactory>> makeFilterFactory(spec::FilterConfig config,
                                                                   const FilterContext& context) {
  using Made = std::shared_ptr<const HttpFilterFactory>;
  return std::visit(
      [&](auto& spec) -> Result<Made> {
        if constexpr (std::is_same_v<std::decay_t<decltype(spec)>, Made>) {
          return std::move(spec);
        } else {
          return make(std::move(spec), context);
        }
      },
      config);
}

Result<std::shared_ptr<const FilterRouteConfig>> makeFilterRouteConfig(
    spec::FilterRouteConfig config, const std::string& where) {
  using Made = std::shared_ptr<const FilterRouteConfig>;
  return std::visit(
      [&](auto& spec) -> Result<Made> {
        if constexpr (std::is_same_v<std::decay_t<decltype(spec)>, Made>) {
          return std::move(spec);
        } else {
          return makeRoute(std::move(spec), where);
        }
      },
      config);
}

}  // namespace millrace
