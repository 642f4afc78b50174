// The seam of HTTP filters: order, stopping and going on, answering, and the end of a stream.
#include <new>

#include "proxy/http_filter.h"
#include "proxy/worker_context.h"
#include "worker/support.h"

using namespace millrace;
using namespace millrace::test;

namespace {

// What all filters of a test saw, in order. The worker writes, the test reads when the exchange is
// over.
struct Journal {
  std::string text;
  std::atomic<int> ends{0};
};

enum class Behaviour { kPass, kStopThenContinue, kAnswer };

class TestFilter final : public HttpFilter {
 public:
  TestFilter(FilterCallbacks& callbacks, char name, Behaviour behaviour, Journal& journal)
      : callbacks_(callbacks), name_(name), behaviour_(behaviour), journal_(journal) {}
  FilterStatus onRequestHeaders(RequestHead& head, bool) override {
    note('h');
    head.headers.add("x-filter", "seen", HeaderId::kOther);
    if (behaviour_ == Behaviour::kAnswer) {
      callbacks_.reply({.status = 418, .body = "short and stout", .details = "teapot"});
      return FilterStatus::kStop;
    }
    if (behaviour_ == Behaviour::kPass) return FilterStatus::kContinue;
    callbacks_.worker().loop.post([this] { callbacks_.continueRequest(); });
    return FilterStatus::kStop;
  }
  FilterStatus onRequestData(std::string_view, bool end) override {
    if (end) note('d');
    return FilterStatus::kContinue;
  }
  void onRequestTrailers(HeaderList&) override { note('t'); }
  void onResponseHeaders(ResponseHead& head, bool) override {
    note('H');
    head.headers.add("x-answered", "yes", HeaderId::kOther);
  }
  void onResponseData(std::string_view, bool end) override {
    if (end) note('D');
  }
  void onStreamEnd() override {
    note('e');
    journal_.ends++;
  }

 private:
  void note(char what) { journal_.text += {name_, what, ' '}; }
  FilterCallbacks& callbacks_;
  const char name_;
  const Behaviour behaviour_;
  Journal& journal_;
};

// Gives the filter another name.
struct TestRouteConfig final : FilterRouteConfig {
  explicit TestRouteConfig(char n) : FilterRouteConfig(FilterType::kOther), name(n) {}
  const char name;
};

class TestFactory final : public HttpFilterFactory {
 public:
  TestFactory(char name, Behaviour behaviour, Journal& journal)
      : HttpFilterFactory(FilterType::kOther),
        name_(name),
        behaviour_(behaviour),
        journal_(journal) {}
  HttpFilter* create(FilterCallbacks& callbacks, const FilterRouteConfig* route) const override {
    void* memory = callbacks.arena().allocate(sizeof(TestFilter), alignof(TestFilter));
    char name = route == nullptr ? name_ : static_cast<const TestRouteConfig*>(route)->name;
    return new (memory) TestFilter(callbacks, name, behaviour_, journal_);
  }

 private:
  const char name_;
  const Behaviour behaviour_;
  Journal& journal_;
};

// A proxy whose filters a and b behave so; the second listener, "filtered", has them.
struct Filtered {
  Filtered(Behaviour a, Behaviour b, bool bIsDisabled = false) : proxy(1, {origin.port()}) {
    spec::Listener listener = proxy.listener();
    listener.name = "filtered";
    auto& http = std::get<spec::HttpManager>(listener.filterChains[0].filter);
    http.statPrefix = "filtered";
    http.filters = {{0, "a", false, std::make_shared<TestFactory>('a', a, journal)},
                    {1, "b", bIsDisabled, std::make_shared<TestFactory>('b', b, journal)}};
    auto addresses = proxy.group->addListener(std::move(listener));
    REQUIRE(addresses.ok());
    proxy.group->turn();
    port = uint16_t(std::stoi((*addresses)[0].substr((*addresses)[0].rfind(':') + 1)));
  }
  std::string seen(int filters = 2) {
    CHECK(proxy.until([&] { return journal.ends == filters; }));
    return journal.text;
  }
  // One route, which says this to filters a (0) and b (1), and its weighted clusters, if any, this.
  // Configurations: 0 calls a filter x, 1 calls it y.
  void route(spec::FilterOverrides filters, std::vector<spec::FilterOverrides> clusters = {}) {
    spec::RouteTable table;
    table.filterConfigs = {std::make_shared<TestRouteConfig>('x'),
                           std::make_shared<TestRouteConfig>('y')};
    spec::Forward forward;
    forward.cluster.slot = proxy.cluster;
    forward.cluster.name = "web";
    for (spec::FilterOverrides& said : clusters) {
      forward.cluster.kind = spec::ClusterChoice::Kind::kWeighted;
      forward.cluster.header = "x-choice";
      auto& cluster = forward.cluster.clusters.emplace_back();
      cluster.name = "web";
      cluster.slot = proxy.cluster;
      cluster.weight = 1;
      cluster.filters = std::move(said);
    }
    auto& host = table.virtualHosts.emplace_back();
    host.domains = {"*"};
    auto& r = host.routes.emplace_back();
    r.match.value = "/";
    r.action = std::move(forward);
    r.filters = std::move(filters);
    REQUIRE(proxy.group->publishRoutes(proxy.routes, std::move(table)).ok());
    proxy.group->turn();
  }
  Journal journal;
  Origin origin;
  Running proxy;
  uint16_t port;
};

}  // namespace

