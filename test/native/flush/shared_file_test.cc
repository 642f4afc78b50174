// Shared flush files: writers of several threads, what they are told, and who lets go last.
#include "flush/shared_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <atomic>
#include <map>
#include <thread>

#include "flush/temp_dir.h"
#include "support/patience.h"

using namespace millrace;

namespace {

constexpr size_t kMaxBytes = 1024 * 1024;

FlushOptions optionsFor(const std::string& path) {
  FlushOptions options;
  options.target.path = path;
  options.name = path;
  options.intervalMs = 5;
  options.maxBytes = kMaxBytes;
  options.deferWake = true;
  options.endDeadlineMs = 1000;
  return options;
}

std::shared_ptr<SharedFlushFile> openShared(FlushOptions options) {
  auto made = SharedFlushFile::open(std::move(options));
  REQUIRE(made.ok());
  return *made;
}

void ignore(const FlushNotice&) {}

template <typename Predicate>
bool eventually(Predicate done) {
  for (int i = 0; i < kPatienceMs / 10; i++) {
    if (done()) return true;
    usleep(10'000);
  }
  return false;
}

}  // namespace

TEST_CASE("writers of several threads: whole lines, each in its order, also when one leaves") {
  TempDir dir;
  auto file = openShared(optionsFor(dir.file("a.log")));
  const uint64_t number = file->number();
  constexpr int kThreads = 4, kLines = 5000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([t, number] {
      FlushWriter writer(SharedFlushFile::find(number), kMaxBytes, ignore);
      for (int i = 0; i < kLines; i++) {
        const std::string line = std::to_string(t) + " " + std::to_string(i) + "\n";
        while ((writer.write(line, true) & FlushWriter::kHow) == FlushWriter::kFull) {
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  file->end(5000);
  REQUIRE(eventually([&] { return file->file().stats().bufferedLines == 0; }));
  CHECK(file->finish().clean);
  std::map<int, int> next;
  for (const std::string& line : linesOf(readAll(dir.file("a.log")))) {
    const int t = std::stoi(line), i = std::stoi(line.substr(line.find(' ')));
    REQUIRE(next[t]++ == i);
  }
  for (int t = 0; t < kThreads; t++) CHECK(next[t] == kLines);
}

TEST_CASE("the last writer lets go: everything is written, and the number leads nowhere") {
  TempDir dir;
  uint64_t number = 0;
  {
    auto options = optionsFor(dir.file("a.log"));
    options.intervalMs = 60'000;
    auto file = openShared(std::move(options));
    number = file->number();
    FlushWriter writer(std::move(file), kMaxBytes, ignore);
    CHECK(SharedFlushFile::find(number) != nullptr);
    for (int i = 0; i < 1000; i++) writer.write("line\n", false);
  }
  CHECK(SharedFlushFile::find(number) == nullptr);
  CHECK(eventually([&] { return readAll(dir.file("a.log")).size() == 5000; }));
}

TEST_CASE("notices: flushed, reopened, failing, stopped; none after the writer is gone") {
  TempDir dir;
  auto file = openShared(optionsFor("/dev/full"));
  std::atomic<int> failing{0}, flushErrno{0}, reopened{0}, stopped{0};
  auto writer = std::make_unique<FlushWriter>(file, kMaxBytes, [&](const FlushNotice& notice) {
    if (notice.kind == FlushNotice::kFailing) failing++;
    if (notice.kind == FlushNotice::kFlushed) flushErrno = notice.sysErrno;
    if (notice.kind == FlushNotice::kReopened) reopened++;
    if (notice.kind == FlushNotice::kStopped) stopped++;
  });
  writer->write("nowhere\n", false);
  file->file().askFlush();
  file->file().askReopen();
  CHECK(eventually([&] { return failing == 1 && flushErrno == ENOSPC && reopened == 1; }));
  file->end(1);
  CHECK(eventually([&] { return stopped == 1; }));
  CHECK(file->finish().lostLines == 1);
  CHECK((writer->write("late\n", false) & FlushWriter::kHow) == FlushWriter::kEnded);
  CHECK(file->file().stats().droppedLines == 1);
  writer.reset();
}

TEST_CASE("a full buffer: dropped or full, and drained when there is room again") {
  TempDir dir;
  const std::string path = dir.file("fifo");
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  auto options = optionsFor(path);
  options.maxBytes = options.ringBytes = 64 * 1024;
  auto file = openShared(std::move(options));
  std::atomic<int> drained{0};
  FlushWriter writer(file, 64 * 1024, [&](const FlushNotice& notice) {
    if (notice.kind == FlushNotice::kDrained) drained++;
  });
  const std::string line(999, 'x');
  uint32_t how = 0;
  for (int i = 0; i < 2000 && (how & FlushWriter::kHow) != FlushWriter::kDropped; i++) {
    how = writer.write(line + "\n", false);
  }
  CHECK(how == (FlushWriter::kDropped | FlushWriter::kHigh));
  CHECK(eventually([&] {  // the flush thread takes a block; then nothing moves
    how = writer.write(line + "\n", true);
    return (how & FlushWriter::kHow) == FlushWriter::kFull;
  }));
  CHECK((writer.write(std::string(70'000, 'y'), true) & FlushWriter::kHow) ==
        FlushWriter::kDropped);
  const int reader = open(path.c_str(), O_RDONLY | O_NONBLOCK);
  std::string chunk(1 << 20, ' ');
  const auto readAll = [&] {
    while (read(reader, chunk.data(), chunk.size()) > 0) {
    }
  };
  CHECK(eventually([&] {
    readAll();
    return drained > 0;
  }));
  CHECK(eventually([&] {
    readAll();
    return writer.write(line, false) == FlushWriter::kTaken;
  }));
  file->end(5000);
  CHECK(eventually([&] {
    readAll();
    return file->file().stats().bufferedLines == 0;
  }));
  close(reader);
}
