// One suite of cases for every kind of sink (a path, a descriptor, a pipe), then the cases of files
// alone.
#include "flush/flush_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <atomic>
#include <map>
#include <thread>

#include "base/clock.h"
#include "flush/temp_dir.h"
#include "support/patience.h"

using namespace millrace;

namespace {

// A sink under test, and what has arrived in it.
class SinkUnderTest {
 public:
  virtual ~SinkUnderTest() = default;
  virtual FlushSink::Target target() = 0;
  virtual std::string contents() = 0;  // after stop()
};

class PathSink final : public SinkUnderTest {
 public:
  FlushSink::Target target() override { return {.path = dir_.file("a.log")}; }
  std::string contents() override { return readAll(dir_.file("a.log")); }

 private:
  TempDir dir_;
};

class DescriptorSink final : public SinkUnderTest {
 public:
  DescriptorSink() : fd_(open(dir_.file("fd.log").c_str(), O_RDWR | O_CREAT, 0600)) {}
  ~DescriptorSink() override { close(fd_); }
  FlushSink::Target target() override { return {.fd = fd_}; }
  std::string contents() override { return readAll(dir_.file("fd.log")); }

 private:
  TempDir dir_;
  int fd_;
};

class PipeSink final : public SinkUnderTest {
 public:
  PipeSink() {
    REQUIRE(pipe(fds_) == 0);
    reader_ = std::thread([this] {
      char buffer[5000];
      for (ssize_t n; (n = read(fds_[0], buffer, sizeof buffer)) > 0;) {
        text_.append(buffer, size_t(n));
      }
    });
  }
  ~PipeSink() override {
    contents();
    close(fds_[0]);
  }
  FlushSink::Target target() override { return {.fd = fds_[1]}; }
  std::string contents() override {
    if (reader_.joinable()) {
      close(fds_[1]);
      reader_.join();
    }
    return text_;
  }

 private:
  int fds_[2];
  std::thread reader_;
  std::string text_;
};

std::unique_ptr<SinkUnderTest> makeSink(int kind) {
  if (kind == 0) return std::make_unique<PathSink>();
  if (kind == 1) return std::make_unique<DescriptorSink>();
  return std::make_unique<PipeSink>();
}

std::unique_ptr<FlushFile> makeFile(FlushSink::Target target, size_t ringBytes = 1 << 20,
                                    uint32_t intervalMs = 10'000) {
  FlushOptions options;
  options.target = std::move(target);
  options.ringBytes = ringBytes;
  options.intervalMs = intervalMs;
  auto made = FlushFile::create(std::move(options));
  REQUIRE(made.ok());
  return std::move(*made);
}

void checkBalance(const FlushStats& s) {
  CHECK(s.acceptedLines == s.writtenLines + s.bufferedLines + s.lostLines);
  CHECK(s.acceptedBytes == s.writtenBytes + s.bufferedBytes + s.lostBytes);
}

}  // namespace

TEST_CASE("every sink: lines of many producers arrive whole, in order, once; counts are exact") {
  for (int kind = 0; kind < 3; kind++) {
    CAPTURE(kind);
    auto sink = makeSink(kind);
    auto file = makeFile(sink->target(), 64 * 1024);
    constexpr int kProducers = 4;
    constexpr int kLines = 8000;
    std::atomic<uint64_t> refused{0};
    std::vector<std::thread> producers;
    for (int p = 0; p < kProducers; p++) {
      producers.emplace_back([&, p, ring = file->attach()]() mutable {
        for (int i = 0; i < kLines; i++) {
          std::string line = std::to_string(p) + " " + std::to_string(i) + " ";
          line.append(size_t(20 + (i * 7 + p) % 150), char('a' + p));
          line += '\n';
          if (!ring->write(line, monotonicNs())) refused++;
          if (i % 100 == 0) std::this_thread::yield();
        }
        ring.reset();
      });
    }
    for (auto& t : producers) t.join();
    CHECK(file->flush(kPatienceMs));
    const FlushStats s = file->stats();
    checkBalance(s);
    CHECK(s.bufferedLines == 0);
    CHECK(s.droppedLines == refused);
    CHECK(s.writtenLines + s.droppedLines == kProducers * kLines);
    const auto report = file->stop(kPatienceMs);
    CHECK(report.clean);
    const std::string text = sink->contents();
    CHECK(text.size() == s.writtenBytes);
    const auto lines = linesOf(text);
    CHECK(lines.size() == s.writtenLines);
    std::map<int, int> last;
    for (const auto& line : lines) {
      int p = -1, i = -1;
      REQUIRE(std::sscanf(line.c_str(), "%d %d", &p, &i) == 2);
      const size_t head = line.find(' ', line.find(' ') + 1) + 1;
      REQUIRE(line.substr(head) == std::string(size_t(20 + (i * 7 + p) % 150), char('a' + p)));
      if (last.count(p) != 0) REQUIRE(i > last[p]);
      last[p] = i;
    }
  }
}

