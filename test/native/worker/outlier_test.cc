// What workers count for outlier detection, and how the main thread hears of it.
#include "support.h"

using namespace millrace;
using namespace millrace::test;

namespace {

// Answers with whatever status is set; 0: resets the connection.
class StatusOrigin {
 public:
  StatusOrigin() {
    auto sockets = listenOn(*Address::ip("127.0.0.1", 0), {.reusePort = false}, 1);
    listener_ = std::move(sockets->fds[0]);
    port_ = sockets->local.port();
    thread_ = std::thread([this] { run(); });
  }
  ~StatusOrigin() {
    stop_ = true;
    thread_.join();
  }
  uint16_t port() const { return port_; }
  void answer(int status, const char* header = "") {
    header_ = header;
    status_ = status;
  }

 private:
  void run() {
    while (!stop_) {
      pollfd listening{listener_.get(), POLLIN, 0};
      if (::poll(&listening, 1, 5) <= 0) continue;
      Fd fd(::accept(listener_.get(), nullptr, nullptr));
      char buffer[4096];
      pollfd readable{fd.get(), POLLIN, 0};
      while (!stop_ && ::poll(&readable, 1, 5) == 0) {
      }
      if (stop_ || ::recv(fd.get(), buffer, sizeof buffer, 0) <= 0) continue;
      if (status_ == 0) {
        setResetOnClose(fd.get());
        continue;
      }
      std::string text = "HTTP/1.1 " + std::to_string(status_) + " X\r\n" + header_.load() +
                         "Content-Length: 0\r\nConnection: close\r\n\r\n";
      ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
    }
  }
  Fd listener_;
  uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<int> status_{200};
  std::atomic<const char*> header_{""};
  std::thread thread_;
};

struct Counted {
  explicit Counted(uint16_t port, spec::Outlier limits, uint32_t workers = 1)
      : proxy(workers, {port}) {
    cluster.name = "web";
    cluster.hosts.push_back({.id = 7, .address = localPort(port)});
    cluster.outlier = limits;
    cluster.reportImmediateFail = true;
    proxy.publishNow(cluster);
  }
  std::vector<OutlierKind> kinds() {
    proxy.pump();
    std::vector<OutlierKind> all;
    for (const OutlierEvent& event : proxy.group->takeOutlierEvents()) {
      CHECK(event.slot == proxy.cluster);
      CHECK(event.host == 7);
      all.push_back(event.kind);
    }
    return all;
  }
  std::vector<OutlierKind> waitForKinds() {
    std::vector<OutlierKind> all;
    proxy.until([&] { return !(all = kinds()).empty(); });
    return all;
  }
  OutlierCount window() {
    auto all = proxy.group->outlierWindow(proxy.cluster);
    return all.size() == 1 ? all[0] : OutlierCount{};
  }
  spec::Cluster cluster;
  Running proxy;
};

using Kinds = std::vector<OutlierKind>;

}  // namespace

TEST_CASE("a row of 5xx is told once, and a response without an error ends it") {
  StatusOrigin origin;
  Counted counted(origin.port(), {.consecutive5xx = 3, .consecutiveGatewayFailure = 0});
  Client client(counted.proxy.port);
  origin.answer(500);
  CHECK(client.get() == 500);
  CHECK(client.get() == 500);
  origin.answer(404);  // not a failure of the host
  CHECK(client.get() == 404);
  origin.answer(500);
  CHECK(client.get() == 500);
  CHECK(client.get() == 500);
  CHECK(counted.kinds().empty());
  CHECK(client.get() == 500);
  CHECK(counted.waitForKinds() == Kinds{OutlierKind::kConsecutive5xx});
  // The next row begins anew.
  CHECK(client.get() == 500);
  CHECK(client.get() == 500);
  CHECK(counted.kinds().empty());
  counted.proxy.group->resetOutliers(counted.proxy.cluster, {7});
  CHECK(client.get() == 500);
  CHECK(client.get() == 500);
  CHECK(counted.kinds().empty());
  CHECK(client.get() == 500);
  CHECK(counted.waitForKinds() == Kinds{OutlierKind::kConsecutive5xx});
}

