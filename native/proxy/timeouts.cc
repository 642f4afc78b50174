#include "proxy/timeouts.h"

#include <algorithm>

#include "proxy/token_list.h"

namespace millrace {
namespace {

constexpr std::string_view kAltResponse = "x-envoy-upstream-rq-timeout-alt-response";
constexpr uint16_t kNoContent = 204;

constexpr uint64_t kTimeoutHeaders = HeaderList::maskOf(HeaderId::kXEnvoyUpstreamRqTimeoutMs,
                                                        HeaderId::kXEnvoyUpstreamRqPerTryTimeoutMs,
                                                        HeaderId::kXEnvoyHedgeOnPerTryTimeout);

// What is no number changes nothing.
void takeNumber(HeaderList& headers, HeaderId id, uint64_t& into) {
  if (!headers.has(id)) return;
  parseNumber(headers.value(id), into);
  headers.remove(id);
}

}  // namespace

RequestTimeouts requestTimeouts(const ForwardAction& action, bool internal, HeaderList& headers) {
  RequestTimeouts timeouts;
  timeouts.globalMs = action.timeout;
  timeouts.hedge = action.hedgeOnPerTryTimeout;
  if (action.retry != nullptr) {
    timeouts.perTryMs = action.retry->perTryTimeoutMs;
    timeouts.perTryIdleMs = action.retry->perTryIdleTimeoutMs;
  }
  if (headers.hasAny(kTimeoutHeaders)) {
    takeNumber(headers, HeaderId::kXEnvoyUpstreamRqTimeoutMs, timeouts.globalMs);
    takeNumber(headers, HeaderId::kXEnvoyUpstreamRqPerTryTimeoutMs, timeouts.perTryMs);
    std::string_view hedge = headers.value(HeaderId::kXEnvoyHedgeOnPerTryTimeout);
    if (hedge == "true" || hedge == "false") timeouts.hedge = hedge == "true";
    headers.remove(HeaderId::kXEnvoyHedgeOnPerTryTimeout);
  }
  if (internal && headers.remove(kAltResponse) != 0) timeouts.status = kNoContent;
  // One that cannot pass before the global one is none.
  if (timeouts.globalMs != 0 && timeouts.perTryMs >= timeouts.globalMs) timeouts.perTryMs = 0;
  return timeouts;
}

uint64_t expectedTimeoutMs(const RequestTimeouts& timeouts, uint64_t elapsedMs) {
  uint64_t expected =
      timeouts.hedge || timeouts.perTryMs == 0 ? timeouts.globalMs : timeouts.perTryMs;
  if (expected == 0 || timeouts.globalMs == 0) return expected;
  // 0 would say that there is all the time in the world.
  if (elapsedMs >= timeouts.globalMs) return 1;
  return std::min(expected, timeouts.globalMs - elapsedMs);
}

}  // namespace millrace
