#include "net/relay.h"

#include <fcntl.h>

#include <random>

#include "net/support.h"

using namespace millrace;
using namespace millrace::test;

namespace {

// A relay between two connections, and a plain socket at either far end.
struct Between final : RelayOwner {
  explicit Between(Net& n, uint64_t idleMs = 0) : net(n), relay(pipes, *this) {
    int a, b;
    tcpPair(a, left);
    tcpPair(b, right);
    first = Connection::accepted(*net.ctx, a, peerAddress(a), &unused);
    second = Connection::accepted(*net.ctx, b, peerAddress(b), &unused);
    relay.start(*first, *second, idleMs);
    net.turns(2);
  }
  ~Between() {
    if (relay.active()) relay.close();
    net.turns(1);
  }
  void onRelayClosing(Connection& c, CloseReason) override {
    if (&c == first) readFromFirst = c.bytesRead();
  }
  void onRelayOver(const RelayEnd& how) override {
    overs++;
    end = how;
  }
  // Pushes `text` through, from one side to the other, at once or reading in pieces.
  std::string through(Plain& from, Plain& to, const std::string& text, size_t piece = 1 << 20) {
    std::string heard;
    size_t sent = 0;
    net.until([&] {
      sent += from.say(std::string_view(text).substr(sent));
      heard += to.hear(piece);
      return heard.size() >= text.size() || to.ended;
    });
    return heard;
  }

