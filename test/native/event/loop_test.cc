// The suite that every poller runs.
#include "event/loop.h"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <thread>
#include <vector>

using namespace millrace;

namespace {

std::unique_ptr<Loop> makeLoop() {
  Result<std::unique_ptr<Loop>> loop = Loop::create();
  CHECK(loop.ok());
  return std::move(*loop);
}

// A handle on one end of a socket pair; the other end is for the test.
class Handle : public IoHandle {
 public:
  explicit Handle(Loop& loop) : loop_(&loop) {
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds_) == 0);
    CHECK(loop.add(this, fds_[0]).ok());
  }
  ~Handle() override {
    loop_->remove(this);
    close(fds_[0]);
    if (fds_[1] >= 0) close(fds_[1]);
  }
  void onReady(uint32_t events) override {
    calls++;
    seen |= events;
    if (then) then();
  }
  void say(const char* text) { CHECK(send(fds_[1], text, strlen(text), 0) > 0); }
  std::string hear() {
    char buffer[4096];
    ssize_t n = recv(fds_[0], buffer, sizeof buffer, 0);
    return n > 0 ? std::string(buffer, size_t(n)) : std::string();
  }
  int peer() const { return fds_[1]; }
  void closePeer() {
    close(fds_[1]);
    fds_[1] = -1;
  }

  int calls = 0;
  uint32_t seen = 0;
  std::function<void()> then;

 private:
  Loop* loop_;
  int fds_[2] = {-1, -1};
};

void settle(Loop& loop, int turns = 4) {
  for (int i = 0; i < turns; i++) loop.runOnce(0);
}

}  // namespace

TEST_CASE("a new descriptor is reported writable, then readable when bytes come") {
  auto loop = makeLoop();
  Handle handle(*loop);
  settle(*loop);
  CHECK((handle.seen & kWritable) != 0);
  CHECK((handle.seen & kReadable) == 0);
  handle.say("hello");
  loop->runOnce(1000);
  CHECK((handle.seen & kReadable) != 0);
  CHECK((handle.ready() & kReadable) != 0);
  CHECK(handle.hear() == "hello");
}

TEST_CASE("readiness is edge-triggered: unread bytes are not reported twice, new ones are") {
  auto loop = makeLoop();
  Handle handle(*loop);
  handle.say("a");
  settle(*loop);
  int calls = handle.calls;
  settle(*loop);
  CHECK(handle.calls == calls);
  handle.say("b");
  settle(*loop);
  CHECK(handle.calls > calls);
  CHECK(handle.hear() == "ab");
}

TEST_CASE("writability is reported again after the socket was full") {
  auto loop = makeLoop();
  Handle handle(*loop);
  settle(*loop);
  std::string block(65536, 'x');
  while (send(handle.fd(), block.data(), block.size(), 0) > 0) {
  }
  handle.clearReady(kWritable);
  handle.seen = 0;
  settle(*loop);
  CHECK((handle.seen & kWritable) == 0);
  std::vector<char> sink(1 << 20);
  while (recv(handle.peer(), sink.data(), sink.size(), 0) > 0) {
  }
  loop->runOnce(1000);
  settle(*loop);
  CHECK((handle.seen & kWritable) != 0);
}

TEST_CASE("the end of the peer's stream is reported, with data still pending") {
  auto loop = makeLoop();
  Handle handle(*loop);
  handle.say("last words");
  shutdown(handle.peer(), SHUT_WR);
  settle(*loop);
  CHECK((handle.seen & kReadable) != 0);
  CHECK((handle.seen & kReadClosed) != 0);
  CHECK((handle.seen & kError) == 0);
  CHECK(handle.hear() == "last words");
  CHECK(handle.hear().empty());
}

TEST_CASE("a closed peer is reported to reader and writer") {
  auto loop = makeLoop();
  Handle handle(*loop);
  settle(*loop);
  handle.seen = 0;
  handle.closePeer();
  settle(*loop);
  CHECK((handle.seen & kReadClosed) != 0);
  CHECK((handle.seen & kReadable) != 0);
}

TEST_CASE("a removed handle gets no event, not even one that is already in the batch") {
  auto loop = makeLoop();
  auto first = std::make_unique<Handle>(*loop);
  auto second = std::make_unique<Handle>(*loop);
  settle(*loop);
  int firstCalls = first->calls, secondCalls = second->calls;
  // Whichever comes first frees the other one.
  first->then = [&] { second.reset(); };
  second->then = [&] { first.reset(); };
  first->say("x");
  second->say("y");
  settle(*loop);
  CHECK((first == nullptr) != (second == nullptr));
  if (first) CHECK(first->calls > firstCalls);
  if (second) CHECK(second->calls > secondCalls);
}

TEST_CASE("a handle registered anew in the same turn gets no stale event") {
  auto loop = makeLoop();
  auto old = std::make_unique<Handle>(*loop);
  Handle other(*loop);
  settle(*loop);
  std::unique_ptr<Handle> fresh;
  auto swap = [&] {
    if (fresh) return;
    old.reset();
    fresh = std::make_unique<Handle>(*loop);  // the same descriptor number again
  };
  other.then = swap;
  old->then = [] {};
  other.say("x");
  old->say("y");
  settle(*loop);
  CHECK(fresh != nullptr);
  CHECK((fresh->seen & kReadable) == 0);
}

