// The server codec over real sockets: clients that ask for more than they read, or much at once.
#include <doctest/doctest.h>

#include "server_support.h"

using namespace millrace;
using namespace millrace::test;

TEST_CASE(
    "a client that does not read is not served on; when it reads, all that it asked for comes") {
  Net net;
  ServerSide side(net);
  constexpr size_t kHigh = 64 * 1024, kRequests = 1500, kBody = 4000;
  int small = 32 * 1024;
  setsockopt(side.plain.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  setsockopt(side.connection->fd(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  side.connection->setWatermarks(kHigh, kHigh / 2);
  side.onComplete = [](ServerSide::Stream& s) { s.answer(200, std::string(kBody, 'x')); };
  std::string all;
  for (size_t i = 0; i < kRequests; i++) all += "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  size_t said = 0, most = 0;
  auto turn = [&] {
    said += side.plain.say(std::string_view(all).substr(said));
    net.loop->runOnce(1);
    most = std::max(most, side.connection->pendingBytes());
  };
  for (int i = 0; i < 200; i++) turn();
  // At most what one turn adds, beyond the mark.
  CHECK(most <= kHigh + Http1ServerCodec::kRequestsPerTurn * (kBody + 200));
  CHECK(side.streams.size() < kRequests / 4);
  size_t heard = 0;
  CHECK(net.until([&] {
    turn();
    std::string some = side.plain.hear();
    for (size_t at = some.find("HTTP/1.1 200"); at != std::string::npos;
         at = some.find("HTTP/1.1 200", at + 1)) {
      heard++;
    }
    return side.streams.size() == kRequests && side.connection->pendingBytes() == 0;
  }));
  CHECK(heard > kRequests / 2);  // some of the heads were cut in two
  CHECK(most <= kHigh + Http1ServerCodec::kRequestsPerTurn * (kBody + 200));
  CHECK(side.log.find("reset") == std::string::npos);
}

TEST_CASE("many requests, or chunks, of one read take several turns, and none is lost") {
  Net net;
  SUBCASE("requests") {
    ServerSide side(net);
    constexpr size_t kRequests = 1000;
    std::string all;
    for (size_t i = 0; i < kRequests; i++) all += "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    CHECK(side.plain.say(all) == all.size());
    for (size_t before = 0; side.streams.size() < kRequests; before = side.streams.size()) {
      std::string_view none = side.plain.hear();
      (void)none;
      uint64_t until = monotonicNs() + 5000 * kNsPerMs;
      while (side.streams.size() == before && monotonicNs() < until) net.loop->runOnce(5);
      CHECK(side.streams.size() > before);
      // One for what is new, one for what was put off.
      CHECK(side.streams.size() - before <= 2 * Http1ServerCodec::kRequestsPerTurn);
    }
    CHECK(side.completed == int(kRequests));
  }
  SUBCASE("chunks") {
    ServerSide side(net);
    constexpr size_t kChunks = 20'000;
    size_t most = 0, before = 0;
    std::string all = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (size_t i = 0; i < kChunks; i++) all += "1\r\nx\r\n";
    all += "0\r\n\r\n";
    size_t said = 0;
    CHECK(net.until([&] {
      said += side.plain.say(std::string_view(all).substr(said));
      net.loop->runOnce(5);
      size_t now = side.streams.empty() ? 0 : side.streams[0]->body.size();
      most = std::max(most, now - before);
      before = now;
      return side.completed == 1;
    }));
    CHECK(most <= 3 * Http1ServerCodec::kPiecesPerTurn);
    CHECK(side.streams[0]->body == std::string(kChunks, 'x'));
  }
}
