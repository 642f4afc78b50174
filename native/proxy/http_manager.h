// The HTTP connection manager of a filter chain, compiled: what every connection and stream of it
// reads. Part of the listener's snapshot, immutable.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "http/http1_server.h"
#include "proxy/access_log.h"
#include "proxy/forwarded.h"
#include "proxy/http_filter.h"
#include "proxy/path.h"
#include "proxy/spec.h"
#include "stats/registry.h"

namespace millrace {

class HttpManager {
 public:
  // `stats` outlives this; `where` is the manager's path in the configuration, for errors.
  static Result<std::unique_ptr<HttpManager>> build(spec::HttpManager spec, StatsRegistry& stats,
                                                    const std::string& where);
  ~HttpManager();
  HttpManager(const HttpManager&) = delete;
  HttpManager& operator=(const HttpManager&) = delete;

  const spec::HttpManager& spec() const { return spec_; }
  const Http1ServerOptions& http1() const { return http1_; }
  const ForwardingRules& forwarding() const { return forwarding_; }
  const PathRules& pathRules() const { return pathRules_; }
  const AccessLogs& accessLogs() const { return accessLogs_; }
  const std::vector<std::shared_ptr<const HttpFilterFactory>>& filters() const {
    return spec_.filters;
  }
  BlockId statBlock() const { return statBlock_; }
  HistogramId requestTime() const { return requestTime_; }
  HistogramId connectionLength() const { return connectionLength_; }

 private:
  HttpManager(spec::HttpManager spec, StatsRegistry& stats);

  const spec::HttpManager spec_;
  StatsRegistry& stats_;
  Http1ServerOptions http1_;
  ForwardingRules forwarding_;
  PathRules pathRules_;
  AccessLogs accessLogs_;
  BlockId statBlock_;
  HistogramId requestTime_, connectionLength_;
};

}  // namespace millrace