TEST_CASE("again() calls the handle later in the turn, once, and not after remove()") {
  auto loop = makeLoop();
  Handle handle(*loop), quiet(*loop);
  settle(*loop);
  handle.calls = 0;
  loop->again(&handle, kReadable);
  loop->again(&handle, kWritable);
  CHECK(handle.calls == 0);
  handle.seen = 0;
  loop->runOnce(0);
  CHECK(handle.calls == 1);
  CHECK(handle.seen == (kReadable | kWritable));

  // Asked for from inside: the next turn, which does not block.
  int left = 3;
  handle.then = [&] {
    if (--left > 0) loop->again(&handle, kReadable);
  };
  loop->again(&handle, kReadable);
  loop->runOnce(-1);
  CHECK(left == 2);
  loop->runOnce(-1);
  loop->runOnce(-1);
  CHECK(left == 0);

  quiet.calls = 0;
  loop->again(&quiet, kReadable);
  loop->again(&handle, kReadable);
  loop->remove(&quiet);
  handle.then = nullptr;
  loop->runOnce(0);
  CHECK(quiet.calls == 0);
}

TEST_CASE(
    "handles that are put off share a part of each turn, in order; others do not wait for them") {
  auto loop = makeLoop();
  std::vector<std::unique_ptr<Handle>> heavy;
  std::vector<int> order;
  for (int i = 0; i < 5; i++) {
    heavy.push_back(std::make_unique<Handle>(*loop));
    heavy.back()->then = [&order, &loop, h = heavy.back().get(), i] {
      if ((h->seen & kPutOff) == 0) return loop->putOff(h, kReadable);
      h->seen = 0;
      order.push_back(i);
      uint64_t until = monotonicNs() + Loop::kPutOffBudgetNs;
      while (monotonicNs() < until) continue;  // all of the budget
      loop->putOff(h, 0);
    };
  }
  Handle light(*loop);
  loop->runOnce(0);  // each is writable: the heavy ones put themselves off, and one has its share
  CHECK(order.size() == 1);
  for (int i = 0; i < 4; i++) {
    light.calls = 0;
    light.say("x");
    loop->runOnce(0);
    CHECK(light.calls >= 1);  // in every turn, though the heavy ones have enough for five
  }
  CHECK(order == std::vector<int>{0, 1, 2, 3, 4});
  loop->runOnce(0);
  CHECK(order.back() == 0);  // round and round
  CHECK((heavy[0]->ready() & kPutOff) == 0);
  order.clear();
  heavy[1].reset();  // removed while it waits
  heavy[4].reset();  // the last one in the queue but one
  settle(*loop, 3);
  CHECK(order == std::vector<int>{2, 3, 0});
  loop->again(heavy[2].get(), 0);  // stays where it is
  loop->runOnce(0);
  CHECK(order.back() == 2);
}

TEST_CASE("the flush hook runs after each handle, timer, and task; the quiet hook once a turn") {
  auto loop = makeLoop();
  Handle a(*loop), b(*loop);
  settle(*loop);
  int flushes = 0, quiets = 0;
  auto count = [](void* n) { ++*static_cast<int*>(n); };
  loop->setFlushHook(count, &flushes);
  loop->setQuietHook(count, &quiets);
  a.say("x");
  b.say("y");
  loop->post([] {});
  int before = a.calls + b.calls;
  loop->runOnce(0);
  CHECK(flushes == a.calls + b.calls - before + 1);
  CHECK(quiets == 1);
  flushes = 0;
  int fired = 0;
  Timer timer(count, &fired);
  loop->arm(timer, 1);
  while (fired == 0) loop->runOnce(10);
  CHECK(flushes == 1);
}

TEST_CASE("a listening socket is level-triggered, and can be paused") {
  auto loop = makeLoop();
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  CHECK(bind(fd, reinterpret_cast<sockaddr*>(&at), size) == 0);
  CHECK(listen(fd, 8) == 0);
  CHECK(getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size) == 0);
  class Counter final : public IoHandle {
   public:
    void onReady(uint32_t) override { calls++; }
    int calls = 0;
  } listener;
  CHECK(loop->addListener(&listener, fd).ok());
  int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(connect(client, reinterpret_cast<sockaddr*>(&at), size) == 0);
  loop->runOnce(1000);
  loop->runOnce(1000);
  CHECK(listener.calls == 2);  // reported again as long as nobody accepts
  loop->setListening(&listener, false);
  settle(*loop);
  CHECK(listener.calls == 2);
  loop->setListening(&listener, true);
  loop->runOnce(1000);
  CHECK(listener.calls == 3);
  loop->remove(&listener);
  settle(*loop);
  CHECK(listener.calls == 3);
  close(client);
  close(fd);
}

TEST_CASE("more ready descriptors than one poll takes are all served") {
  auto loop = makeLoop();
  constexpr int kMany = 700;
  std::vector<std::unique_ptr<Handle>> handles;
  for (int i = 0; i < kMany; i++) handles.push_back(std::make_unique<Handle>(*loop));
  settle(*loop, 40);
  for (auto& handle : handles) handle->seen = 0, handle->say("x");
  settle(*loop, 40);
  int readable = 0;
  for (auto& handle : handles) readable += (handle->seen & kReadable) != 0;
  CHECK(readable == kMany);
}

TEST_CASE("a descriptor that cannot be polled is refused") {
  auto loop = makeLoop();
  class Nothing final : public IoHandle {
   public:
    void onReady(uint32_t) override {}
  } handle;
  Status status = loop->add(&handle, 1 << 20);
  CHECK(!status.ok());
  CHECK(status.error().sysErrno == EBADF);
  CHECK(!handle.registered());
}
