#include "proxy/http_manager.h"

#include "proxy/http_stats.h"

namespace millrace {

HttpManager::HttpManager(spec::HttpManager spec, StatsRegistry& stats)
    : spec_(std::move(spec)), stats_(stats) {
  StatScope scope{"http." + spec_.statPrefix + ".",
                  "http.",
                  {{"envoy.http_conn_manager_prefix", spec_.statPrefix}}};
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

Result<std::unique_ptr<HttpManager>> HttpManager::build(spec::HttpManager spec,
                                                        StatsRegistry& stats,
                                                        const std::string& where) {
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
  return manager;
}

}  // namespace millrace
