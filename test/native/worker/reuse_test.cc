// When a connection to an upstream is used again: not before it was found silent and open. What the
// peer does behind a response is part of the script here, and nothing hangs on how fast it is.
#include <poll.h>

#include <chrono>
#include <mutex>
#include <thread>

#include "support.h"

using namespace millrace;
using namespace millrace::test;

namespace {

// Answers each request with its own path, and then does something unasked.
class Unruly {
 public:
  enum class Then : uint8_t { kNothing, kClose, kAnswerAgain };
  // `requests`: on one connection, before `then`. `pauseUs`: between the answer and that.
  Unruly(Then then, int requests, int pauseUs = 0)
      : then_(then), most_(requests), pauseUs_(pauseUs) {
    auto sockets = listenOn(*Address::ip("127.0.0.1", 0), {.reusePort = false}, 1);
    listener_ = std::move(sockets->fds[0]);
    port_ = sockets->local.port();
    thread_ = std::thread([this] { accepting(); });
  }
  ~Unruly() {
    stop_ = true;
    thread_.join();
    for (auto& t : serving_) t.join();
  }
  uint16_t port() const { return port_; }
  int accepted() const { return accepted_; }
  // Requests are not read between the two.
  void hold() { held_ = true; }
  void begin() { held_ = false; }

 private:
  void accepting() {
    pollfd listening{listener_.get(), POLLIN, 0};
    while (!stop_) {
      if (::poll(&listening, 1, 10) <= 0) continue;
      int fd = ::accept(listener_.get(), nullptr, nullptr);
      if (fd < 0) continue;
      accepted_++;
      serving_.emplace_back([this, fd] { serve(Fd(fd)); });
    }
  }
  void serve(Fd fd) {
    std::string text;
    for (int served = 0; !stop_;) {
      pollfd readable{fd.get(), POLLIN, 0};
      if (held_ || ::poll(&readable, 1, 10) <= 0) {
        if (held_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        continue;
      }
      char buffer[4096];
      ssize_t n = ::recv(fd.get(), buffer, sizeof buffer, 0);
      if (n <= 0) return;
      text.append(buffer, size_t(n));
      size_t end = text.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      size_t from = text.find(' ') + 1;
      std::string path = text.substr(from, text.find(' ', from) - from);
      // The name is spelt as the client spelt it.
      constexpr std::string_view kLength = "ength: ";
      size_t body = text.find(kLength);
      size_t size = body < end ? size_t(atoi(&text[body + kLength.size()])) : 0;
      if (text.size() < end + 4 + size) continue;
      text.erase(0, end + 4 + size);
      bool last = ++served >= most_ && then_ != Then::kNothing;
      // Without a pause, what comes behind the answer comes in one piece with it.
      int more = last && pauseUs_ == 0 ? MSG_MORE : 0;
      say(fd, path, more);
      if (!last) continue;
      if (pauseUs_ != 0) std::this_thread::sleep_for(std::chrono::microseconds(pauseUs_));
      if (then_ == Then::kClose) return;
      say(fd, "/stray", 0);
    }
  }
  static void say(Fd& fd, const std::string& path, int more) {
    std::string text =
        "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(path.size()) + "\r\n\r\n" + path;
    ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL | more);
  }

  const Then then_;
  const int most_, pauseUs_;
  Fd listener_;
  uint16_t port_ = 0;
  std::atomic<bool> stop_{false}, held_{false};
  std::atomic<int> accepted_{0};
  std::thread thread_;
  std::vector<std::thread> serving_;
};

std::string post(const std::string& path, std::string_view method = "POST") {
  return std::string(method) + " " + path +
         " HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
}

// What `clients` get for `each` requests, one after the other.
struct Load {
  int good = 0, wrong = 0, failed = 0;
};
Load load(uint16_t port, int clients, int each, const char* method) {
  std::vector<std::thread> threads;
  std::mutex mutex;
  Load sum;
  for (int i = 0; i < clients; i++) {
    threads.emplace_back([&, i] {
      Client client(port);
      Load own;
      for (int k = 0; k < each; k++) {
        std::string path = "/" + std::to_string(i) + "/" + std::to_string(k);
        int status = client.exchange(post(path, method));
        if (status == 0) {
          own.failed++;
          break;
        }
        bool mine = status == 200 && client.text().ends_with("\r\n\r\n" + path);
        (mine ? own.good : status == 200 ? own.wrong : own.failed)++;
      }
      std::lock_guard lock(mutex);
      sum.good += own.good;
      sum.wrong += own.wrong;
      sum.failed += own.failed;
    });
  }
  for (auto& t : threads) t.join();
  return sum;
}

spec::Breaker oneConnection() {
  spec::Breaker limits;
  limits.maxConnections = 1;
  return limits;
}

}  // namespace

