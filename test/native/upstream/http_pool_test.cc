// HttpPool, turn by turn: the peers are sockets of the same thread, so that what a peer does
// between a response and the next poll is no matter of time.
#include "upstream/http_pool.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <utility>
#include <vector>

#include "net/net_context.h"
#include "net/socket.h"
#include "upstream/cluster_stats.h"
#include "upstream/upstream_worker.h"

using namespace millrace;

namespace {

constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

// One worker's side of one cluster, and the host of it.
class World {
 public:
  explicit World(uint32_t maxConnections = 1024)
      : sockets_(std::move(*listenOn(*Address::ip("127.0.0.1", 0), {.reusePort = false}, 1))) {
    spec_.name = "web";
    spec_.breakers.normal.maxConnections = maxConnections;
    spec::Address at;
    at.ip = "127.0.0.1";
    at.port = sockets_.local.port();
    spec_.hosts.push_back({.id = 1, .address = at});
    reader_->observe(
        [](void* self, SlotId slot, const Snapshot*, const Snapshot*) {
          static_cast<World*>(self)->upstream_.onSlotChanged(slot);
        },
        this);
    publish();
  }
  ~World() {
    upstream_.closeAll();
    loop_->runDeferred();
    table_.detach(reader_);
    stats_.removeShard(shard_);
  }
  void publish() {
    table_.publish(slot_, std::move(*registry_.build(slot_, spec_)));
    table_.commit();
    reader_->quiesce();
  }
  spec::Cluster& spec() { return spec_; }
  ClusterLocal& cluster() { return *upstream_.cluster(slot_); }
  HttpPool& pool() {
    return *cluster().pool(*cluster().snapshot().hosts()[0].host, Priority::kDefault);
  }
  Loop& loop() { return *loop_; }
  NetContext& net() { return net_; }
  uint64_t stat(cluster_stat::ClusterStat which) { return cluster().stats()[which].value(); }
  // Turns the loop until `done`; false when that does not come.
  bool turn(const std::function<bool()>& done) {
    for (int i = 0; i < 3000; i++) {
      if (done()) return true;
      loop_->runOnce(1);
    }
    return false;
  }
  // The peer's side of the next connection.
  Fd accept() {
    pollfd readable{sockets_.fds[0].get(), POLLIN, 0};
    if (::poll(&readable, 1, 5000) <= 0) return Fd();
    return Fd(::accept(sockets_.fds[0].get(), nullptr, nullptr));
  }
  bool nobodyConnects() {
    pollfd readable{sockets_.fds[0].get(), POLLIN, 0};
    return ::poll(&readable, 1, 0) == 0;
  }

 private:
  ListenSockets sockets_;
  StatsRegistry stats_;
  SlotTable table_;
  StatsShard* shard_ = stats_.addShard();
  Reader* reader_ = table_.attach(nullptr, nullptr);
  SlotId slot_ = *table_.allocate("web");
  std::unique_ptr<Loop> loop_ = std::move(*Loop::create());
  NetContext net_{*loop_};
  ClusterRegistry registry_{stats_, 1};
  UpstreamWorker upstream_{net_, *reader_, *shard_, 0, 1};
  spec::Cluster spec_;
};

// A request: waits for a connection, and does as told when its response has ended.
class Asker final : public PoolWaiter, public ResponseSink {
 public:
  explicit Asker(World& world) : world_(world), arena_(world.net().chunks()) {}
  ~Asker() {
    if (connection != nullptr && status == 0 && !reset) connection->cancel();
  }
  void ask(bool fresh = false) {
    HttpPool::Acquired got = world_.pool().acquire(*this, Priority::kDefault, fresh);
    failure = got.failure;
    if (got.connection != nullptr) onPoolReady(*got.connection);
  }
  void onPoolReady(UpstreamConnection& c) override {
    connection = &c;
    nth = c.requests() + 1;
    RequestHead head(arena_);
    head.method = Method::kGet;
    head.methodText = "GET";
    head.path = "/";
    head.authority = "a";
    c.start(*this, response_).encodeHeaders(head, true);
  }
  void onPoolFailure(PoolFailure reason, int) override { failure = reason; }
  void onInformational(ResponseHead&) override {}
  void onResponseHeaders(ResponseHead& head, bool end) override {
    status = head.status;
    if (end && whenOver) whenOver();
  }
  void onResponseData(std::string_view, bool) override {}
  void onResponseTrailers(HeaderList&) override {}
  void onResponseReset(ResetReason) override {
    reset = true;
    untouched = connection->untouched();
  }
  void onRequestWritable(bool) override {}

