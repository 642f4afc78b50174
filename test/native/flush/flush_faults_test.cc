// Full disks, stalled and vanished readers, calls that hang: what is kept, counted, told, and how
// stopping ends.
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#ifdef __linux__
#include <sys/eventfd.h>
#endif

#include <atomic>
#include <cstring>
#include <thread>

#include "base/clock.h"
#include "flush/flush_file.h"
#include "flush/temp_dir.h"
#include "support/patience.h"

using namespace millrace;

namespace {

uint64_t elapsedMs(uint64_t sinceNs) {
  return (monotonicNs() - sinceNs) / kNsPerMs;
}

template <typename Predicate>
bool eventually(Predicate done) {
  for (int i = 0; i < kPatienceMs / 10; i++) {
    if (done()) return true;
    usleep(10'000);
  }
  return false;
}

std::unique_ptr<FlushFile> makeFile(FlushOptions options) {
  options.intervalMs = 5;
  auto made = FlushFile::create(std::move(options));
  REQUIRE(made.ok());
  return std::move(*made);
}

// Writes numbered lines of 100 bytes; returns how many were accepted.
int writeNumbered(FlushRing& ring, int count) {
  int accepted = 0;
  for (int i = 0; i < count; i++) {
    std::string line = std::to_string(i);
    line.resize(99, '.');
    accepted += ring.write(line + "\n", monotonicNs());
  }
  return accepted;
}

void checkNumbered(const std::string& text, int count) {
  const auto lines = linesOf(text);
  REQUIRE(int(lines.size()) == count);
  for (int i = 0; i < count; i++) {
    REQUIRE(lines[size_t(i)].size() == 99);
    REQUIRE(std::atoi(lines[size_t(i)].c_str()) == i);
  }
}

}  // namespace

TEST_CASE("a file at its size limit: kept, told once, and written when there is room again") {
  TempDir dir;
  std::atomic<int> failing{0}, recovered{0}, sysErrno{0};
  FlushOptions options;
  options.target.path = dir.file("a.log");
  options.onEvent = [&](const FlushEvent& e) {
    if (e.kind == FlushEvent::kFailing) sysErrno = e.sysErrno;
    (e.kind == FlushEvent::kFailing ? failing : recovered)++;
  };
  auto file = makeFile(std::move(options));
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 10'050;  // 100 lines and half of one
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  const auto ring = file->attach();
  const int accepted = writeNumbered(*ring, 500);
  CHECK(accepted == 500);
  CHECK(eventually([&] { return file->stats().writeErrors >= 2; }));
  FlushStats s = file->stats();
  CHECK(s.failing);
  CHECK(s.lastErrno == EFBIG);
  CHECK(s.writtenLines == 100);
  CHECK(s.bufferedLines == 400);
  CHECK(s.bufferedBytes == 50'000 - 10'050);
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  CHECK(eventually([&] { return file->stats().bufferedLines == 0; }));
  CHECK_FALSE(file->stats().failing);
  CHECK(file->stop(kPatienceMs).clean);
  CHECK(failing == 1);
  CHECK(recovered == 1);
  CHECK(sysErrno == EFBIG);
  checkNumbered(readAll(dir.file("a.log")), 500);
}

#ifdef __linux__
TEST_CASE(
    "a full disk: the rings fill and drop, counted; nothing they hold is lost when room comes") {
  TempDir dir;
  if (mount("tmpfs", dir.path.c_str(), "tmpfs", 0, "size=64k") != 0) {
    MESSAGE("needs root for a small file system; the case of the size limit covers the rest");
    return;
  }
  {
    std::ofstream(dir.file("ballast")) << std::string(40'000, 'b');
    FlushOptions options;
    options.target.path = dir.file("a.log");
    options.ringBytes = 20'000;
    auto file = makeFile(std::move(options));
    const auto ring = file->attach();
    const auto offered = [&, n = 0](int count) mutable {
      for (int i = 0; i < count; i++) {
        if (ring->write("line " + std::to_string(n) + "\n", monotonicNs())) n++;
        if (i % 100 == 0) usleep(200);
      }
      return n;
    };
    auto write = offered;
    write(10'000);
    CHECK(eventually([&] { return file->stats().failing; }));
    const int accepted = write(10'000);
    FlushStats s = file->stats();
    CHECK(s.lastErrno == ENOSPC);
    CHECK(s.droppedLines > 0);
    CHECK(s.acceptedLines == uint64_t(accepted));
    CHECK(s.acceptedLines + s.droppedLines == 20'000);
    CHECK(s.acceptedLines == s.writtenLines + s.bufferedLines);
    std::filesystem::rename(dir.file("a.log"), dir.file("b.log"));
    std::ofstream(dir.file("ballast"), std::ios::trunc);
    CHECK(eventually([&] { return file->stats().bufferedLines == 0; }));
    CHECK(file->stop(kPatienceMs).clean);
    const auto lines = linesOf(readAll(dir.file("b.log")));
    REQUIRE(int(lines.size()) == accepted);
    for (int i = 0; i < accepted; i++) REQUIRE(lines[size_t(i)] == "line " + std::to_string(i));
  }
  umount2(dir.path.c_str(), MNT_DETACH);
}

TEST_CASE("a device that is always full: stop gives up at the deadline and says what was lost") {
  auto file = makeFile({.target = {.path = "/dev/full"}});
  const auto ring = file->attach();
  CHECK(writeNumbered(*ring, 1000) == 1000);
  CHECK(eventually([&] { return file->stats().failing; }));
  CHECK_FALSE(file->flush(20));
  const uint64_t start = monotonicNs();
  const auto report = file->stop(200);
  CHECK(elapsedMs(start) >= 150);
  CHECK(elapsedMs(start) < 2000);
  CHECK_FALSE(report.clean);
  CHECK(report.lostLines == 1000);
  CHECK(report.lostBytes == 100'000);
  CHECK(file->stats().lastErrno == ENOSPC);
  CHECK(file->stats().bufferedLines == 0);
}

// poll(2) calls an eventfd writable while one more unit fits; a larger value then blocks in
// write(2): a hang in the kernel. Only writes of 8 bytes are taken, so lines go out one by one.
TEST_CASE("a write(2) that hangs in the kernel: stop returns at the deadline, with exact counts") {
  const int fd = eventfd(0, 0);
  const auto readValue = [fd](int timeoutMs) {
    pollfd p{fd, POLLIN, 0};
    uint64_t value = 0;
    if (poll(&p, 1, timeoutMs) == 1) REQUIRE(read(fd, &value, sizeof value) == sizeof value);
    return value;
  };
  auto file = makeFile({.target = {.fd = fd}});
  const auto ring = file->attach();
  const std::string line = "aaaaaaa\n";
  uint64_t lineValue;
  std::memcpy(&lineValue, line.data(), sizeof lineValue);
  const uint64_t taken = (UINT64_MAX - 1) / lineValue;
  for (uint64_t i = 0; i < taken; i++) {
    ring->write(line, monotonicNs());
    REQUIRE(file->flush(kPatienceMs));
  }
  ring->write(line, monotonicNs());
  CHECK_FALSE(file->flush(50));
  for (int i = 0; i < 99; i++) ring->write(line, monotonicNs());
  const uint64_t start = monotonicNs();
  const auto report = file->stop(100);
  CHECK(elapsedMs(start) < 1500);
  CHECK(report.lostLines == 100);
  CHECK(report.lostBytes == 800);
  CHECK(file->stats().writtenLines == taken);
  // The kernel lets it go: it finishes that one call, writes nothing more, and ends.
  CHECK(readValue(1000) == taken * lineValue);
  CHECK(readValue(1000) == lineValue);
  CHECK(readValue(50) == 0);
  file.reset();
  close(fd);
}
#endif

TEST_CASE("a FIFO that nobody reads never stalls the producer, and stop keeps its deadline") {
  TempDir dir;
  REQUIRE(mkfifo(dir.file("fifo").c_str(), 0600) == 0);
  FlushOptions options;
  options.target.path = dir.file("fifo");
  auto file = makeFile(std::move(options));
  const auto ring = file->attach();
  uint64_t worstNs = 0;
  for (int i = 0; i < 40'000; i++) {
    const uint64_t start = monotonicNs();
    ring->write(std::string(99, 'f') + "\n", start);
    worstNs = std::max(worstNs, monotonicNs() - start);
  }
  CHECK(worstNs < 500 * kNsPerMs);  // the machine may be busy; a stalled write would be for ever
  CHECK(eventually([&] { return file->stats().writtenBytes >= 60'000; }));
  const FlushStats s = file->stats();
  CHECK(s.acceptedLines + s.droppedLines == 40'000);
  CHECK(s.droppedLines > 0);
  CHECK(s.writeErrors == 0);
  const uint64_t start = monotonicNs();
  const auto report = file->stop(150);
  CHECK(elapsedMs(start) < 1500);
  CHECK_FALSE(report.clean);
  const FlushStats end = file->stats();
  CHECK(report.lostLines == end.acceptedLines - end.writtenLines);
  CHECK(report.lostBytes == end.acceptedBytes - end.writtenBytes);
}

TEST_CASE("a stalled pipe goes on where it stopped once it is read; nothing is torn") {
  TempDir dir;
  REQUIRE(mkfifo(dir.file("fifo").c_str(), 0600) == 0);
  const int reader = open(dir.file("fifo").c_str(), O_RDONLY | O_NONBLOCK);
  FlushOptions options;
  options.target.path = dir.file("fifo");
  auto file = makeFile(std::move(options));
  const auto ring = file->attach();
  CHECK(writeNumbered(*ring, 5000) == 5000);
  CHECK(eventually([&] { return file->stats().writtenBytes >= 60'000; }));
  usleep(30'000);
  CHECK(file->stats().bufferedLines > 0);
  std::string text;
  char buffer[8192];
  CHECK(eventually([&] {
    for (ssize_t n; (n = read(reader, buffer, sizeof buffer)) > 0;) text.append(buffer, size_t(n));
    return text.size() == 500'000;
  }));
  CHECK(file->stop(kPatienceMs).clean);
  checkNumbered(text, 5000);
  close(reader);
}

TEST_CASE("a reader that leaves: EPIPE is kept and told; the next reader gets whole lines") {
  TempDir dir;
  REQUIRE(mkfifo(dir.file("fifo").c_str(), 0600) == 0);
  int reader = open(dir.file("fifo").c_str(), O_RDONLY | O_NONBLOCK);
  auto file = makeFile({.target = {.path = dir.file("fifo")}});
  const auto ring = file->attach();
  ring->write("first\n", 1);
  CHECK(file->flush(kPatienceMs));
  char buffer[64];
  CHECK(read(reader, buffer, sizeof buffer) == 6);
  close(reader);
  ring->write("second\n", 2);
  // Without a reader the sink keeps the FIFO open itself, so this line waits in the pipe for
  // whoever comes.
  CHECK(eventually([&] { return file->stats().writtenLines == 2; }));
  CHECK(file->stats().writeErrors >= 1);
  CHECK(file->stats().lastErrno == EPIPE);
  reader = open(dir.file("fifo").c_str(), O_RDONLY | O_NONBLOCK);
  std::string text;
  CHECK(eventually([&] {
    const ssize_t n = read(reader, buffer, sizeof buffer);
    if (n > 0) text.append(buffer, size_t(n));
    return text == "second\n";
  }));
  CHECK(file->stop(kPatienceMs).clean);
  close(reader);
}

TEST_CASE("rotation while the disk is full: the cut line is repeated whole in the new file") {
  TempDir dir;
  auto file = makeFile({.target = {.path = dir.file("a.log")}});
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 1050;
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  const auto ring = file->attach();
  CHECK(writeNumbered(*ring, 15) == 15);
  CHECK(eventually([&] { return file->stats().failing; }));
  std::filesystem::rename(dir.file("a.log"), dir.file("old.log"));
  CHECK(file->reopen(5000).ok());
  CHECK(file->flush(kPatienceMs));
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  const FlushStats s = file->stats();
  CHECK(s.writtenLines == 15);
  CHECK(s.writtenBytes == 1500);
  CHECK(file->stop(kPatienceMs).clean);
  CHECK(readAll(dir.file("old.log")).size() == 1050);
  const auto lines = linesOf(readAll(dir.file("a.log")));
  REQUIRE(lines.size() == 5);
  CHECK(std::atoi(lines[0].c_str()) == 10);
  CHECK(lines[0].size() == 99);
}
