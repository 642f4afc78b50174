// Connection: beginning, reading, and ending.
#include "net/connection.h"

#include <map>

#include "net/support.h"

using namespace millrace;
using namespace millrace::test;

static_assert(sizeof(Connection) <= 256, "an idle connection has to stay small");

TEST_CASE("bytes come as one call, and the end of stream after them") {
  Net net;
  Pair pair(net);
  pair.plain.say("hello");
  CHECK(net.until([&] { return pair.owner.data == "hello"; }));
  CHECK(pair.owner.calls == 1);
  CHECK(pair.connection->bytesRead() == 5);
  pair.plain.say("bye");
  pair.plain.end();
  CHECK(net.until([&] { return pair.owner.ends == 1; }));
  CHECK(pair.owner.data == "hellobye");
  CHECK(pair.connection->readEnded());
  CHECK(!pair.connection->closed());
  net.turns();
  CHECK(pair.owner.ends == 1);
  pair.connection->write("still writing");
  net.turns(1);
  net.loop->again(pair.connection, 0);  // gives the flush a turn
  net.turns(1);
  CHECK(pair.plain.hear(net, 13) == "still writing");
}

TEST_CASE("who is at the other end") {
  Net net;
  Pair pair(net);
  CHECK(pair.connection->peer() == localAddress(pair.plain.get()));
  CHECK(pair.connection->local() == peerAddress(pair.plain.get()));
  Pair other(net);
  CHECK(other.connection->id() != pair.connection->id());
  CHECK(net.ctx->openConnections() == 2);
}

TEST_CASE("unconsumed bytes come again in front of new ones, in one piece") {
  Net net;
  Pair pair(net);
  std::string text = pattern(9000);
  size_t needed = 0;
  pair.owner.onBytes = [&](Connection&, std::span<char> bytes) {
    return bytes.size() >= needed ? needed : size_t(0);
  };
  size_t sent = 0;
  for (size_t piece : {1, 10, 100, 3000, 5889}) {
    needed = sent + piece + (piece == 5889 ? 0 : 1);
    pair.plain.say(std::string_view(text).substr(sent, piece));
    sent += piece;
    CHECK(net.until([&] { return pair.owner.offered.size() == sent || needed <= sent; }));
    net.turns(2);
  }
  CHECK(pair.owner.data == text);
  needed = 3;
  pair.plain.say("abcde");
  CHECK(net.until([&] { return pair.owner.data.size() == 9003; }));
  pair.plain.say("f");
  CHECK(net.until([&] { return pair.owner.data.size() == 9006; }));
  CHECK(pair.owner.offered == "def");
}