  UpstreamConnection* connection = nullptr;
  PoolFailure failure = PoolFailure::kNone;
  uint32_t nth = 0;  // of its connection's requests, from 1
  int status = 0;
  bool reset = false, untouched = false;
  std::function<void()> whenOver;

 private:
  World& world_;
  Arena arena_;
  ResponseHead response_{arena_};
};

void answer(const Fd& peer) {
  char buffer[1024];
  pollfd readable{peer.get(), POLLIN, 0};
  REQUIRE(::poll(&readable, 1, 5000) == 1);
  REQUIRE(::recv(peer.get(), buffer, sizeof buffer, 0) > 0);
  REQUIRE(::send(peer.get(), kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL) > 0);
}

// What a peer may do behind its response.
enum class Behind { kNothing, kEnd, kReset, kAnswer };

void act(Behind what, Fd& peer) {
  if (what == Behind::kEnd) ::shutdown(peer.get(), SHUT_WR);
  if (what == Behind::kAnswer) ::send(peer.get(), kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL);
  if (what == Behind::kReset) {
    setResetOnClose(peer.get());
    peer.reset();
  }
}

}  // namespace

TEST_CASE("a connection goes to the next request only after another poll, if it was silent") {
  for (Behind behind : {Behind::kNothing, Behind::kEnd, Behind::kReset, Behind::kAnswer}) {
    for (bool waited : {false, true}) {
      CAPTURE(int(behind));
      CAPTURE(waited);
      World world(1);
      Asker first(world), second(world);
      first.ask();
      REQUIRE(world.turn([&] { return first.connection != nullptr; }));
      Fd peer = world.accept();
      if (waited) second.ask();
      answer(peer);
      first.whenOver = [&] {
        act(behind, peer);
        if (!waited) second.ask();
      };
      REQUIRE(world.turn([&] { return first.status == 200; }));
      CHECK(second.connection == nullptr);
      REQUIRE(world.turn([&] { return second.connection != nullptr; }));
      CHECK(second.nth == (behind == Behind::kNothing ? 2 : 1));
      Fd next = behind == Behind::kNothing ? std::move(peer) : world.accept();
      answer(next);
      CHECK(world.turn([&] { return second.status == 200; }));
      CHECK(!second.reset);
      CHECK(world.stat(cluster_stat::kCxProtocolError) == (behind == Behind::kAnswer ? 1 : 0));
      CHECK(world.stat(cluster_stat::kRqPendingActive) == 0);
    }
  }
}

TEST_CASE("what the poll found counts, though others had their turn first") {
  // Asks when its descriptor is ready, which is so before the connection has anything to say.
  struct Early final : IoHandle {
    std::function<void()> ask;
    void onReady(uint32_t) override {
      if (ask) std::exchange(ask, nullptr)();
    }
  };
  for (Behind behind : {Behind::kEnd, Behind::kReset, Behind::kAnswer}) {
    CAPTURE(int(behind));
    World world;
    Asker first(world), second(world);
    first.ask();
    REQUIRE(world.turn([&] { return first.connection != nullptr; }));
    Fd peer = world.accept();
    answer(peer);
    REQUIRE(world.turn([&] { return first.status == 200; }));
    world.loop().runOnce(0);
    int pipe[2];
    REQUIRE(::pipe(pipe) == 0);
    Early early;
    REQUIRE(world.loop().add(&early, pipe[0]).ok());
    world.loop().runOnce(0);
    early.ask = [&] { second.ask(); };
    REQUIRE(::write(pipe[1], "x", 1) == 1);
    act(behind, peer);
    REQUIRE(world.turn([&] { return second.connection != nullptr; }));
    CHECK(second.nth == 1);
    world.loop().remove(&early);
    ::close(pipe[0]);
    ::close(pipe[1]);
  }
}