TEST_CASE("filters see requests in their order and responses the other way round") {
  Filtered f(Behaviour::kPass, Behaviour::kPass);
  Client client(f.port);
  CHECK(client.get() == 200);
  CHECK(client.text().find("x-answered: yes") != std::string_view::npos);
  CHECK(f.seen() == "ah bh bH aH bD aD ae be ");
}

TEST_CASE("a filter may stop a request, and let it go on later") {
  Filtered f(Behaviour::kStopThenContinue, Behaviour::kStopThenContinue);
  Client client(f.port);
  CHECK(client.get() == 200);
  CHECK(f.seen() == "ah bh bH aH bD aD ae be ");
}

TEST_CASE("the body waits while a filter has stopped the request") {
  Filtered f(Behaviour::kPass, Behaviour::kStopThenContinue);
  Client client(f.port);
  CHECK(client.exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody") == 200);
  CHECK(f.seen().starts_with("ah bh ad bd "));
}

TEST_CASE("a filter may answer, and nobody behind it is asked") {
  Filtered f(Behaviour::kAnswer, Behaviour::kPass);
  Client client(f.port);
  CHECK(client.get() == 418);
  CHECK(client.text().ends_with("short and stout"));
  CHECK(f.seen() == "ah bH aH bD aD ae be ");
  CHECK(f.origin.requests() == 0);
}

TEST_CASE("a filter that is disabled is not made, unless the route enables it") {
  {
    Filtered f(Behaviour::kPass, Behaviour::kPass, true);
    CHECK(Client(f.port).get() == 200);
    CHECK(f.seen(1) == "ah aH aD ae ");
  }
  {
    Filtered f(Behaviour::kPass, Behaviour::kPass, true);
    f.route({{.filter = 1}});
    CHECK(Client(f.port).get() == 200);
    CHECK(f.seen(2) == "ah bh bH aH bD aD ae be ");
  }
}

TEST_CASE("a route disables a filter, and tells another one something") {
  Filtered f(Behaviour::kPass, Behaviour::kPass);
  f.route({{.filter = 0, .disabled = true}, {.filter = 1, .config = 1}});
  CHECK(Client(f.port).get() == 200);
  CHECK(f.seen(1) == "yh yH yD ye ");
}

TEST_CASE("a weighted cluster says more than its route") {
  Filtered f(Behaviour::kPass, Behaviour::kPass);
  f.route({{.filter = 0, .config = 0}, {.filter = 1, .disabled = true}},
          {{}, {{.filter = 0, .config = 1}, {.filter = 1, .disabled = true}}});
  Client client(f.port);
  CHECK(client.exchange("GET / HTTP/1.1\r\nHost: a\r\nX-Choice: 0\r\n\r\n") == 200);
  CHECK(f.seen(1) == "xh xH xD xe ");
  CHECK(client.exchange("GET / HTTP/1.1\r\nHost: a\r\nX-Choice: 1\r\n\r\n") == 200);
  CHECK(f.seen(2) == "xh xH xD xe yh yH yD ye ");
}

TEST_CASE("a route table that names no configuration of its own is refused") {
  Filtered f(Behaviour::kPass, Behaviour::kPass);
  spec::RouteTable table;
  auto& host = table.virtualHosts.emplace_back();
  host.domains = {"*"};
  auto& route = host.routes.emplace_back();
  route.action = spec::DirectResponse{};
  route.filters = {{.filter = 0, .config = 0}};
  CHECK_FALSE(f.proxy.group->publishRoutes(f.proxy.routes, std::move(table)).ok());
}
