// The HTTP connection manager of a filter chain, compiled: what every connection and stream of it
// reads. Part of the listener's snapshot, immutable.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "http/http1_server.h"
#include "proxy/access_log.h"
#include "proxy/filter_factory.h"
#include "proxy/forwarded.h"
#include "proxy/path.h"
#include "proxy/spec.h"
#include "stats/registry.h"

namespace millrace {

class HttpManager {
 public:
  struct Filter {
    spec::FilterId id;
    bool disabled;  // unless a route says otherwise
    std::shared_ptr<const HttpFilterFactory> factory;
  };

  // `stats` outlives this; `workers`: how many there are; `where` is the manager's path in the
  // configuration, for errors.
  static Result<std::unique_ptr<HttpManager>> build(spec::HttpManager spec, StatsRegistry& stats,
                                                    uint32_t workers, const std::string& where);
  ~HttpManager();
  HttpManager(const HttpManager&) = delete;
  HttpManager& operator=(const HttpManager&) = delete;

  const spec::HttpManager& spec() const { return spec_; }
  const Http1ServerOptions& http1() const { return http1_; }
  const ForwardingRules& forwarding() const { return forwarding_; }
  const PathRules& pathRules() const { return pathRules_; }
  const AccessLogs& accessLogs() const { return accessLogs_; }
  // Those before the router, in order.
  const std::vector<Filter>& filters() const { return filters_; }
  BlockId statBlock() const { return statBlock_; }
  HistogramId requestTime() const { return requestTime_; }
  HistogramId connectionLength() const { return connectionLength_; }

 private:
  HttpManager(spec::HttpManager spec, StatsRegistry& stats);
  Status makeFilters(std::vector<spec::HttpFilter> filters, uint32_t workers,
                     const std::string& where);

  const spec::HttpManager spec_;  // without its filters
  StatsRegistry& stats_;
  Http1ServerOptions http1_;
  ForwardingRules forwarding_;
  PathRules pathRules_;
  AccessLogs accessLogs_;
  std::vector<Filter> filters_;
  BlockId statBlock_;
  HistogramId requestTime_, connectionLength_;
};

}  // namespace millrace