TEST_CASE("who asks for a new connection gets one, whatever becomes free") {
  World world(1);
  Asker first(world), fresh(world), last(world);
  first.ask();
  REQUIRE(world.turn([&] { return first.connection != nullptr; }));
  Fd peer = world.accept();
  last.ask();
  fresh.ask(true);
  answer(peer);
  REQUIRE(world.turn([&] { return fresh.connection != nullptr; }));
  CHECK(fresh.nth == 1);
  Fd second = world.accept();
  answer(second);
  REQUIRE(world.turn([&] { return last.status == 0 && last.connection != nullptr; }));
  CHECK(last.nth == 2);
  // One that is idle makes room as well.
  answer(second);
  REQUIRE(world.turn([&] { return last.status == 200; }));
  Asker another(world);
  another.ask(true);
  REQUIRE(world.turn([&] { return another.connection != nullptr; }));
  CHECK(another.nth == 1);
}

TEST_CASE("what rests is not pending, and costs no new connection") {
  World world;
  world.spec().breakers.normal.maxPendingRequests = 2;
  world.publish();
  Asker a(world), b(world), c(world), d(world);
  a.ask();
  b.ask();
  REQUIRE(world.turn([&] { return a.connection != nullptr && b.connection != nullptr; }));
  Fd one = world.accept(), two = world.accept();
  world.spec().breakers.normal.maxPendingRequests = 0;
  world.publish();
  // Later in the same turn: in its last event an exchange is not quite over yet.
  a.whenOver = [&] { world.loop().post([&] { c.ask(); }); };
  b.whenOver = [&] { world.loop().post([&] { d.ask(); }); };
  answer(one);
  answer(two);
  REQUIRE(world.turn([&] { return c.connection != nullptr && d.connection != nullptr; }));
  CHECK(c.nth == 2);
  CHECK(d.nth == 2);
  CHECK(world.nobodyConnects());
  CHECK(world.stat(cluster_stat::kRqPendingOverflow) == 0);
}

TEST_CASE("an end in the middle of an exchange is counted, by whose it is") {
  World world;
  Asker remote(world), local(world), over(world);
  for (Asker* asker : {&remote, &local, &over}) asker->ask();
  REQUIRE(world.turn([&] { return over.connection != nullptr; }));
  Fd peers[] = {world.accept(), world.accept(), world.accept()};
  ::shutdown(peers[0].get(), SHUT_WR);
  REQUIRE(world.turn([&] { return remote.reset; }));
  CHECK(world.stat(cluster_stat::kCxDestroyRemoteWithActiveRq) == 1);
  std::exchange(local.connection, nullptr)->cancel();
  CHECK(world.stat(cluster_stat::kCxDestroyLocalWithActiveRq) == 1);
  answer(peers[2]);
  ::shutdown(peers[2].get(), SHUT_WR);
  REQUIRE(world.turn([&] { return world.stat(cluster_stat::kCxActive) == 0; }));
  CHECK(over.status == 200);
  CHECK(world.stat(cluster_stat::kCxDestroyWithActiveRq) == 2);
}

