// HTTP filters as the main thread states them: src/native/filters.ts, field by field. Plain data;
// any thread. What filters do: filters/, one file each.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "proxy/match_spec.h"

namespace millrace {
class FilterRouteConfig;
class HttpFilterFactory;
}  // namespace millrace

namespace millrace::spec {

// Stands for a filter's configured name, by which routes speak to it: the same name, the same
// number, for the life of the process.
using FilterId = uint32_t;

// Requests of a client that names its host go to that one, as far as it is there.
struct StatefulSession {
  enum class State : uint8_t { kNone, kCookie, kHeader };
  State state = State::kNone;
  std::string name;     // of the cookie or header
  uint64_t ttl = 0;     // of the cookie, seconds; 0: until the client ends
  std::string path;     // of the cookie; empty: none
  bool strict = false;  // to that one or none
};

struct StatefulSessionRoute {
  bool disabled = false;
  StatefulSession session;  // unless disabled, instead of the filter's own
};

// filters/dynamic_forward_proxy.h
struct DynamicForwardProxy {};
struct DynamicForwardProxyRoute {
  std::string host;    // instead of the request's; empty: that
  std::string header;  // lower case; its value instead, where there is one; empty: none
};

// A number that a runtime flag may override.
struct RuntimeNumber {
  double value = 0;
  RuntimeIndex flag = kNoFlag;
};

// Requests are turned away when too many did not succeed. Percentages are from 0 to 100.
struct AdmissionControl {
  static constexpr uint32_t kMostSeconds = 3600;
  RuntimeNumber enabled{1};
  std::vector<std::pair<uint16_t, uint16_t>> httpSuccess{{0, 500}};  // [from, to)
  uint32_t grpcSuccess = 0x11aef;                                    // bits by status
  uint32_t windowSeconds = 30;                                       // from 1 to kMostSeconds
  RuntimeNumber aggression{1};
  RuntimeNumber threshold{95};
  RuntimeNumber rpsThreshold{0};
  RuntimeNumber mostRejected{80};
};

// How the limit of requests under way is found. Percentages are from 0 to 100, times ms.
struct Gradient {
  RuntimeNumber percentile{50};
  RuntimeNumber mostConcurrency{1000};
  RuntimeNumber updateEvery{0};
  RuntimeNumber measureEvery{0};
  RuntimeNumber requests{50};
  RuntimeNumber jitter{15};
  RuntimeNumber leastConcurrency{3};
  RuntimeNumber buffer{25};
};

// So many requests may be under way as the time that they take lets seem good.
struct AdaptiveConcurrency {
  RuntimeNumber enabled{1};
  uint16_t exceededStatus = 503;
  Gradient gradient;
};

// What a filter is, one struct for each. The first alternative is a filter that is made already:
// tests have such.
using FilterConfig = std::variant<std::shared_ptr<const HttpFilterFactory>, StatefulSession,
                                  AdmissionControl, AdaptiveConcurrency, DynamicForwardProxy>;

struct HttpFilter {
  FilterId id = 0;
  std::string name;
  bool disabled = false;  // unless a route says otherwise
  FilterConfig config;
};

// What a route says to a filter of some type; the first alternative as above.
using FilterRouteConfig = std::variant<std::shared_ptr<const millrace::FilterRouteConfig>,
                                       DynamicForwardProxyRoute, StatefulSessionRoute>;

// What a route (or one of its weighted clusters) says to one filter, with what the route table and
// the virtual host say to it: the most specific holds.
struct FilterOverride {
  FilterId filter = 0;
  bool disabled = false;
  int32_t config = -1;  // index into RouteTable::filterConfigs; -1: none
};
using FilterOverrides = std::vector<FilterOverride>;

}  // namespace millrace::spec