TEST_CASE("every sink: what several rings hold comes out in the order of the stamps") {
  for (int kind = 0; kind < 3; kind++) {
    CAPTURE(kind);
    auto sink = makeSink(kind);
    auto file = makeFile(sink->target());
    const auto a = file->attach(), b = file->attach(), c = file->attach();
    file->flush(kPatienceMs);
    for (uint64_t i = 0; i < 3000; i++) {
      const uint64_t stamp = i / 5;  // turns of a loop: runs of one stamp
      const auto& ring = stamp % 3 == 0 ? a : stamp % 3 == 1 ? b : c;
      ring->write(std::to_string(i) + "\n", stamp + 1);
    }
    CHECK(file->stop(kPatienceMs).clean);
    const auto lines = linesOf(sink->contents());
    REQUIRE(lines.size() == 3000);
    for (size_t i = 0; i < lines.size(); i++) REQUIRE(lines[i] == std::to_string(i));
  }
}

TEST_CASE("every sink: the fill mark and the interval wake the thread") {
  for (int kind = 0; kind < 3; kind++) {
    CAPTURE(kind);
    auto sink = makeSink(kind);
    const auto written = [](FlushFile& f, uint64_t atLeast) {
      for (int i = 0; i < kPatienceMs / 10 && f.stats().writtenLines < atLeast; i++) usleep(10'000);
      return f.stats().writtenLines;
    };
    auto file = makeFile(sink->target(), 1 << 20, 10 * kPatienceMs);
    const auto ring = file->attach();
    file->flush(kPatienceMs);
    const std::string line(199, 'm');
    for (int i = 0; i < 400; i++) ring->write(line + "\n", 1);  // 86 KB: above the mark
    CHECK(written(*file, 300) >= 300);
    CHECK(file->stop(kPatienceMs).clean);
    auto sink2 = makeSink(kind);
    auto quick = makeFile(sink2->target(), 1 << 20, 20);
    const auto ring2 = quick->attach();
    ring2->write("one line\n", 1);
    CHECK(written(*quick, 1) == 1);
    CHECK(quick->stop(kPatienceMs).clean);
    CHECK(sink2->contents() == "one line\n");
  }
}

TEST_CASE("producers attach and detach while others write; nothing is lost") {
  TempDir dir;
  auto file = makeFile({.path = dir.file("a.log")}, 1 << 20, 1);
  std::atomic<bool> stop{false};
  uint64_t steady = 0;
  std::thread writer([&, ring = file->attach()] {
    while (!stop) {
      steady += ring->write("steady\n", monotonicNs());
      std::this_thread::yield();
    }
  });
  for (int i = 0; i < 300; i++) {
    std::thread brief([ring = file->attach()]() mutable {
      for (int k = 0; k < 10; k++) ring->write("brief\n", monotonicNs());
      ring.reset();
    });
    brief.join();
  }
  stop = true;
  writer.join();
  CHECK(file->stop(kPatienceMs).clean);
  uint64_t brief = 0, other = 0;
  for (const auto& line : linesOf(readAll(dir.file("a.log")))) (line == "brief" ? brief : other)++;
  CHECK(brief == 3000);
  CHECK(other == steady);
  checkBalance(file->stats());
}

TEST_CASE("rotation under load loses no line and tears none") {
  TempDir dir;
  auto file = makeFile({.path = dir.file("a.log")}, 1 << 20, 5);
  std::atomic<bool> stop{false};
  uint64_t count = 0;
  std::thread writer([&, ring = file->attach()] {
    while (!stop) {
      if (ring->write("line " + std::to_string(count) + "\n", monotonicNs())) count++;
      if (count % 64 == 0) usleep(50);
    }
  });
  constexpr int kRotations = 40;
  for (int i = 0; i < kRotations; i++) {
    usleep(3000);
    std::filesystem::rename(dir.file("a.log"), dir.file("a.log." + std::to_string(i)));
    CHECK(file->reopen(5000).ok());
  }
  stop = true;
  writer.join();
  CHECK(file->stop(kPatienceMs).clean);
  CHECK(file->stats().reopens == kRotations);
  std::string all;
  for (int i = 0; i < kRotations; i++) all += readAll(dir.file("a.log." + std::to_string(i)));
  all += readAll(dir.file("a.log"));
  const auto lines = linesOf(all);
  REQUIRE(lines.size() == count);
  for (size_t i = 0; i < lines.size(); i++) REQUIRE(lines[i] == "line " + std::to_string(i));
}

TEST_CASE("what was committed before reopen() is in the old file; a failed reopen keeps it") {
  TempDir dir;
  const std::string path = dir.file("sub/a.log");
  auto file = makeFile({.path = path, .makeFolders = true, .mode = 0600});
  struct stat st;
  REQUIRE(stat(path.c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0600);
  const auto ring = file->attach();
  ring->write("old\n", 1);
  std::filesystem::rename(path, dir.file("rotated"));
  CHECK(file->reopen(5000).ok());
  CHECK(readAll(dir.file("rotated")) == "old\n");
  ring->write("new\n", 1);
  CHECK(file->flush(kPatienceMs));
  CHECK(readAll(path) == "new\n");
  // Now the path cannot be opened: it is a folder.
  std::filesystem::rename(path, dir.file("kept"));
  std::filesystem::create_directory(path);
  const Status failed = file->reopen(5000);
  REQUIRE_FALSE(failed.ok());
  CHECK(std::string(failed.error().code) == "ERR_MILLRACE_FLUSH_OPEN");
  CHECK(failed.error().sysErrno == EISDIR);
  CHECK(file->stats().reopenErrors == 1);
  ring->write("still\n", 1);
  CHECK(file->stop(kPatienceMs).clean);
  CHECK(readAll(dir.file("kept")) == "new\nstill\n");
}

TEST_CASE("appending or not; errors of opening") {
  TempDir dir;
  std::ofstream(dir.file("a.log")) << "before\n";
  for (bool append : {true, false}) {
    auto file = makeFile({.path = dir.file("a.log"), .append = append});
    file->attach()->write("x\n", 1);
    CHECK(file->reopen(5000).ok());  // never empties
    CHECK(file->stop(kPatienceMs).clean);
    CHECK(readAll(dir.file("a.log")) == (append ? "before\nx\n" : "x\n"));
  }
  auto missing = FlushFile::create({.target = {.path = dir.file("no/such/folder")}});
  REQUIRE_FALSE(missing.ok());
  CHECK(missing.error().sysErrno == ENOENT);
  auto bad = FlushFile::create({.target = {.fd = 9999}});
  REQUIRE_FALSE(bad.ok());
  CHECK(bad.error().sysErrno == EBADF);
}

TEST_CASE("a ring may outlive its file; stop is idempotent") {
  TempDir dir;
  std::shared_ptr<FlushRing> ring;
  {
    auto file = makeFile({.path = dir.file("a.log")});
    ring = file->attach();
    ring->write("x\n", 1);
    CHECK(file->stop(kPatienceMs).clean);
    CHECK(file->stop(kPatienceMs).clean);
    CHECK_FALSE(file->reopen(10).ok());
  }
  ring->write("nobody reads this\n", 1);
  CHECK(readAll(dir.file("a.log")) == "x\n");
}
