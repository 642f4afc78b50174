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

bool isGrpc(const HeaderList& headers) {
  std::string_view type = headers.value(HeaderId::kContentType);
  return type.starts_with("application/grpc") &&
         (type.size() == 16 || type[16] == '+' || type[16] == ';');
}

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
  if (action.grpcTimeoutMost >= 0 && isGrpc(headers)) {
    uint64_t asked = uint64_t(std::max<int64_t>(grpcTimeoutMs(headers), 0));  // 0: for ever
    const uint64_t offset = uint64_t(action.grpcTimeoutOffset);
    const uint64_t most = uint64_t(action.grpcTimeoutMost);
    if (offset < asked) asked -= offset;
    timeouts.globalMs = most != 0 && (asked == 0 || asked > most) ? most : asked;
  }
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

int64_t grpcTimeoutMs(const HeaderList& headers) {
  constexpr size_t kMostDigits = 8;
  constexpr uint64_t kNsPerUs = 1000, kUsPerMs = 1000, kMsPerSec = 1000, kSecPerMin = 60;
  std::string_view text = headers.value(HeaderId::kGrpcTimeout);
  uint64_t value = 0;
  if (text.size() < 2 || text.size() > kMostDigits + 1) return -1;
  if (!parseNumber(text.substr(0, text.size() - 1), value)) return -1;
  auto up = [value](uint64_t units) { return int64_t((value + units - 1) / units); };
  switch (text.back()) {
    case 'H':
      return int64_t(value * kSecPerMin * kSecPerMin * kMsPerSec);
    case 'M':
      return int64_t(value * kSecPerMin * kMsPerSec);
    case 'S':
      return int64_t(value * kMsPerSec);
    case 'm':
      return int64_t(value);
    case 'u':
      return up(kUsPerMs);
    case 'n':
      return up(kNsPerUs * kUsPerMs);
    default:
      return -1;
  }
}

int64_t streamDurationMs(const ForwardAction& action, const HeaderList& headers) {
  const spec::StreamDuration& duration = action.streamDuration;
  if (duration.grpcMost < 0 || !headers.has(HeaderId::kGrpcTimeout)) return duration.most;
  int64_t asked = grpcTimeoutMs(headers);
  if (asked < 0) return duration.most;
  if (duration.grpcMost != 0) asked = std::min(asked, duration.grpcMost);
  return std::max<int64_t>(asked - duration.grpcOffset, 1);  // 0 would be for ever
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
