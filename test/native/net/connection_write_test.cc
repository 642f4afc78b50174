// Connection: writing, watermarks, and closing after what was written.
#include <fcntl.h>

#include <cstring>
#include <random>

#include "net/support.h"
#include "stats/shard.h"

using namespace millrace;
using namespace millrace::test;

namespace {

// A connection whose other end sees each system call's bytes apart.
struct Packets {
  explicit Packets(Net& net) {
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    connection = Connection::accepted(*net.ctx, fds[0], *Address::unixPath("@x"), &owner);
    plain = Plain(fds[1]);
    net.turns(2);
  }
  ~Packets() { connection->close(); }
  Owner owner;
  Plain plain;
  Connection* connection;
};

}  // namespace

TEST_CASE("all that one callback writes leaves in one system call") {
  Net net;
  Packets a(net), b(net);
  a.owner.onBytes = [&](Connection& c, std::span<char> bytes) {
    c.write("head ");
    char* at = c.reserve(100);
    std::memcpy(at, "formatted ", 10);
    c.trimReserved(90);
    {
      std::string local = "copied ";
      c.writeCopy(local);
    }
    b.connection->write({bytes.data(), bytes.size()});
    c.write({bytes.data(), bytes.size()});
    b.connection->write("!");
    CHECK(c.pendingBytes() == 5 + 10 + 7 + bytes.size());
    CHECK(a.plain.hear().empty());
    return bytes.size();
  };
  a.plain.say("body");
  CHECK(net.until([&] { return a.owner.calls == 1; }));
  CHECK(a.plain.hear() == "head formatted copied body");
  CHECK(b.plain.hear() == "body!");
  CHECK(a.connection->bytesWritten() == 26);
  CHECK(a.connection->pendingBytes() == 0);
}

TEST_CASE("writes outside of callbacks leave with flushNow() or the next callback") {
  Net net;
  Packets a(net);
  a.connection->writeCopy("now");
  a.connection->flushNow();
  CHECK(a.plain.hear() == "now");
  net.loop->post([&] { a.connection->write("from a task"); });
  net.turns(1);
  CHECK(a.plain.hear() == "from a task");
}

TEST_CASE("many slices, many connections, and much scratch memory in one callback") {
  Net net;
  std::vector<std::unique_ptr<Pair>> pairs;
  for (int i = 0; i < 40; i++) pairs.push_back(std::make_unique<Pair>(net));
  std::string expected;
  for (int i = 0; i < 300; i++) expected += std::to_string(i) + ";";
  std::string large = pattern(NetContext::kScratch + 5000);
  net.loop->post([&] {
    for (int i = 0; i < 300; i++) {
      for (auto& pair : pairs) pair->connection->writeCopy(std::to_string(i) + ";");
    }
    pairs[0]->connection->writeCopy(large);
  });
  net.turns(1);
  for (auto& pair : pairs) {
    bool first = pair == pairs[0];
    CHECK(pair->plain.hear(net, expected.size() + (first ? large.size() : 0)) ==
          expected + (first ? large : ""));
  }
}