TEST_CASE("who waits for a connection does not get one whose end has come") {
  // The end comes with the response, mostly: a request that may go again forgives the rest.
  for (int round = 0; round < 20; round++) {
    Unruly origin(Unruly::Then::kClose, 1);
    Running proxy(1, {origin.port()}, {}, oneConnection());
    Client a(proxy.port), b(proxy.port);
    std::string first = post("/a", "PUT"), second = post("/b", "PUT");
    origin.hold();
    ::send(a.fd(), first.data(), first.size(), MSG_NOSIGNAL);
    ::send(b.fd(), second.data(), second.size(), MSG_NOSIGNAL);
    CHECK(
        proxy.until([&] { return proxy.counter("cluster.web.upstream_rq_pending_active") == 1; }));
    origin.begin();
    CHECK(a.response() == 200);
    CHECK(b.response() == 200);
    CHECK(origin.accepted() == 2);
  }
}

TEST_CASE("an answer behind the answer reaches nobody, and its connection is closed") {
  for (int clients : {1, 8}) {
    Unruly origin(Unruly::Then::kAnswerAgain, 1);
    Running proxy(1, {origin.port()});
    Load got = load(proxy.port, clients, 100, "GET");
    CHECK(got.wrong == 0);
    CHECK(got.good == clients * 100);
    CHECK(proxy.counter("cluster.web.upstream_cx_protocol_error") > 0);
  }
}

TEST_CASE("a pipelined request does not get the answer that was said twice") {
  Unruly origin(Unruly::Then::kAnswerAgain, 1);
  Running proxy(1, {origin.port()});
  Client client(proxy.port);
  std::string both = "GET /one HTTP/1.1\r\nHost: a\r\n\r\nGET /two HTTP/1.1\r\nHost: a\r\n\r\n";
  CHECK(client.exchange(both) == 200);
  while (!client.text().ends_with("/two") && client.more()) {
  }
  CHECK(client.text().find("/one") != std::string_view::npos);
  CHECK(client.text().find("/stray") == std::string_view::npos);
}

TEST_CASE("upstreams that close without a word cost a request that is sent again nothing") {
  // PUT: idempotent, with a small body that is kept.
  for (int requests : {1, 2, 5}) {
    CAPTURE(requests);
    Unruly origin(Unruly::Then::kClose, requests, requests == 2 ? 100 : 0);
    Running proxy(1, {origin.port()});
    Load got = load(proxy.port, 8, 50, "PUT");
    CHECK(got.good == 400);
    CHECK(got.failed == 0);
  }
}

TEST_CASE("a request that is sent again gets a new connection, whatever becomes free meanwhile") {
  // Each connection answers once and is then closed late: all that become free are as good as dead.
  Unruly origin(Unruly::Then::kClose, 1, 300);
  Running proxy(1, {origin.port()}, {}, [] {
    spec::Breaker limits;
    limits.maxConnections = 2;
    return limits;
  }());
  Load got = load(proxy.port, 6, 40, "GET");
  CHECK(got.good == 240);
  CHECK(got.failed == 0);
}

TEST_CASE("an end in the middle of an exchange is counted by whose it is") {
  Unruly closes(Unruly::Then::kClose, 1);
  Running proxy(1, {closes.port()});
  Client client(proxy.port);
  CHECK(client.get("/a") == 200);
  CHECK(proxy.until([&] { return proxy.counter("cluster.web.upstream_cx_destroy_remote") == 1; }));
  CHECK(proxy.counter("cluster.web.upstream_cx_destroy_with_active_rq") == 0);
}

TEST_CASE("a connection that does not come up fails the one that it was made for") {
  ListenOptions tiny;
  tiny.backlog = 1;
  tiny.reusePort = false;
  auto full = std::move(*listenOn(*Address::ip("127.0.0.1", 0), tiny, 1));
  std::vector<Fd> fill;
  for (int i = 0; i < 8; i++) {
    fill.emplace_back(openSocket(AF_INET));
    ::connect(fill.back().get(), full.local.sockaddrPtr(), full.local.size());
  }
  Running proxy(1, {full.local.port()});
  spec::Cluster c;
  c.name = "web";
  c.hosts.push_back({.id = full.local.port(), .address = localPort(full.local.port())});
  c.connectTimeout = 3000;
  proxy.publishNow(c);
  auto waiting = [&] { return proxy.counter("cluster.web.upstream_rq_pending_active"); };
  std::string_view request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  Client first(proxy.port), second(proxy.port);
  ::send(first.fd(), request.data(), request.size(), MSG_NOSIGNAL);
  CHECK(proxy.until([&] { return waiting() == 1; }));
  c.connectTimeout = 60'000;  // of connections from now on
  proxy.publishNow(c);
  ::send(second.fd(), request.data(), request.size(), MSG_NOSIGNAL);
  CHECK(proxy.until([&] { return waiting() == 2; }));
  CHECK(first.response() == 503);
  CHECK(waiting() == 1);
  CHECK(proxy.counter("cluster.web.upstream_rq_pending_failure_eject") == 1);
}