TEST_CASE("an owner that consumes nothing is cut off at the limit") {
  Net net;
  Pair pair(net);
  pair.owner.onBytes = [](Connection&, std::span<char>) { return size_t(0); };
  std::string much = pattern(Connection::kMaxUnconsumed + 100'000);
  size_t sent = 0;
  CHECK(net.until([&] {
    if (sent < much.size()) sent += pair.plain.say(std::string_view(much).substr(sent));
    return pair.owner.closes == 1;
  }));
  CHECK(pair.owner.reason == CloseReason::kError);
  CHECK(pair.owner.error == ENOBUFS);
}

TEST_CASE("a paused connection reads nothing; what came meanwhile is read after resume()") {
  Net net;
  Pair pair(net);
  pair.connection->pause();
  pair.connection->pause();
  pair.plain.say("later");
  pair.plain.end();
  net.turns();
  CHECK(pair.owner.calls == 0);
  pair.connection->resume();
  net.turns();
  CHECK(pair.owner.calls == 0);
  pair.connection->resume();
  CHECK(pair.owner.calls == 0);  // not from inside the call
  CHECK(net.until([&] { return pair.owner.ends == 1; }));
  CHECK(pair.owner.data == "later");
}

TEST_CASE("pausing with bytes left over: they are offered again, without new ones") {
  Net net;
  Pair pair(net);
  pair.owner.onBytes = [](Connection& c, std::span<char>) {
    c.pause();
    return size_t(1);
  };
  pair.plain.say("abc");
  pair.plain.end();
  for (const char* so_far : {"a", "ab", "abc"}) {
    CHECK(net.until([&] { return pair.owner.data == so_far; }));
    net.turns();
    CHECK(pair.owner.data == so_far);
    CHECK(pair.owner.ends == 0);
    pair.connection->resume();
  }
  CHECK(net.until([&] { return pair.owner.ends == 1; }));
}

TEST_CASE("much left over, taken a little at a time, is not copied again and again") {
  Net net;
  Pair pair(net);
  std::string text = pattern(NetContext::kReceiveBuffer);
  fixSocketBuffers(pair.connection->fd(), 1 << 20);  // all of it fits
  size_t largest = 0;
  pair.owner.onBytes = [&](Connection& c, std::span<char> bytes) {
    if (!pair.owner.data.empty() && bytes.size() > largest) largest = bytes.size();
    c.pause();
    return std::min<size_t>(1000, bytes.size());
  };
  pair.connection->pause();
  size_t sent = 0;
  net.until([&] {
    sent += pair.plain.say(std::string_view(text).substr(sent));
    return sent == text.size();
  });
  awaitReadable(pair.connection->fd(), sent);
  CHECK(net.until([&] {
    if (pair.connection->paused()) pair.connection->resume();
    return pair.owner.data.size() == sent;
  }));
  CHECK(pair.owner.data == text);
  CHECK(largest <= Connection::kOfferWindow + 64 * 1024);

  // One that needs more than a window gets more.
  pair.owner.data.clear();
  size_t needed = 100'000;
  bool first = true;
  pair.owner.onBytes = [&](Connection& c, std::span<char> bytes) -> size_t {
    if (first) {
      first = false;
      c.pause();
      return 1;
    }
    return bytes.size() >= needed ? needed : 0;
  };
  pair.connection->pause();
  sent = pair.plain.say(std::string_view(text).substr(0, needed + 1));
  CHECK(sent == needed + 1);
  awaitReadable(pair.connection->fd(), sent);
  pair.connection->resume();
  if (pair.connection->paused()) pair.connection->resume();
  CHECK(net.until([&] {
    if (pair.connection->paused()) pair.connection->resume();
    return pair.owner.data.size() == needed + 1;
  }));
  CHECK(pair.owner.data == text.substr(0, needed + 1));
}

TEST_CASE(
    "an owner that had its share yields: the rest is offered later, after others had their turn") {
  Net net;
  Pair busy(net), other(net);
  int offers = 0, before = -1;
  busy.owner.onBytes = [&](Connection& c, std::span<char> bytes) -> size_t {
    offers++;
    if (bytes.size() <= 1000) return bytes.size();
    c.yield();
    return 1000;
  };
  other.owner.onBytes = [&](Connection&, std::span<char> bytes) {
    before = offers;
    return bytes.size();
  };
  // More than an owner that does not yield may leave.
  std::string much = pattern(Connection::kMaxUnconsumed + 10'000);
  size_t said = busy.plain.say(much);
  CHECK(net.until([&] {
    said += busy.plain.say(std::string_view(much).substr(said));
    return offers > 0 && said == much.size();
  }));
  other.plain.say("quick");
  CHECK(net.until([&] { return before >= 0; }));
  CHECK(before < 200);
  CHECK(net.until([&] { return busy.owner.data.size() == much.size(); }));
  CHECK(busy.owner.data == much);
  CHECK(busy.owner.closes == 0);
}

TEST_CASE("while reading is paused the owner hears that the peer has left") {
  Net net;
  for (bool reset : {false, true}) {
    Pair pair(net);
    int left = 0;
    pair.owner.onLeft = [&](Connection&) { left++; };
    pair.connection->pause();
    pair.plain.say("unread");
    net.turns();
    CHECK(left == 0);
    reset ? pair.plain.reset() : pair.plain.end();
    CHECK(net.until([&] { return left > 0; }));
    CHECK(pair.owner.calls == 0);
    CHECK(pair.owner.ends == 0);
    pair.connection->resume();
    CHECK(net.until([&] { return reset ? pair.owner.closes == 1 : pair.owner.ends == 1; }));
    CHECK(pair.owner.data == "unread");
  }
}

TEST_CASE("a new owner gets what the old one left") {
  Net net;
  Owner second;
  Pair pair(net);
  pair.owner.onBytes = [&](Connection& c, std::span<char>) {
    c.setOwner(&second);
    return size_t(3);
  };
  pair.plain.say("tls<http>");
  CHECK(net.until([&] { return second.data == "<http>"; }));
  CHECK(pair.owner.data == "tls");
  pair.plain.close();
  CHECK(net.until([&] { return second.ends == 1; }));
  pair.connection->close();
  CHECK(second.closes == 1);
  CHECK(pair.owner.closes == 0);
  pair.owner.closes = 1;  // nothing left to do for the fixture
}

TEST_CASE("both sides may end their stream first") {
  Net net;
  {
    Pair pair(net);
    pair.connection->write("last");
    pair.connection->shutdownWrite();
    pair.connection->write("not sent");
    net.loop->runOnce(0);
    net.loop->again(pair.connection, 0);
    net.turns();
    CHECK(pair.plain.hear(net, 4) == "last");
    pair.plain.awaitEnd(net);
    CHECK(pair.plain.ended);
    pair.plain.say("reply");
    CHECK(net.until([&] { return pair.owner.data == "reply"; }));
    CHECK(pair.owner.closes == 0);
    pair.plain.close();
    CHECK(net.until([&] { return pair.owner.closes == 1; }));
    CHECK(pair.owner.ends == 1);
    CHECK(pair.owner.reason == CloseReason::kRemoteEnd);
  }
  {
    Pair pair(net);
    pair.owner.onEnd = [](Connection& c) {
      c.write("answer");
      c.shutdownWrite();
      CHECK(!c.closed());
    };
    pair.plain.end();
    CHECK(net.until([&] { return pair.owner.closes == 1; }));
    CHECK(pair.owner.reason == CloseReason::kRemoteEnd);
    CHECK(pair.plain.hear(net, 6) == "answer");
    pair.plain.awaitEnd(net);
    CHECK(pair.plain.ended);
  }
}

TEST_CASE("close() is at once, and tells the owner once") {
  Net net;
  Pair pair(net);
  pair.connection->close();
  CHECK(pair.owner.closes == 1);
  CHECK(pair.owner.reason == CloseReason::kLocal);
  CHECK(pair.connection->closed());
  pair.connection->close();
  pair.connection->write("x");
  pair.connection->shutdownWrite();
  pair.connection->closeAfterFlush(10);
  pair.connection->abort();
  CHECK(pair.owner.closes == 1);
  CHECK(net.ctx->openConnections() == 0);
  net.turns();
  CHECK(pair.plain.hear(net, 1).empty());
  CHECK(pair.plain.ended);
}

TEST_CASE("abort() sends a reset") {
  Net net;
  Pair pair(net);
  pair.connection->abort();
  CHECK(pair.owner.closes == 1);
  pair.plain.awaitEnd(net);
  CHECK(pair.plain.error == ECONNRESET);
}

TEST_CASE("abortAfterFlush(): the peer gets everything, and then a reset") {
  for (size_t size : {size_t(0), size_t(4), size_t(1 << 20)}) {
    Net net;
    Pair pair(net);
    const std::string text = pattern(size);
    pair.connection->write(text);
    pair.connection->abortAfterFlush();
    net.ctx->flush();
    CHECK(pair.plain.hear(net, size + 1) == text);
    CHECK(pair.plain.error == ECONNRESET);
    CHECK(net.until([&] { return pair.owner.closes == 1; }));
    CHECK(pair.owner.reason == CloseReason::kLocal);
  }
}

TEST_CASE("abortAfterFlush() waits for a peer that takes nothing so long as it was told") {
  Net net;
  Pair pair(net);
  const std::string text = pattern(4 << 20);
  pair.connection->write(text);
  pair.connection->abortAfterFlush(50);
  CHECK(net.until([&] { return pair.owner.closes == 1; }));
  pair.plain.awaitEnd(net);
  CHECK(pair.plain.error == ECONNRESET);
}

TEST_CASE("what is closed with bytes to be written yet does not end in order") {
  Net net;
  Pair pair(net);
  const std::string text = pattern(4 << 20);
  pair.connection->write(text);
  net.turns();
  SUBCASE("at once") {
    pair.connection->close();
  }
  SUBCASE("because the peer takes nothing") {
    pair.connection->closeAfterFlush(0, 50);
    CHECK(net.until([&] { return pair.owner.closes == 1; }));
  }
  pair.plain.awaitEnd(net);
  CHECK(pair.plain.error == ECONNRESET);
}

TEST_CASE("a reset of the peer is told once, also while paused") {
  for (bool paused : {false, true}) {
    Net net;
    Pair pair(net);
    if (paused) pair.connection->pause();
    pair.plain.reset();
    CHECK(net.until([&] { return pair.owner.closes > 0; }));
    net.turns();
    CHECK(pair.owner.closes == 1);
    CHECK(pair.owner.reason == CloseReason::kRemoteReset);
    CHECK(pair.owner.error == ECONNRESET);
    CHECK(pair.owner.ends == 0);
  }
}

TEST_CASE("bytes that came before a reset are not lost") {
  for (bool paused : {false, true}) {
    Net net;
    Pair pair(net);
    if (paused) pair.connection->pause();
    pair.plain.say("the whole answer");
    awaitReadable(pair.connection->fd(), 16);
    pair.plain.reset();
    net.turns();
    if (paused) {
      CHECK(pair.owner.closes == 0);
      pair.connection->resume();
    }
    CHECK(net.until([&] { return pair.owner.closes == 1; }));
    CHECK(pair.owner.data == "the whole answer");
    CHECK(pair.owner.reason == CloseReason::kRemoteReset);
  }
}

TEST_CASE("a reset is not the end of a stream, though a write met it first") {
  for (bool ended : {false, true}) {
    CAPTURE(ended);
    Net net;
    Pair pair(net);
    pair.connection->pause();
    pair.plain.say("half");
    if (ended) pair.plain.end();
    awaitReadable(pair.connection->fd(), 4);
    pair.plain.reset();
    pair.connection->write("upload");  // takes the error from the socket
    pair.connection->flushNow();
    pair.connection->resume();
    CHECK(net.until([&] { return pair.owner.closes == 1; }));
    CHECK(pair.owner.data == "half");
    CHECK(pair.owner.ends == (ended ? 1 : 0));
    CHECK(pair.owner.reason == CloseReason::kRemoteReset);
  }
}

TEST_CASE("writing to a peer that is gone: onClosed once, from the loop, after what it had sent") {
  Net net;
  Pair pair(net);
  pair.connection->pause();
  pair.plain.say("early answer");
  awaitReadable(pair.connection->fd(), 12);
  pair.plain.reset();
  pair.connection->write("upload");
  pair.connection->flushNow();
  CHECK(pair.owner.closes == 0);
  net.turns();
  pair.connection->write("more");
  pair.connection->flushNow();
  net.turns();
  CHECK(pair.owner.closes == 0);
  pair.connection->resume();
  CHECK(net.until([&] { return pair.owner.closes > 0; }));
  net.turns();
  CHECK(pair.owner.closes == 1);
  CHECK(pair.owner.data == "early answer");
  CHECK(pair.owner.reason == CloseReason::kRemoteReset);
}

TEST_CASE("close() from inside any callback is safe") {
  using Hook = std::function<void(Connection&)> Owner::*;
  std::map<std::string, Hook> hooks = {{"end", &Owner::onEnd},
                                       {"up", &Owner::onUp},
                                       {"high", &Owner::onHigh},
                                       {"low", &Owner::onLow},
                                       {"empty", &Owner::onEmpty}};
  for (auto& [name, hook] : hooks) {
    Net net;
    Owner owner;
    ListenSockets sockets = listenHere();
    Connection* c = Connection::connect(*net.ctx, sockets.local, 60'000, &owner);
    REQUIRE(c != nullptr);
    fixSocketBuffers(c->fd());
    bool closed = false;
    owner.*hook = [&](Connection& connection) {
      connection.close();
      closed = true;
    };
    c->setWatermarks(100'000, 1000);
    std::string much = pattern(kMoreThanFits);
    if (name != "up") c->write(much);
    Plain server;
    CHECK(net.until([&] {
      Address peer;
      if (server.get() < 0) server = Plain(acceptOn(sockets.fds[0].get(), peer));
      if (server.get() >= 0 && name != "high") server.hear();
      if (server.get() >= 0 && name == "end") server.end();
      return closed;
    }));
    net.turns();
    CHECK_MESSAGE(owner.closes == 1, name);
    CHECK(owner.reason == CloseReason::kLocal);
  }
  Net net;
  Pair pair(net);
  pair.owner.onBytes = [](Connection& c, std::span<char> bytes) {
    c.write("x");
    c.close();
    return bytes.size();
  };
  pair.plain.say("x");
  CHECK(net.until([&] { return pair.owner.closes == 1; }));
}

TEST_CASE("connecting: up, refused, timed out, no such socket") {
  Net net;
  {
    Owner owner;
    ListenSockets sockets = std::move(*listenOn(loopback(), {}, 1));
    Connection* c = Connection::connect(*net.ctx, sockets.local, 60'000, &owner);
    CHECK(c->connecting());
    CHECK(owner.connects == 0);
    c->write("written before it was up");
    CHECK(net.until([&] { return owner.connects == 1; }));
    CHECK(!c->connecting());
    CHECK(c->peer() == sockets.local);
    Address peer;
    Plain server(acceptOn(sockets.fds[0].get(), peer));
    CHECK(server.hear(net, 24) == "written before it was up");
    c->close();
  }
  {
    Owner owner;
    Address nobody = listenOn(loopback(), {}, 1)->local;
    Connection* c = Connection::connect(*net.ctx, nobody, 60'000, &owner);
    CHECK(c != nullptr);
    CHECK(owner.closes == 0);
    CHECK(net.until([&] { return owner.closes == 1; }));
    CHECK(owner.reason == CloseReason::kConnectFailed);
    CHECK(owner.error == ECONNREFUSED);
    CHECK(owner.connects == 0);
  }
  {
    Owner owner;
    FullBacklog full;
    uint64_t start = monotonicNs();
    CHECK(Connection::connect(*net.ctx, full.sockets.local, 60, &owner) != nullptr);
    CHECK(net.until([&] { return owner.closes == 1; }));
    CHECK(owner.reason == CloseReason::kConnectTimeout);
    CHECK(owner.error == ETIMEDOUT);
    CHECK(monotonicNs() - start >= 60 * kNsPerMs);
  }
  {
    Owner owner;
    Connection* c = Connection::connect(*net.ctx, *Address::unixPath("/nowhere/x.sock"), 0, &owner);
    CHECK(c != nullptr);
    CHECK(owner.closes == 0);
    CHECK(net.until([&] { return owner.closes == 1; }));
    CHECK(owner.reason == CloseReason::kConnectFailed);
    CHECK(owner.error == ENOENT);
  }
}

TEST_CASE("unix sockets work the same way") {
  Net net;
  Owner owner, serverOwner;
  Address at = *Address::unixPath("@millrace-test-" + std::to_string(getpid()));
  ListenSockets sockets = std::move(*listenOn(at, {}, 1));
  Connection* c = Connection::connect(*net.ctx, at, 60'000, &owner);
  CHECK(net.until([&] { return owner.connects == 1; }));
  CHECK(c->peer() == at);
  Address peer;
  int fd = acceptOn(sockets.fds[0].get(), peer);
  Connection* server = Connection::accepted(*net.ctx, fd, peer, &serverOwner);
  serverOwner.onBytes = [](Connection& s, std::span<char> bytes) {
    s.write({bytes.data(), bytes.size()});
    return bytes.size();
  };
  c->write("echo");
  c->flushNow();
  CHECK(net.until([&] { return owner.data == "echo"; }));
  c->close();
  CHECK(net.until([&] { return serverOwner.ends == 1; }));
  server->close();
}

TEST_CASE("thousands of connections opened and reset leave nothing behind") {
  Net net;
  Owner owner;
  owner.onEnd = [](Connection& c) { c.close(); };
  ListenSockets sockets = std::move(*listenOn(loopback(), {}, 1));
  struct Sink final : AcceptSink {
    void onAccept(int fd, const Address& peer, const Address&) override {
      Connection::accepted(*ctx, fd, peer, owner);
    }
    NetContext* ctx;
    ConnectionOwner* owner;
  } sink;
  sink.ctx = net.ctx.get();
  sink.owner = &owner;
  Listener listener(*net.loop, std::move(sockets.fds[0]), sockets.local, sink);
  CHECK(listener.start().ok());
  int before = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  close(before);
  constexpr int kMany = 3000;
  for (int i = 0; i < kMany; i++) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(fd, sockets.local.sockaddrPtr(), sockets.local.size()) == 0);
    if (i % 3 != 0) send(fd, "GET", 3, MSG_NOSIGNAL);
    if (i % 2 != 0) setResetOnClose(fd);
    close(fd);
    if (i % 50 == 0) net.turns();
  }
  CHECK(net.until([&] { return owner.closes == kMany; }));
  CHECK(net.ctx->openConnections() == 0);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(fd <= before);
  close(fd);
}
