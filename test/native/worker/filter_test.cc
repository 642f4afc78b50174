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

class TestFactory final : public HttpFilterFactory {
 public:
  TestFactory(char name, Behaviour behaviour, Journal& journal)
      : name_(name), behaviour_(behaviour), journal_(journal) {}
  HttpFilter* create(FilterCallbacks& callbacks) const override {
    void* memory = callbacks.arena().allocate(sizeof(TestFilter), alignof(TestFilter));
    return new (memory) TestFilter(callbacks, name_, behaviour_, journal_);
  }

 private:
  const char name_;
  const Behaviour behaviour_;
  Journal& journal_;
};

// A proxy whose filters a and b behave so; the second listener, "filtered", has them.
struct Filtered {
  Filtered(Behaviour a, Behaviour b) : proxy(1, {origin.port()}) {
    spec::Listener listener = proxy.listener();
    listener.name = "filtered";
    auto& http = std::get<spec::HttpManager>(listener.filterChains[0].filter);
    http.statPrefix = "filtered";
    http.filters = {std::make_shared<TestFactory>('a', a, journal),
                    std::make_shared<TestFactory>('b', b, journal)};
    auto addresses = proxy.group->addListener(std::move(listener));
    REQUIRE(addresses.ok());
    proxy.group->turn();
    port = uint16_t(std::stoi((*addresses)[0].substr((*addresses)[0].rfind(':') + 1)));
  }
  std::string seen() {
    CHECK(proxy.until([&] { return journal.ends == 2; }));
    return journal.text;
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
