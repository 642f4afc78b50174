#include "proxy/http_manager.h"

#include <utility>

#include "proxy/http_stats.h"

namespace millrace {

namespace {

StatScope scopeOf(const std::string& statPrefix) {
  return {"http." + statPrefix + ".", "http.", {{"envoy.http_conn_manager_prefix", statPrefix}}};
}

}  // namespace

HttpManager::HttpManager(spec::HttpManager spec, StatsRegistry& stats)
    : spec_(std::move(spec)), stats_(stats) {
  StatScope scope = scopeOf(spec_.statPrefix);
  statBlock_ = stats_.block(scope, kHttpStatLeaves);
  requestTime_ = stats_.histogram(scope, "downstream_rq_time", HistogramUnit::kMicroseconds);
  connectionLength_ =
      stats_.histogram(scope, "downstream_cx_length_ms", HistogramUnit::kMicroseconds);
}

HttpManager::~HttpManager() {
  stats_.release(statBlock_);
  stats_.release(requestTime_);
  stats_.release(connectionLength_);
}

Status HttpManager::makeFilters(std::vector<spec::HttpFilter> filters, uint32_t workers,
                                const std::string& where) {
  FilterContext context{stats_, scopeOf(spec_.statPrefix), workers, {}};
  for (size_t i = 0; i < filters.size(); i++) {
    context.where = where + ".filters[" + std::to_string(i) + "]";
    auto factory = makeFilterFactory(std::move(filters[i].config), context);
    if (!factory) return factory.error();
    filters_.push_back({filters[i].id, filters[i].disabled, std::move(*factory)});
  }
  return {};
}

Result<std::unique_ptr<HttpManager>> HttpManager::build(spec::HttpManager spec,
                                                        StatsRegistry& stats, uint32_t workers,
                                                        const std::string& where) {
  std::vector<spec::HttpFilter> filters = std::exchange(spec.filters, {});
  std::unique_ptr<HttpManager> manager(new HttpManager(std::move(spec), stats));
  const spec::HttpManager& s = manager->spec_;
  auto forwarding = ForwardingRules::compile(s, where);
  if (!forwarding) return forwarding.error();
  manager->forwarding_ = std::move(*forwarding);
  auto logs = AccessLogs::compile(s.accessLogs, where + ".accessLogs");
  if (!logs) return logs.error();
  manager->accessLogs_ = std::move(*logs);
  manager->pathRules_ = PathRules::of(s);
  manager->http1_.parse.limits = {s.maxRequestHeaderBytes, uint16_t(s.maxHeaders)};
  manager->http1_.parse.acceptHttp10 = s.acceptHttp10;
  manager->http1_.parse.allowAbsoluteUrl = s.allowAbsoluteUrl;
  manager->http1_.enableTrailers = s.enableTrailers;
  Status made = manager->makeFilters(std::move(filters), workers, where);
  if (!made) return made.error();
  return manager;
}

}  // namespace millrace