TEST_CASE("what the end of a connection came before was never looked at") {
  enum class Peer { kEnds, kResets, kSpeaks, kEndsAtOnce, kEndsHavingRead, kAnswers };
  for (Peer what : {Peer::kEnds, Peer::kResets, Peer::kSpeaks, Peer::kEndsAtOnce,
                    Peer::kEndsHavingRead, Peer::kAnswers}) {
    CAPTURE(int(what));
    World world;
    Asker first(world), second(world);
    first.ask();
    REQUIRE(world.turn([&] { return first.connection != nullptr; }));
    Fd peer = world.accept();
    answer(peer);
    REQUIRE(world.turn([&] { return first.status == 200; }));
    world.loop().runOnce(0);
    world.loop().post([&] {
      second.ask();  // what it sends leaves after this
      if (what == Peer::kEnds) peer.reset();
      if (what == Peer::kResets) act(Behind::kReset, peer);
      if (what == Peer::kSpeaks) act(Behind::kAnswer, peer);
    });
    REQUIRE(world.turn([&] { return second.connection != nullptr; }));
    CHECK(second.nth == 2);
    if (what == Peer::kEndsAtOnce) peer.reset();  // with the request unread: a reset
    if (what == Peer::kAnswers) answer(peer);
    if (what == Peer::kEndsHavingRead) {
      char buffer[1024];
      CHECK(::recv(peer.get(), buffer, sizeof buffer, 0) > 0);
      peer.reset();
    }
    REQUIRE(world.turn([&] { return second.reset || second.status != 0; }));
    CHECK(second.reset == (what != Peer::kAnswers));
    CHECK(second.untouched ==
          (what == Peer::kEnds || what == Peer::kResets || what == Peer::kSpeaks));
    CHECK(world.stat(cluster_stat::kCxProtocolError) == (what == Peer::kSpeaks ? 1 : 0));
    const uint64_t cut = world.stat(cluster_stat::kCxDestroyWithActiveRq);
    CHECK(cut == (what == Peer::kAnswers ? 0 : 1));
    const bool byUs = what == Peer::kSpeaks;
    CHECK(world.stat(cluster_stat::kCxDestroyLocalWithActiveRq) == (byUs ? 1 : 0));
    CHECK(world.stat(cluster_stat::kCxDestroyRemoteWithActiveRq) == (byUs ? 0 : cut));
  }
}

TEST_CASE("a poll that could not tell of everything lets no connection rest") {
  for (Behind behind : {Behind::kEnd, Behind::kAnswer}) {
    World world;
    Asker first(world), second(world);
    first.ask();
    REQUIRE(world.turn([&] { return first.connection != nullptr; }));
    Fd peer = world.accept();
    answer(peer);
    REQUIRE(world.turn([&] { return first.status == 200; }));
    struct Busy final : IoHandle {
      void onReady(uint32_t) override {}
    };
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    std::vector<Fd> fds;
    std::vector<Busy> busy(2 * Loop::kEventsPerPoll);
    for (Busy& handle : busy) {  // each is writable, and so ready before the peer does anything
      fds.emplace_back(::dup(pair[0]));
      REQUIRE(world.loop().add(&handle, fds.back().get()).ok());
    }
    act(behind, peer);
    world.loop().post([&] { second.ask(); });
    world.loop().runOnce(0);
    REQUIRE(!world.loop().toldAll());
    REQUIRE(world.turn([&] { return second.connection != nullptr; }));
    CHECK(second.nth == 1);
    CHECK(world.loop().toldAll());
    for (Busy& handle : busy) world.loop().remove(&handle);
    ::close(pair[0]);
    ::close(pair[1]);
  }
}

TEST_CASE("idle connections take the idle timeout that the cluster has now") {
  World world;
  auto idle = [&](uint64_t before, uint64_t after) {
    world.spec().idleTimeout = before;
    world.publish();
    Asker asker(world);
    asker.ask();
    REQUIRE(world.turn([&] { return asker.connection != nullptr; }));
    Fd peer = world.accept();
    answer(peer);
    REQUIRE(world.turn([&] { return asker.status == 200; }));
    world.spec().idleTimeout = after;
    world.publish();
    return peer;
  };
  {
    Fd peer = idle(60'000, 20);
    CHECK(world.turn([&] { return world.stat(cluster_stat::kCxIdleTimeout) == 1; }));
    CHECK(world.stat(cluster_stat::kCxActive) == 0);
  }
  for (uint64_t longer : {0, 60'000}) {
    Fd peer = idle(200, longer);
    const uint64_t end = monotonicNs() + 400 * kNsPerMs;
    world.turn([&] { return monotonicNs() > end; });
    CHECK(world.stat(cluster_stat::kCxIdleTimeout) == 1);
    CHECK(world.stat(cluster_stat::kCxActive) == 1);
    act(Behind::kEnd, peer);
    CHECK(world.turn([&] { return world.stat(cluster_stat::kCxActive) == 0; }));
  }
}
