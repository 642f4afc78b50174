// A turn belongs to all connections: those that move much share a part of it. Counted, not timed:
// what one of them does takes all of the budget, on any machine.
#include "net/support.h"

using namespace millrace;
using namespace millrace::test;

TEST_CASE(
    "however many move much, who has little to say has a turn in each, and they take theirs") {
  constexpr int kHeavy = 16, kTurns = 3 * kHeavy;
  Net net;
  const std::string much = pattern(kMoreThanFits);
  int reads = 0;
  std::vector<std::unique_ptr<Pair>> heavy;
  auto refill = [&] {
    for (auto& pair : heavy) {
      pair->plain.say(much);
      awaitReadable(pair->connection->fd(), Connection::kMuch);
    }
  };
  for (int i = 0; i < kHeavy; i++) {
    heavy.push_back(std::make_unique<Pair>(net));
    heavy.back()->owner.onBytes = [&](Connection&, std::span<char> bytes) {
      reads++;
      const uint64_t until = monotonicNs() + Loop::kPutOffBudgetNs;
      while (monotonicNs() < until) continue;
      return bytes.size();
    };
  }
  Pair little(net);
  auto turn = [&] {
    refill();
    little.plain.say("x");
    awaitReadable(little.connection->fd(), 1);
    net.loop->runOnce(0);
  };
  turn();  // that they move much is known when they have done so once
  CHECK(reads == kHeavy);
  std::vector<int> before;
  for (auto& pair : heavy) before.push_back(pair->owner.calls);
  for (int i = 0; i < kTurns; i++) {
    reads = 0;
    const int calls = little.owner.calls;
    turn();
    CHECK(little.owner.calls == calls + 1);
    CHECK(reads == 1);
  }
  for (int i = 0; i < kHeavy; i++) {
    CHECK(heavy[size_t(i)]->owner.calls == before[size_t(i)] + kTurns / kHeavy);
  }
}