TEST_CASE("a full socket: the rest waits, watermarks are told once for each crossing") {
  Net net;
  Pair pair(net);
  pair.connection->setWatermarks(1'000'000, 500'000);
  std::string much = pattern(kMoreThanFits + (1 << 20));
  std::string heard;
  for (int round = 1; round <= 2; round++) {
    for (size_t at = 0; at < much.size(); at += 1 << 20) {
      net.loop->post(
          [&, at] { pair.connection->write(std::string_view(much).substr(at, 1 << 20)); });
      net.turns(1);
    }
    CHECK(pair.owner.highs == round);
    CHECK(pair.owner.lows == round - 1);
    CHECK(pair.connection->pendingBytes() > 1'000'000);
    size_t atLow = 0;
    pair.owner.onLow = [&](Connection& c) { atLow = c.pendingBytes(); };
    heard.clear();
    CHECK(net.until([&] {
      heard += pair.plain.hear();
      return heard.size() == much.size();
    }));
    net.turns();
    CHECK(heard == much);
    CHECK(pair.owner.lows == round);
    CHECK(atLow <= 500'000);
    CHECK(pair.owner.drains >= round);
    CHECK(pair.connection->pendingBytes() == 0);
  }
  CHECK(pair.owner.highs == 2);
}

TEST_CASE("an echo of megabytes through the receive buffer arrives unchanged") {
  Net net;
  Pair pair(net);
  pair.connection->setWatermarks(300'000, 100'000);
  pair.owner.onBytes = [](Connection& c, std::span<char> bytes) {
    // In pieces, as a codec does.
    for (size_t at = 0; at < bytes.size(); at += 7000) {
      c.write({bytes.data() + at, std::min<size_t>(7000, bytes.size() - at)});
    }
    return bytes.size();
  };
  pair.owner.onHigh = [](Connection& c) { c.pause(); };
  pair.owner.onLow = [](Connection& c) { c.resume(); };
  std::string much = pattern(20 << 20, 7);
  std::string heard;
  size_t sent = 0;
  std::mt19937 random(3);
  CHECK(net.until(
      [&] {
        sent += pair.plain.say(std::string_view(much).substr(sent, 1 + random() % 500'000));
        if (random() % 3 == 0) heard += pair.plain.hear(1 + random() % 500'000);
        CHECK(pair.connection->pendingBytes() < 1'000'000);
        return heard.size() == much.size();
      },
      120'000));
  CHECK(heard == much);
  CHECK(pair.connection->bytesRead() == much.size());
  CHECK(pair.connection->bytesWritten() == much.size());
}

TEST_CASE("closeAfterFlush: everything is written, then the peer's end is waited for") {
  Net net;
  Pair pair(net);
  std::string much = pattern(kMoreThanFits);
  net.loop->post([&] {
    pair.connection->write(much);
    pair.connection->closeAfterFlush(120'000);
    pair.connection->write("dropped");
  });
  net.turns();
  CHECK(pair.owner.closes == 0);
  std::string heard = pair.plain.hear(net, much.size());
  CHECK(heard == much);
  CHECK(net.until([&] {
    pair.plain.hear();
    return pair.plain.ended;
  }));
  CHECK(pair.owner.closes == 0);
  pair.plain.say("ignored");  // would cause a reset on a closed socket
  net.turns();
  CHECK(pair.owner.calls == 0);
  pair.plain.close();
  CHECK(net.until([&] { return pair.owner.closes == 1; }));
  CHECK(pair.owner.reason == CloseReason::kLocal);
  CHECK(pair.owner.ends == 0);
}

TEST_CASE("closeAfterFlush gives up after its delay, and does not wait when told so") {
  Net net;
  for (uint32_t delay : {40u, 0u}) {
    Pair pair(net);
    uint64_t start = monotonicNs();
    net.loop->post([&] {
      pair.connection->write("bye");
      pair.connection->closeAfterFlush(delay);
      CHECK(!pair.connection->closed());
    });
    CHECK(net.until([&] { return pair.owner.closes == 1; }));
    CHECK(monotonicNs() - start >= delay * kNsPerMs);
    CHECK(pair.owner.reason == CloseReason::kLocal);
    CHECK(pair.plain.hear(net, 3) == "bye");
  }
  // A peer that reads nothing does not hold the connection for ever.
  Pair pair(net);
  std::string much = pattern(kMoreThanFits);
  net.loop->post([&] {
    pair.connection->write(much);
    pair.connection->closeAfterFlush(50, 100);
  });
  CHECK(net.until([&] { return pair.owner.closes == 1; }));
}

TEST_CASE("closeAfterFlush: the delay is for the peer's end, and not for what it has yet to take") {
  Net net;
  Pair pair(net);
  int small = 4096;
  setsockopt(pair.connection->fd(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  std::string text = pattern(6 << 20);
  for (size_t at = 0; at < text.size(); at += 65536) {
    pair.connection->writeCopy(std::string_view(text).substr(at, 65536));
    pair.connection->flushNow();
  }
  CHECK(pair.connection->pendingBytes() > 0);
  pair.connection->closeAfterFlush(50);
  uint64_t until = monotonicNs() + 300 * kNsPerMs;
  while (monotonicNs() < until) net.loop->runOnce(5);  // it stalls
  CHECK(pair.owner.closes == 0);
  std::string heard;
  CHECK(net.until(
      [&] {
        heard += pair.plain.hear();
        return pair.plain.ended;
      },
      20'000));
  CHECK(heard.size() == text.size());
  CHECK(net.until([&] { return pair.owner.closes == 1; }));  // 50 ms later
}

TEST_CASE("closeAfterFlush: a slow reader of what the system holds is waited for while it reads") {
  Net net;
  Pair pair(net);
  holdMuch(pair.connection->fd(), pair.plain.get());
  std::string text = pattern(380'000);
  pair.connection->writeCopy(text);
  pair.connection->flushNow();
  // Twice as long as nothing may move; what was read shows here in steps, as the window opens.
  pair.connection->closeAfterFlush(1500, 1500);
  for (int i = 0; i < 25; i++) {
    uint64_t until = monotonicNs() + 120 * kNsPerMs;
    while (monotonicNs() < until) net.loop->runOnce(2);
    pair.plain.hear(12'000);
    CHECK(pair.owner.closes == 0);
  }
  CHECK(net.until([&] { return pair.owner.closes == 1; }));  // it reads no more
}

TEST_CASE("the gauges of buffered bytes go with the connection to other cells") {
  Net net;
  Pair pair(net);
  StatCell one[2], two[2];
  pair.connection->setBufferedGauges(one);
  int small = 4096;
  setsockopt(pair.connection->fd(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  pair.owner.onBytes = [](Connection&, std::span<char>) { return size_t(0); };
  pair.plain.say("unread");
  CHECK(net.until([&] { return one[0].value() == 6; }));
  std::string text = pattern(6 << 20);
  pair.connection->write(text);
  pair.connection->flushNow();
  const uint64_t pending = pair.connection->pendingBytes();
  CHECK(pending > 0);
  CHECK(one[1].value() == pending);
  CHECK(net.ctx->bytesHeld() >= pending);
  pair.connection->setBufferedGauges(two);
  CHECK(one[0].value() == 0);
  CHECK(one[1].value() == 0);
  CHECK(two[0].value() == 6);
  CHECK(two[1].value() == pending);
  pair.connection->close();
  CHECK(two[0].value() == 0);
  CHECK(two[1].value() == 0);
  net.turns();
  CHECK(net.ctx->bytesHeld() == 0);
}

TEST_CASE("closeAfterFlush on a connection with unread bytes still delivers the last ones") {
  Net net;
  Pair pair(net);
  pair.owner.onBytes = [](Connection& c, std::span<char> bytes) {
    c.pause();
    c.write("413");
    c.closeAfterFlush(60'000);
    return bytes.size() / 2;
  };
  std::string body = pattern(3 << 20);
  size_t sent = 0;
  CHECK(net.until([&] {
    sent += pair.plain.say(std::string_view(body).substr(sent));
    return sent == body.size();
  }));
  CHECK(pair.plain.hear(net, 3) == "413");
  pair.plain.end();
  CHECK(net.until([&] { return pair.owner.closes == 1; }));
  CHECK(pair.owner.calls == 1);
}

TEST_CASE("a peer that resets while bytes wait to be written: told once, and released from above") {
  Net net;
  Pair pair(net);
  pair.connection->setWatermarks(100'000, 50'000);
  std::string much = pattern(kMoreThanFits);
  net.loop->post([&] { pair.connection->write(much); });
  net.turns();
  CHECK(pair.owner.highs == 1);
  pair.plain.reset();
  CHECK(net.until([&] { return pair.owner.closes > 0; }));
  net.turns();
  CHECK(pair.owner.closes == 1);
  CHECK(pair.owner.reason == CloseReason::kRemoteReset);
}

TEST_CASE("a callback of the flush may free what other connections still have to send") {
  Net net;
  Packets a(net);
  Pair big(net);
  auto text = std::make_unique<std::string>(pattern(kMoreThanFits));
  auto small = std::make_unique<std::string>("must arrive whole");
  big.connection->setWatermarks(1000, 500);
  big.owner.onHigh = [&](Connection& c) {
    small->assign(small->size(), '?');
    small.reset();
    c.close();
    a.connection->writeCopy("written by a callback");
  };
  net.loop->post([&] {
    big.connection->write(*text);
    a.connection->write(*small);
  });
  net.turns(1);
  CHECK(small == nullptr);
  CHECK(a.plain.hear() == "must arrive whole");
  CHECK(a.plain.hear() == "written by a callback");
}

TEST_CASE("raw mode: readiness goes to the owner, who moves the bytes") {
  Net net;
  Pair pair(net);
  pair.connection->setRaw(true);
  std::string got;
  pair.owner.onRaw = [&](Connection& c, uint32_t) {
    if ((c.ready() & kReadable) == 0) return;
    char buffer[100];
    ssize_t n = recv(c.fd(), buffer, sizeof buffer, 0);
    if (n > 0) {
      got.append(buffer, size_t(n));
      c.countRead(size_t(n));
    } else if (n == 0) {
      c.rawReadEnd();
    } else if (errno == EAGAIN) {
      c.clearReady(kReadable);
    } else {
      c.rawFailed(errno);
    }
    if (!c.closed() && !c.readEnded() && (c.ready() & kReadable) != 0)
      c.context().loop().again(&c, kReadable);
  };
  pair.plain.say("raw bytes");
  CHECK(net.until([&] { return got == "raw bytes"; }));
  CHECK(pair.owner.calls == 0);
  CHECK(pair.connection->bytesRead() == 9);
  pair.connection->setRaw(false);
  pair.plain.say("cooked");
  CHECK(net.until([&] { return pair.owner.data == "cooked"; }));
  pair.connection->setRaw(true);
  pair.plain.say("x");
  CHECK(net.until([&] { return got == "raw bytesx"; }));
  pair.plain.reset();
  CHECK(net.until([&] { return pair.owner.closes == 1; }));
  CHECK(got == "raw bytesx");
  CHECK(pair.owner.reason == CloseReason::kRemoteReset);
}
