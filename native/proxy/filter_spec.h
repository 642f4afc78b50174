// HTTP filters as the main thread states them: src/native/filters.ts, field by field. Plain data;
// any thread. What filters do: filters/, one file each.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

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

// What a filter is, one struct for each. The first alternative is a filter that is made already:
// tests have such.
using FilterConfig =
    std::variant<std::shared_ptr<const HttpFilterFactory>, DynamicForwardProxy, StatefulSession>;

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