  Net& net;
  Owner unused;
  SplicePipes pipes;
  Plain left, right;
  Relay relay;
  Connection* first;
  Connection* second;
  uint64_t readFromFirst = 0;
  int overs = 0;
  RelayEnd end;
};

int openDescriptors() {
  int count = 0;
  for (int fd = 0; fd < 1024; fd++) count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

}  // namespace

TEST_CASE("small exchanges and large transfers go through, both ways, unchanged") {
  Net net;
  Between b(net);
  CHECK(b.through(b.left, b.right, "ping") == "ping");
  CHECK(b.through(b.right, b.left, "pong") == "pong");
  CHECK(!b.first->raw());
  std::string large = pattern(9 << 20, 5);
  CHECK(b.through(b.left, b.right, large) == large);
  CHECK(b.through(b.right, b.left, large) == large);
  CHECK(b.through(b.left, b.right, large, 200'000) == large);
  for (int i = 0; i < 3; i++) CHECK(b.through(b.left, b.right, "again") == "again");
  CHECK(!b.first->raw());  // back to copying
  CHECK(b.first->bytesRead() == 2 * large.size() + 4 + 15);
  CHECK(b.second->bytesRead() == large.size() + 4);
  CHECK(b.second->bytesWritten() == b.first->bytesRead());
  CHECK(b.first->bytesWritten() == b.second->bytesRead());
}

TEST_CASE("both directions at the same time, in pieces of all sizes") {
  Net net;
  Between b(net);
  std::mt19937 random(11);
  std::string there = pattern(6 << 20, 1), back = pattern(5 << 20, 2);
  std::string heardThere, heardBack;
  size_t sentThere = 0, sentBack = 0;
  CHECK(net.until(
      [&] {
        auto size = [&] { return size_t(1) << (random() % 20); };
        sentThere += b.left.say(std::string_view(there).substr(sentThere, size()));
        sentBack += b.right.say(std::string_view(back).substr(sentBack, size()));
        if (random() % 2) heardThere += b.right.hear(size());
        if (random() % 2) heardBack += b.left.hear(size());
        return heardThere.size() == there.size() && heardBack.size() == back.size();
      },
      120'000));
  CHECK(heardThere == there);
  CHECK(heardBack == back);
}

TEST_CASE("a slow reader holds the writer back") {
  Net net;
  Between b(net);
  std::string much = pattern(4 * kMoreThanFits);
  size_t sent = 0;
  net.until(
      [&] {
        sent += b.left.say(std::string_view(much).substr(sent));
        return false;
      },
      300);
  CHECK(sent < much.size());
  CHECK(b.second->pendingBytes() < 2'000'000);
  std::string heard;
  CHECK(net.until([&] {
    sent += b.left.say(std::string_view(much).substr(sent));
    heard += b.right.hear();
    return heard.size() == much.size();
  }));
  CHECK(heard == much);
}

TEST_CASE("each side's end is passed on, after all its bytes; when both have ended it is over") {
  for (size_t size : {size_t(5), size_t(3 << 20)}) {
    Net net;
    Between b(net);
    std::string text = pattern(size);
    std::string heard;
    size_t sent = 0;
    CHECK(net.until([&] {
      if (sent < text.size()) {
        sent += b.left.say(std::string_view(text).substr(sent));
        if (sent == text.size()) b.left.end();
      }
      heard += b.right.hear();
      return b.right.ended;
    }));
    CHECK(heard == text);
    CHECK(b.overs == 0);
    // The other direction goes on.
    CHECK(b.through(b.right, b.left, text) == text);
    b.right.close();
    CHECK(net.until([&] { return b.overs == 1; }));
    CHECK(b.end.reason == CloseReason::kRemoteEnd);
    b.left.awaitEnd(net);
    CHECK(b.left.ended);
    CHECK(!b.relay.active());
  }
}

TEST_CASE("a reset is passed on as a reset") {
  for (bool first : {true, false}) {
    Net net;
    Between b(net);
    CHECK(b.through(b.left, b.right, "x") == "x");
    (first ? b.left : b.right).reset();
    CHECK(net.until([&] { return b.overs == 1; }));
    CHECK(b.end.side == (first ? RelayEnd::Side::kFirst : RelayEnd::Side::kSecond));
    CHECK(b.end.reason == CloseReason::kRemoteReset);
    Plain& other = first ? b.right : b.left;
    other.awaitEnd(net);
    CHECK(other.error == ECONNRESET);
  }
}

TEST_CASE("bytes that came before a reset reach the other side") {
  for (size_t size : {size_t(100), size_t(2 << 20), size_t(5 << 20)}) {
    Net net;
    Between b(net);
    std::string text = pattern(size);
    size_t sent = 0;
    // The reader waits until everything is in sockets, pipe and memory, as far as it goes.
    net.until(
        [&] {
          sent += b.left.say(std::string_view(text).substr(sent));
          return sent == text.size();
        },
        100);
    if (size == 100) CHECK(net.until([&] { return b.first->bytesRead() == size; }));
    b.left.reset();
    net.turns(3);
    std::string heard;
    CHECK(net.until([&] {
      heard += b.right.hear();
      return b.right.ended || (b.right.error != 0 && b.right.error != EAGAIN);
    }));
    // A reset destroys what was still in the sender's own socket; what we had received must not be
    // lost.
    CHECK(heard.size() == b.readFromFirst);
    CHECK(heard == text.substr(0, heard.size()));
    if (size == 100) CHECK(heard == text);
    CHECK(b.right.error == ECONNRESET);  // and not an end, which would say that this was all
    CHECK(net.until([&] { return b.overs == 1; }));
  }
}

TEST_CASE("a relay that is closed ends in order only where everything was passed on") {
  for (size_t size : {size_t(100), size_t(100'000), kMoreThanFits}) {
    CAPTURE(size);
    Net net;
    Between b(net);
    const bool all = size < kMoreThanFits;
    if (all) {
      CHECK(b.through(b.left, b.right, pattern(size)).size() == size);
    } else {
      const std::string text = pattern(size);
      size_t sent = 0;
      net.until([&] { return (sent += b.left.say(std::string_view(text).substr(sent))) == size; },
                300);
      CHECK(sent < size);
    }
    b.relay.close();
    b.right.awaitEnd(net);
    CHECK(b.right.error == (all ? 0 : ECONNRESET));
    b.left.awaitEnd(net);
  }
}

TEST_CASE("an idle relay is closed, a used one is not") {
  constexpr uint64_t kIdleMs = 200;
  Net net;
  std::unique_ptr<Between> relay;
  // A machine that stands still for so long makes any relay an idle one: then it is done again.
  for (uint64_t longest = kIdleMs; longest >= kIdleMs / 2;) {
    relay = std::make_unique<Between>(net, kIdleMs);
    longest = 0;
    uint64_t start = monotonicNs(), last = start;
    while (relay->overs == 0 && monotonicNs() - start < 2 * kIdleMs * kNsPerMs) {
      relay->through(relay->left, relay->right, "x");
      usleep(15'000);
      longest = std::max(longest, (monotonicNs() - last) / kNsPerMs);
      last = monotonicNs();
    }
    if (longest < kIdleMs / 2) CHECK(relay->overs == 0);
  }
  Between& b = *relay;
  CHECK(net.until([&] { return b.overs == 1; }));
  CHECK(b.end.side == RelayEnd::Side::kIdle);
  b.left.awaitEnd(net);
  b.right.awaitEnd(net);
  CHECK(b.left.ended);
  CHECK(b.right.ended);
}

TEST_CASE("a slow reader of what the system holds for it is not idle") {
  Net net;
  Between b(net, 400);
  holdMuch(b.second->fd(), b.right.get());
  std::string text = pattern(380'000);
  size_t sent = 0;
  net.until([&] {
    sent += b.left.say(std::string_view(text).substr(sent));
    return sent == text.size();
  });
  net.turns();
  // A read now and then, for many times the timeout. Nothing else happens.
  size_t heard = 0;
  for (int i = 0; i < 25; i++) {
    uint64_t until = monotonicNs() + 60 * kNsPerMs;
    while (monotonicNs() < until) net.loop->runOnce(2);
    heard += b.right.hear(12'000).size();
    CHECK(b.overs == 0);
  }
  CHECK(heard < text.size());
  CHECK(net.until([&] { return b.overs == 1; }));  // it reads no more
  CHECK(b.end.side == RelayEnd::Side::kIdle);
}

TEST_CASE("close() ends both sides, in the middle of a transfer too; no descriptor is lost") {
  int before = openDescriptors();
  {
    Net net;
    std::string much = pattern(kMoreThanFits);
    for (int i = 0; i < 20; i++) {
      Between b(net);
      size_t sent = 0;
      net.until([&] {
        sent += b.left.say(std::string_view(much).substr(sent));
        b.right.hear(100'000);
        return sent > size_t(i) * 100'000 || sent == much.size();
      });
      if (i % 4 == 0) b.relay.close();
      if (i % 4 == 1) b.left.reset();
      if (i % 4 == 2) b.right.reset();
      if (i % 4 == 3) b.right.close();
      net.turns();
      if (i % 2 == 0) CHECK(b.overs == 1);  // else bytes are still on their way to the other side
    }
    CHECK(net.ctx->openConnections() == 0);
  }
  CHECK(openDescriptors() == before);
}
