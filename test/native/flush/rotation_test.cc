// Rotation: no line lost, twice, split or out of order, whatever fails or is done at the same time.
#include "flush/rotation.h"

#include <doctest/doctest.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <map>
#include <thread>

#include "base/clock.h"
#include "base/random.h"
#include "flush/flush_file.h"
#include "flush/gzip.h"
#include "flush/temp_dir.h"

using namespace millrace;

namespace {

constexpr uint32_t kLongMs = 120'000;  // decides only how soon a fault is told

// Of a file, its old ones first.
std::vector<std::string> filesOf(const TempDir& dir, const std::string& name) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(dir.path)) {
    const std::string file = entry.path().filename().string();
    if (file.rfind(name + ".", 0) == 0) files.push_back(file);
  }
  std::sort(files.begin(), files.end());
  files.push_back(name);
  return files;
}

bool endsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::string contents(const TempDir& dir, const std::string& file) {
  if (!endsWith(file, ".gz")) return readAll(dir.file(file));
  FILE* const gzip = popen(("gzip -dc '" + dir.file(file) + "'").c_str(), "r");
  REQUIRE(gzip != nullptr);
  std::string text;
  char part[4096];
  for (size_t n; (n = fread(part, 1, sizeof part, gzip)) > 0;) text.append(part, n);
  CHECK(pclose(gzip) == 0);
  return text;
}

std::string all(const TempDir& dir, const std::string& name) {
  std::string text;
  for (const std::string& file : filesOf(dir, name)) text += contents(dir, file);
  return text;
}