TEST_CASE("gateway failures are 502 to 504; another 5xx ends their row, and not that of 5xx") {
  StatusOrigin origin;
  Counted counted(origin.port(), {.consecutive5xx = 5, .consecutiveGatewayFailure = 2});
  Client client(counted.proxy.port);
  for (int status : {502, 500, 503, 501}) {
    origin.answer(status);
    CHECK(client.get() == status);
  }
  CHECK(counted.kinds().empty());
  origin.answer(504);
  CHECK(client.get() == 504);  // the fifth 5xx
  CHECK(counted.waitForKinds() == Kinds{OutlierKind::kConsecutive5xx});
  origin.answer(502);
  CHECK(client.get() == 502);
  CHECK(counted.waitForKinds() == Kinds{OutlierKind::kConsecutiveGatewayFailure});
}

TEST_CASE("resets and failed connects count as 503 unless errors are split by origin") {
  StatusOrigin origin;
  {
    Counted counted(origin.port(), {.consecutive5xx = 2, .consecutiveGatewayFailure = 0});
    Client client(counted.proxy.port);
    origin.answer(0);
    CHECK(client.get() == 503);
    CHECK(client.get() == 503);
    CHECK(counted.waitForKinds() == Kinds{OutlierKind::kConsecutive5xx});
    OutlierCount window = counted.window();
    CHECK(window.host == 7);
    CHECK(window.total == 2);
    CHECK(window.success == 0);
    CHECK(window.localTotal == 0);
  }
  {
    Counted counted(origin.port(), {.consecutive5xx = 2,
                                    .consecutiveLocalOriginFailure = 2,
                                    .splitExternalLocalOriginErrors = true});
    Client client(counted.proxy.port);
    origin.answer(0);
    CHECK(client.get() == 503);
    origin.answer(500);  // the connection was good: that ends the row of local failures
    CHECK(client.get() == 500);
    CHECK(counted.kinds().empty());
    OutlierCount window = counted.window();
    CHECK(window.total == 1);
    CHECK(window.success == 0);
    // The reset request had a connection too.
    CHECK(window.localTotal == 3);
    CHECK(window.localSuccess == 2);
  }
  {
    uint16_t nobody = listenOn(*Address::ip("127.0.0.1", 0), {}, 1)->local.port();
    Counted counted(nobody, {.consecutive5xx = 2,
                             .consecutiveLocalOriginFailure = 2,
                             .splitExternalLocalOriginErrors = true});
    Client client(counted.proxy.port);
    CHECK(client.get() == 503);
    CHECK(client.get() == 503);
    CHECK(counted.waitForKinds() == Kinds{OutlierKind::kConsecutiveLocalOriginFailure});
  }
}

TEST_CASE("a window holds what was counted since the last look") {
  StatusOrigin origin;
  Counted counted(origin.port(), {});
  Client client(counted.proxy.port);
  for (int i = 0; i < 4; i++) CHECK(client.get() == 200);
  origin.answer(500);
  CHECK(client.get() == 500);
  OutlierCount window = counted.window();
  CHECK(window.total == 5);
  CHECK(window.success == 4);
  CHECK(counted.proxy.group->outlierWindow(counted.proxy.cluster).empty());
  CHECK(client.get() == 500);
  CHECK(counted.window().total == 1);
}

TEST_CASE("x-envoy-immediate-health-check-fail is told once until the event is taken") {
  StatusOrigin origin;
  Counted counted(origin.port(), {});
  Client client(counted.proxy.port);
  origin.answer(200, "x-envoy-immediate-health-check-fail: true\r\n");
  for (int i = 0; i < 3; i++) CHECK(client.get() == 200);
  CHECK(counted.waitForKinds() == Kinds{OutlierKind::kImmediateFail});
  CHECK(counted.kinds().empty());
  CHECK(client.get() == 200);
  CHECK(counted.waitForKinds() == Kinds{OutlierKind::kImmediateFail});
  counted.cluster.reportImmediateFail = false;
  counted.cluster.outlier.reset();
  counted.proxy.publishNow(counted.cluster);
  for (int i = 0; i < 3; i++) CHECK(client.get() == 200);
  CHECK(counted.kinds().empty());
}

TEST_CASE("rows of failures are of all workers together") {
  StatusOrigin origin;
  Counted counted(origin.port(), {.consecutive5xx = 4, .consecutiveGatewayFailure = 0}, 2);
  Client a(counted.proxy.port), b(counted.proxy.port);
  origin.answer(500);
  CHECK(a.get() == 500);
  CHECK(b.get() == 500);
  CHECK(a.get() == 500);
  CHECK(counted.kinds().empty());
  CHECK(b.get() == 500);
  CHECK(counted.waitForKinds() == Kinds{OutlierKind::kConsecutive5xx});
  CHECK(counted.window().total == 4);
}
