// From what the configuration says of an HTTP filter to what makes it for each stream
// (http_filter.h), and what routes tell it. Both are parts of snapshots: made on the main thread,
// immutable but for what their filters keep of their own, read by every worker.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "proxy/filter_spec.h"
#include "stats/registry.h"

namespace millrace {

class FilterCallbacks;
class HttpFilter;

// A filter of filters/; kOther: of a test.
enum class FilterType : uint8_t {
  kOther,
  kStatefulSession,
  kAdmissionControl,
  kAdaptiveConcurrency,
  kDynamicForwardProxy,
};

// What a route says to filters of one type.
class FilterRouteConfig {
 public:
  explicit FilterRouteConfig(FilterType type) : type_(type) {}
  virtual ~FilterRouteConfig() = default;
  FilterRouteConfig(const FilterRouteConfig&) = delete;
  FilterRouteConfig& operator=(const FilterRouteConfig&) = delete;
  FilterType type() const { return type_; }

 private:
  const FilterType type_;
};

// Makes one filter for each stream.
class HttpFilterFactory {
 public:
  explicit HttpFilterFactory(FilterType type) : type_(type) {}
  virtual ~HttpFilterFactory() = default;
  HttpFilterFactory(const HttpFilterFactory&) = delete;
  HttpFilterFactory& operator=(const HttpFilterFactory&) = delete;
  FilterType type() const { return type_; }
  // In callbacks.arena(); destroyed without a destructor's call. `route`: what the route says, of
  // the same type as this; null: nothing. It lives as long as the filter. Null: this stream needs
  // no filter. Thread rule: a worker's loop.
  virtual HttpFilter* create(FilterCallbacks& callbacks, const FilterRouteConfig* route) const = 0;

 private:
  const FilterType type_;
};

// What a filter is made with.
struct FilterContext {
  StatsRegistry& stats;  // outlives the factory
  StatScope scope;       // of the connection manager: "http.<stat_prefix>."
  uint32_t workers;      // how many there are; WorkerContext::index is less
  std::string where;     // the filter's path in the configuration, for errors
};

// Main thread. Errors: ERR_MILLRACE_LISTENER and ERR_MILLRACE_ROUTES, with the path of what is
// wrong.
Result<std::shared_ptr<const HttpFilterFactory>> makeFilterFactory(spec::FilterConfig config,
                                                                   const FilterContext& context);
Result<std::shared_ptr<const FilterRouteConfig>> makeFilterRouteConfig(
    spec::FilterRouteConfig config, const std::string& where);

}  // namespace millrace