template <typename Condition>
bool waitFor(Condition condition) {
  const uint64_t untilNs = monotonicNs() + uint64_t{kLongMs} * kNsPerMs;
  while (!condition()) {
    if (monotonicNs() > untilNs) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

std::unique_ptr<FlushFile> open(const std::string& path, const FlushRotation& rotation,
                                std::function<void(const FlushEvent&)> onEvent = {}) {
  FlushOptions options;
  options.target.path = path;
  options.intervalMs = 5;
  options.rotation = rotation;
  options.onEvent = std::move(onEvent);
  auto file = FlushFile::create(std::move(options));
  REQUIRE(file.ok());
  return std::move(*file);
}

void put(FlushRing& ring, const std::string& line) {
  while (!ring.offer(line, monotonicNs())) {
    ring.wake();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

uint64_t seedOfRun() {
  const char* given = std::getenv("MILLRACE_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : monotonicNs();
}

// Lines "writer number text", of each writer all and in order.
void checkLines(const std::string& text, int writers, int each) {
  std::map<int, int> next;
  int wrong = 0;
  for (const std::string& line : linesOf(text)) {
    int writer = -1, number = -1;
    if (std::sscanf(line.c_str(), "%d %d ", &writer, &number) != 2 || next[writer]++ != number) {
      wrong++;
    }
  }
  CHECK(wrong == 0);
  for (int w = 0; w < writers; w++) CHECK(next[w] == each);
}

uint64_t local(int year, int month, int day, int hour, int minute) {
  tm t = {};
  t.tm_year = year - 1900;
  t.tm_mon = month - 1;
  t.tm_mday = day;
  t.tm_hour = hour;
  t.tm_min = minute;
  t.tm_isdst = -1;
  return uint64_t(mktime(&t)) * 1000;
}

}  // namespace

TEST_CASE(
    "rotation: random lines of several threads, all in order, in files that are not too large") {
  const uint64_t seed = seedOfRun();
  INFO("MILLRACE_SEED=" << seed);
  TempDir dir;
  constexpr int kWriters = 3, kEach = 3000;
  constexpr uint64_t kMax = 20'000;
  const bool gzip = GzipFile::available();
  auto file = open(dir.file("a.log"), {.maxBytes = kMax, .gzip = gzip});
  std::atomic<bool> over{false};
  std::thread reopener([&] {
    while (!over) {
      file->askReopen();
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
    }
  });
  std::atomic<uint64_t> bytes{0}, longest{0};
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; w++) {
    writers.emplace_back([&, w] {
      Random random(seed + uint64_t(w));
      auto ring = file->attach();
      for (int i = 0; i < kEach; i++) {
        const size_t most = (random.next() % (50)) == 0 ? 30'000 : 200;
        std::string line = std::to_string(w) + " " + std::to_string(i) + " ";
        line.append((random.next() % (uint32_t(most))), char('a' + w)).push_back('\n');
        bytes += line.size();
        put(*ring, line);
      }
    });
  }
  for (auto& writer : writers) writer.join();
  over = true;
  reopener.join();
  CHECK(file->flush(kLongMs));
  if (gzip) {
    CHECK(waitFor([&] {
      const auto files = filesOf(dir, "a.log");
      return std::all_of(files.begin(), files.end() - 1,
                         [](const std::string& f) { return endsWith(f, ".gz"); });
    }));
  }
  CHECK(file->stop(kLongMs).clean);
  const FlushStats stats = file->stats();
  CHECK(stats.writtenBytes == bytes);
  CHECK(stats.rotations + 1 == filesOf(dir, "a.log").size());
  CHECK(stats.rotateErrors == 0);
  CHECK(stats.rotations > 10);
  const std::string text = all(dir, "a.log");
  CHECK(text.size() == bytes);
  checkLines(text, kWriters, kEach);
  for (const std::string& f : filesOf(dir, "a.log")) {
    const std::string one = contents(dir, f);
    CHECK((one.size() <= kMax || linesOf(one).size() == 1));
    CHECK((one.empty() || one.back() == '\n'));
  }
}

TEST_CASE("rotation: two files on one path, as of two processes") {
  TempDir dir;
  constexpr int kEach = 3000;
  const FlushRotation rotation{.maxBytes = 10'000, .gzip = GzipFile::available()};
  std::vector<std::unique_ptr<FlushFile>> files;
  for (int w = 0; w < 2; w++) files.push_back(open(dir.file("a.log"), rotation));
  std::vector<std::thread> writers;
  for (int w = 0; w < 2; w++) {
    writers.emplace_back([&, w] {
      auto ring = files[size_t(w)]->attach();
      for (int i = 0; i < kEach; i++) {
        put(*ring, std::to_string(w) + " " + std::to_string(i) + " some text\n");
        if (i % 100 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
    });
  }
  for (auto& writer : writers) writer.join();
  for (auto& file : files) {
    CHECK(file->stop(kLongMs).clean);
    CHECK(file->stats().rotateErrors == 0);
  }
  // Between files one may be a little behind the other; within those of one writer there is order.
  std::map<int, std::vector<int>> seen;
  for (const std::string& line : linesOf(all(dir, "a.log"))) {
    int writer = -1, number = -1;
    REQUIRE(std::sscanf(line.c_str(), "%d %d ", &writer, &number) == 2);
    seen[writer].push_back(number);
  }
  for (int w = 0; w < 2; w++) {
    CHECK(seen[w].size() == kEach);
    CHECK(std::is_sorted(seen[w].begin(), seen[w].end()));
  }
}

TEST_CASE("rotation: only so many old files are kept, and nothing else is touched") {
  TempDir dir;
  const std::vector<std::string> strangers = {"a.log.1", "a.log.20261130-154303-123.bak",
                                              "a.log.gz", "a.log.20269930-154303-123", "ba.log.1"};
  for (const auto& name : strangers) std::ofstream(dir.file(name)) << "mine\n";
  // A folder with a name of ours, later than all: names go on after it.
  std::filesystem::create_directory(dir.file("a.log.22001130-154303-123"));
  auto file = open(dir.file("a.log"), {.maxBytes = 100, .keep = 3});
  auto ring = file->attach();
  for (int i = 0; i < 50; i++) put(*ring, std::string(80, 'a') + std::to_string(i) + "\n");
  CHECK(file->flush(kLongMs));
  CHECK(waitFor([&] { return filesOf(dir, "a.log").size() == 4 + 1 + 4; }));
  CHECK(file->stop(kLongMs).clean);
  CHECK(file->stats().rotations == 49);
  for (const auto& name : strangers) CHECK(readAll(dir.file(name)) == "mine\n");
  CHECK(std::filesystem::exists(dir.file("a.log.22001130-154303-124")) == false);
  CHECK(contents(dir, "a.log") == std::string(80, 'a') + "49\n");
  CHECK(contents(dir, "a.log.22001130-154303-172") == std::string(80, 'a') + "48\n");
}

TEST_CASE(
    "rotation: a folder in which nothing can be renamed keeps the file in use, and is told once") {
  if (geteuid() == 0) {
    MESSAGE("as root, by a name that is taken instead");
  }
  TempDir dir;
  // The last name that there can be is taken: the next one is none.
  std::ofstream(dir.file("a.log.99991231-235959-999")) << "mine\n";
  std::ofstream(dir.file("a.log.100000101-000000-000")) << "mine\n";
  std::atomic<int> failed{0}, errorNumber{0};
  auto file = open(dir.file("a.log"), {.maxBytes = 100}, [&](const FlushEvent& event) {
    if (event.kind == FlushEvent::kRotateFailed) {
      failed++;
      errorNumber = event.sysErrno;
    }
  });
  auto ring = file->attach();
  std::string wanted;
  for (int i = 0; i < 20; i++) {
    const std::string line = std::string(80, 'a') + std::to_string(i) + "\n";
    wanted += line;
    put(*ring, line);
    if (i == 10) CHECK(file->flush(kLongMs));
  }
  CHECK(file->flush(kLongMs));
  CHECK(readAll(dir.file("a.log")) == wanted);
  CHECK(failed == 1);
  CHECK(errorNumber == EEXIST);
  CHECK(file->stats().rotateErrors >= 1);
  CHECK(file->stats().rotations == 0);
  CHECK_FALSE(file->stats().failing);
  // Mended, it goes on by itself.
  std::filesystem::remove(dir.file("a.log.99991231-235959-999"));
  std::filesystem::remove(dir.file("a.log.100000101-000000-000"));
  CHECK(waitFor([&] {
    put(*ring, "more\n");
    file->flush(kLongMs);
    return file->stats().rotations > 0;
  }));
  CHECK(file->stop(kLongMs).clean);
}

TEST_CASE("rotation: a file that cannot be opened again stays, under its own name") {
  TempDir dir;
  // The path is a link into a folder whose file can be renamed, but that does not let one be made:
  // here, because the link leads through a folder that is then gone.
  std::filesystem::create_directory(dir.file("real"));
  std::filesystem::create_symlink(dir.file("real"), dir.file("link"));
  auto file = open(dir.file("link/a.log"), {.maxBytes = 100});
  auto ring = file->attach();
  put(*ring, std::string(90, 'a') + "\n");
  CHECK(file->flush(kLongMs));
  std::filesystem::remove(dir.file("link"));
  put(*ring, std::string(90, 'b') + "\n");
  CHECK(file->flush(kLongMs));
  CHECK(file->stats().rotateErrors >= 1);
  CHECK(readAll(dir.file("real/a.log")) ==
        std::string(90, 'a') + "\n" + std::string(90, 'b') + "\n");
  std::filesystem::create_symlink(dir.file("real"), dir.file("link"));
  CHECK(waitFor([&] {
    put(*ring, "more\n");
    file->flush(kLongMs);
    return file->stats().rotations > 0;
  }));
  CHECK(file->stop(kLongMs).clean);
}

TEST_CASE("rotation: a file that others renamed or removed is left at the next write") {
  TempDir dir;
  auto file = open(dir.file("a.log"), {.maxBytes = 1'000'000});
  auto ring = file->attach();
  put(*ring, "one\n");
  CHECK(file->flush(kLongMs));
  std::filesystem::rename(dir.file("a.log"), dir.file("moved"));
  put(*ring, "two\n");
  CHECK(file->flush(kLongMs));
  CHECK(readAll(dir.file("moved")) == "one\n");
  CHECK(readAll(dir.file("a.log")) == "two\n");
  CHECK(file->stop(kLongMs).clean);
}

TEST_CASE("rotation: what an earlier process left is compressed, unless somebody writes to it") {
  if (!GzipFile::available()) return;
  TempDir dir;
  const std::string left = "a.log.20200101-000000-000", busy = "a.log.20200101-000000-001";
  std::ofstream(dir.file(left)) << "left\n";
  std::ofstream(dir.file(left + ".gz.tmp")) << "half of a file";
  std::ofstream(dir.file(left + ".gz")) << "of a process that ended before it removed the other";
  std::ofstream(dir.file(busy)) << "busy\n";
  chmod(dir.file(left).c_str(), 0640);
  const int writer = ::open(dir.file(busy).c_str(), O_WRONLY | O_APPEND);
  REQUIRE(flock(writer, LOCK_SH) == 0);
  auto file = open(dir.file("a.log"), {.maxBytes = 1000, .gzip = true});
  CHECK(waitFor([&] { return !std::filesystem::exists(dir.file(left)); }));
  CHECK(contents(dir, left + ".gz") == "left\n");
  struct stat st;
  CHECK(stat(dir.file(left + ".gz").c_str(), &st) == 0);
  CHECK((st.st_mode & 07777) == 0640);
  CHECK_FALSE(std::filesystem::exists(dir.file(left + ".gz.tmp")));
  CHECK(readAll(dir.file(busy)) == "busy\n");
  CHECK(::write(writer, "more\n", 5) == 5);
  ::close(writer);
  CHECK(waitFor([&] { return !std::filesystem::exists(dir.file(busy)); }));
  CHECK(contents(dir, busy + ".gz") == "busy\nmore\n");
  CHECK(file->stop(kLongMs).clean);
}

TEST_CASE("rotation: a large file is compressed while lines go on") {
  if (!GzipFile::available()) return;
  TempDir dir;
  Random random(7);
  std::string large;
  while (large.size() < 24 * 1024 * 1024) {
    large += std::to_string(random.next()) + ((random.next() % (5)) == 0 ? "\n" : " ");
  }
  large += "\n";
  std::ofstream(dir.file("a.log.20200101-000000-000")) << large;
  auto file = open(dir.file("a.log"), {.maxBytes = 1'000'000, .gzip = true});
  auto ring = file->attach();
  int lines = 0;
  do {
    put(*ring, std::to_string(lines++) + "\n");
    CHECK(file->flush(kLongMs));
  } while (std::filesystem::exists(dir.file("a.log.20200101-000000-000")));
  CHECK(lines > 1);
  CHECK(contents(dir, "a.log.20200101-000000-000.gz") == large);
  // In the middle of it the file may be stopped: the plain one stays.
  std::ofstream(dir.file("a.log.20200101-000000-001")) << large;
  CHECK(file->rotate({.maxBytes = 2'000'000, .gzip = true}).ok());
  CHECK(waitFor(
      [&] { return std::filesystem::exists(dir.file("a.log.20200101-000000-001.gz.tmp")); }));
  CHECK(file->stop(kLongMs).clean);
  CHECK_FALSE(std::filesystem::exists(dir.file("a.log.20200101-000000-001.gz.tmp")));
  CHECK((contents(dir, "a.log.20200101-000000-001") == large ||
         contents(dir, "a.log.20200101-000000-001.gz") == large));
}

TEST_CASE("rotation: by time, also what was written in an earlier period") {
  TempDir dir;
  std::ofstream(dir.file("a.log")) << "yesterday\n";
  const timespec times[2] = {{1'600'000'000, 0}, {1'600'000'000, 0}};
  REQUIRE(utimensat(AT_FDCWD, dir.file("a.log").c_str(), times, 0) == 0);
  auto file = open(dir.file("a.log"), {.every = FlushRotation::Every::kDay});
  auto ring = file->attach();
  put(*ring, "today\n");
  CHECK(file->flush(kLongMs));
  CHECK(readAll(dir.file("a.log")) == "today\n");
  CHECK(filesOf(dir, "a.log").size() == 2);
  // Short periods; nothing is written in most of them, and then nothing is rotated.
  CHECK(file->rotate({.every = FlushRotation::Every::kPeriod, .periodMs = 50}).ok());
  CHECK(waitFor([&] { return file->stats().rotations == 2; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  CHECK(file->stats().rotations == 2);
  CHECK(file->stop(kLongMs).clean);
  CHECK(all(dir, "a.log") == "yesterday\ntoday\n");
}

TEST_CASE("rotation: periods, and a clock that jumps") {
  RotationClock day({.every = FlushRotation::Every::kDay});
  const uint64_t noon = local(2026, 11, 30, 12, 0);
  const uint64_t midnight = local(2026, 12, 1, 0, 0);
  day.begin(noon);
  CHECK(day.leftMs(noon) == midnight - noon);
  CHECK_FALSE(day.due(midnight - 1));
  CHECK(day.due(midnight));
  CHECK(day.leftMs(midnight + 5) == 0);
  day.begin(midnight);
  CHECK_FALSE(day.due(midnight));
  // Set back by a year: the period that ends is that year's.
  CHECK_FALSE(day.due(local(2025, 11, 30, 12, 0)));
  CHECK(day.due(local(2025, 12, 1, 0, 0)));
  RotationClock hour({.every = FlushRotation::Every::kHour});
  hour.begin(noon + 59 * 60'000 + 59'999);
  CHECK(hour.leftMs(noon + 59 * 60'000 + 59'999) == 1);
  RotationClock period({.every = FlushRotation::Every::kPeriod, .periodMs = 900'000});
  period.begin(900'000 * 7 + 1);
  CHECK(period.leftMs(900'000 * 7 + 1) == 899'999);
  RotationClock never({.maxBytes = 1});
  never.begin(noon);
  CHECK_FALSE(never.due(UINT64_MAX / 2));
  CHECK(never.leftMs(noon) == UINT64_MAX);
}

TEST_CASE("rotation: names go on, whatever the clock does") {
  const uint64_t noon = local(2026, 11, 30, 12, 0) + 7;
  const RotatedName first = RotatedName::next(noon, {});
  CHECK(first.text() == "20261130-120000-007");
  CHECK(RotatedName::next(noon, first).text() == "20261130-120000-008");
  CHECK(RotatedName::next(noon - 3'600'000, first).text() == "20261130-120000-008");
  CHECK(RotatedName::next(noon + 1, first).text() == "20261130-120000-008");
  CHECK(RotatedName::next(noon + 1000, first).text() == "20261130-120001-007");
  const auto last = RotatedName::parse("20261231-235959-999");
  REQUIRE(last);
  CHECK(RotatedName::next(noon, last).text() == "20270101-000000-000");
  for (const char* text :
       {"", "1", "gz", "20261130-120000", "20261130-120000-00", "20261330-120000-000",
        "20261130-240000-000", "20261130 120000-000", "20261130-120000-000x",
        "20261130-120000-000.gzip", "2026113a-120000-000"}) {
    CAPTURE(text);
    CHECK_FALSE(RotatedName::parse(text));
  }
  CHECK(RotatedName::parse("20261130-120000-000.gz")->gzipped());
  CHECK(RotatedName::parse("20261130-120000-000.gz.tmp")->temporary());
}

TEST_CASE("rotation: one path is rotated in one way") {
  TempDir dir;
  const FlushRotation rotation{.maxBytes = 1000, .keep = 2};
  auto first = open(dir.file("a.log"), rotation);
  const auto tryOpen = [&](const std::string& path, const FlushRotation& other) -> std::string {
    FlushOptions options;
    options.target.path = path;
    options.target.append = false;
    options.rotation = other;
    auto file = FlushFile::create(std::move(options));
    return file.ok() ? "" : std::string(file.error().code) + ": " + file.error().message;
  };
  auto ring = first->attach();
  put(*ring, "kept\n");
  CHECK(first->flush(kLongMs));
  const std::string refused =
      "ERR_MILLRACE_FLUSH_ROTATION: " + dir.file("a.log") +
      " is open in this process already, rotated at 1000 bytes, 2 kept, and "
      "cannot be ";
  std::filesystem::create_symlink(dir.path, dir.file("link"));
  CHECK(tryOpen(dir.file("a.log"), {}).find(refused + "without rotation here") == 0);
  CHECK(tryOpen(dir.file("link/a.log"), {.maxBytes = 1000}).find("all kept here") !=
        std::string::npos);
  CHECK(readAll(dir.file("a.log")) == "kept\n");
  CHECK(tryOpen(dir.file("a.log"), rotation) == "");
  CHECK(first->rotate({.maxBytes = 2000}).ok());
  CHECK(tryOpen(dir.file("a.log"), {.maxBytes = 2000}) == "");
  CHECK(first->stop(kLongMs).clean);
  CHECK(tryOpen(dir.file("a.log"), {}) == "");
  CHECK(tryOpen("/dev/null", rotation) ==
        "ERR_MILLRACE_FLUSH_ROTATION: /dev/null cannot be rotated: only a regular file with a path "
        "can");
}
