// The ring by itself: order, wrapping, bounds, growth, and two threads on it.
#include "flush/ring.h"

#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <thread>

using millrace::FlushRing;
using millrace::FlushWaker;

namespace {

std::string takeOne(FlushRing& ring) {
  std::string out(ring.peek().size, '\0');
  ring.take(out.data());
  return out;
}

constexpr size_t kNoMark = size_t{1} << 40;

}  // namespace

TEST_CASE("records come out as they went in, across the wrap") {
  auto waker = std::move(FlushWaker::create().value());
  FlushRing ring({200, 0, kNoMark}, waker.get());
  for (int i = 0; i < 500; i++) {
    const std::string a(size_t(1 + i % 70), char('a' + i % 26));
    const std::string b(size_t(1 + i % 13), char('A' + i % 26));
    REQUIRE(ring.write(a, uint64_t(i)));
    REQUIRE(ring.write(b, uint64_t(i) + 1));
    REQUIRE(ring.committed() - ring.taken() == 2);
    CHECK(ring.peek().stampNs == uint64_t(i));
    CHECK(takeOne(ring) == a);
    CHECK(ring.peek().stampNs == uint64_t(i) + 1);
    CHECK(takeOne(ring) == b);
  }
}

TEST_CASE("a full ring drops, counts exactly, and takes records again when there is room") {
  auto waker = std::move(FlushWaker::create().value());
  FlushRing ring({1000, 0, kNoMark}, waker.get());
  const std::string line(84, 'x');  // 100 bytes with its header
  for (int i = 0; i < 10; i++) CHECK(ring.write(line, 1));
  for (int i = 0; i < 7; i++) CHECK_FALSE(ring.write(line, 1));
  CHECK(ring.counts().lines == 10);
  CHECK(ring.counts().bytes == 840);
  CHECK(ring.counts().droppedLines == 7);
  CHECK(ring.counts().droppedBytes == 588);
  CHECK(ring.committed() == 10);
  CHECK(takeOne(ring) == line);
  CHECK(ring.write(line, 1));
  CHECK_FALSE(ring.write(line, 1));
  CHECK_FALSE(ring.write(std::string(2000, 'y'), 1));  // larger than the ring
  CHECK(ring.counts().droppedLines == 9);
}

TEST_CASE("a ring grows to its bound, keeps the order, and gives the growth back") {
  auto waker = std::move(FlushWaker::create().value());
  FlushRing ring({1000, 3500, kNoMark}, waker.get());
  for (int round = 0; round < 3; round++) {
    int accepted = 0;
    for (int i = 0; i < 100; i++) {
      std::string line = std::to_string(i);
      line.resize(84, '.');
      accepted += ring.write(line, 1);
    }
    CHECK(accepted >= 34);
    CHECK(accepted <= 35);
    CHECK(ring.counts().grown >= 3);
    for (int i = 0; i < accepted; i++) {
      REQUIRE(ring.taken() < ring.committed());
      CHECK(takeOne(ring).substr(0, 3) == (std::to_string(i) + "...").substr(0, 3));
    }
    CHECK(ring.taken() == ring.committed());
  }
  // A record larger than a segment gets one of its own.
  const std::string large(1800, 'L');
  CHECK(ring.write(large, 1));
  ring.committed();
  CHECK(takeOne(ring) == large);
}

TEST_CASE("the producer wakes once when it passes the mark, and again after the consumer looked") {
  auto waker = std::move(FlushWaker::create().value());
  FlushRing ring({10000, 0, 500}, waker.get());
  const auto wakes = [&] {
    uint64_t n = 0;
    return read(waker->fd(), &n, sizeof n) == sizeof n ? n : 0;
  };
  const std::string line(84, 'x');
  for (int i = 0; i < 4; i++) ring.write(line, 1);
  CHECK(wakes() == 0);
  for (int i = 0; i < 20; i++) ring.write(line, 1);
  CHECK(wakes() == 1);
  while (ring.taken() < ring.committed()) takeOne(ring);
  for (int i = 0; i < 20; i++) ring.write(line, 1);
  CHECK(wakes() == 1);
}

TEST_CASE("finished only when closed and empty") {
  auto waker = std::move(FlushWaker::create().value());
  FlushRing ring({1000, 0, kNoMark}, waker.get());
  CHECK_FALSE(ring.finished());
  ring.write("x", 1);
  ring.close();
  CHECK_FALSE(ring.finished());
  ring.committed();
  takeOne(ring);
  CHECK(ring.finished());
}

TEST_CASE("two threads: everything accepted arrives whole and in order") {
  auto waker = std::move(FlushWaker::create().value());
  for (size_t maxBytes : {size_t{0}, size_t{64 * 1024}}) {
    FlushRing ring({4096, maxBytes, 1024}, waker.get());
    constexpr uint32_t kRecords = 60'000;
    uint64_t offered = 0;
    std::thread producer([&] {
      std::string record;
      for (uint32_t i = 0; i < kRecords; i++) {
        record.assign(4 + i % 97, char('a' + i % 26));
        record.replace(0, 4, reinterpret_cast<const char*>(&i), 4);
        ring.write(record, i);
        offered += record.size();
      }
      ring.close();
    });
    uint32_t last = 0;
    uint64_t lines = 0, bytes = 0;
    while (!ring.finished()) {
      const uint64_t committed = ring.committed();
      while (ring.taken() < committed) {
        const std::string record = takeOne(ring);
        uint32_t i;
        std::memcpy(&i, record.data(), 4);
        REQUIRE((lines == 0 || i > last));
        REQUIRE(record.size() == 4 + i % 97);
        if (record.size() > 4) REQUIRE(record.back() == char('a' + i % 26));
        last = i;
        lines++;
        bytes += record.size();
      }
    }
    producer.join();
    const auto c = ring.counts();
    CHECK(c.lines == lines);
    CHECK(c.bytes == bytes);
    CHECK(c.lines + c.droppedLines == kRecords);
    CHECK(c.bytes + c.droppedBytes == offered);
  }
}
