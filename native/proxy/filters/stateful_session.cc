#include "proxy/filters/stateful_session.h"

#include <new>
#include <optional>

#include "base/clock.h"
#include "net/address.h"
#include "proxy/filters/session_state.h"
#include "proxy/http_filter.h"

namespace millrace {

namespace {

uint64_t nowSeconds() {
  return wallUs() / 1'000'000;
}

struct Session {
  explicit Session(const spec::StatefulSession& spec) : state(spec), strict(spec.strict) {}
  const SessionState state;
  const bool strict;
};

class StatefulSession final : public HttpFilter {
 public:
  StatefulSession(FilterCallbacks& stream, const Session& session)
      : stream_(stream), session_(session) {}

  FilterStatus onRequestHeaders(RequestHead& head, bool) override {
    kept_ = session_.state.covers(head.path);
    if (!kept_) return FilterStatus::kContinue;
    asked_ = session_.state.read(head, nowSeconds(), stream_.arena());
    if (!asked_.empty()) stream_.overrideHost(asked_, session_.strict);
    return FilterStatus::kContinue;
  }
  FilterStatus onRequestData(std::string_view, bool) override { return FilterStatus::kContinue; }
  void onRequestTrailers(HeaderList&) override {}

  void onResponseHeaders(ResponseHead& head, bool) override {
    const Address* host = stream_.info().upstreamHost;
    if (!kept_ || host == nullptr) return;
    char* text = stream_.arena().array<char>(Address::kMaxText);
    std::string_view address(text, host->format(text));
    if (address != asked_) session_.state.write(address, nowSeconds(), head.headers);
  }

 private:
  FilterCallbacks& stream_;
  const Session& session_;
  std::string_view asked_;  // the address that the client named; empty: none
  bool kept_ = false;
};

struct RouteSession final : FilterRouteConfig {
  explicit RouteSession(const spec::StatefulSessionRoute& spec)
      : FilterRouteConfig(FilterType::kStatefulSession) {
    if (!spec.disabled) session.emplace(spec.session);
  }
  std::optional<const Session> session;  // absent: no sessions here
};

class Factory final : public HttpFilterFactory {
 public:
  explicit Factory(const spec::StatefulSession& spec)
      : HttpFilterFactory(FilterType::kStatefulSession), session_(spec) {}

  HttpFilter* create(FilterCallbacks& stream, const FilterRouteConfig* route) const override {
    const Session* session = &session_;
    if (route != nullptr) {
      const auto& own = static_cast<const RouteSession*>(route)->session;
      session = own ? &*own : nullptr;
    }
    if (session == nullptr || !session->state.any()) return nullptr;
    void* place = stream.arena().allocate(sizeof(StatefulSession), alignof(StatefulSession));
    return new (place) StatefulSession(stream, *session);
  }

 private:
  const Session session_;
};

}  // namespace

Result<std::shared_ptr<const HttpFilterFactory>> make(spec::StatefulSession spec,
                                                      const FilterContext&) {
  return std::shared_ptr<const HttpFilterFactory>(std::make_shared<Factory>(spec));
}

Result<std::shared_ptr<const FilterRouteConfig>> makeRoute(spec::StatefulSessionRoute spec,
                                                           const std::string&) {
  return std::shared_ptr<const FilterRouteConfig>(std::make_shared<RouteSession>(spec));
}

}  // namespace millrace
