// The end of a process: each case runs this very program again, in which the case `process end:
// child` writes lines and then ends as it is told.
#include "flush/process_end.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "base/clock.h"
#include "flush/flush_file.h"
#include "flush/temp_dir.h"

using namespace millrace;

extern char** environ;

namespace {

// More than a block of the flush thread, with a line that is longer than one in between.
constexpr int kLines = 6000;
constexpr size_t kLongLine = 700'000;
constexpr uint32_t kDeadlineMs = 300;

std::string lineOf(int i) {
  std::string line = std::to_string(i);
  line.resize(i == kLines / 2 ? kLongLine : 99, '.');
  return line + "\n";
}

std::unique_ptr<FlushFile> openFile(const std::string& path) {
  FlushOptions options;
  options.target.path = path;
  options.name = path;
  options.intervalMs = 60'000;
  options.maxBytes = 64 * 1024 * 1024;
  options.deferWake = true;
  options.endDeadlineMs = kDeadlineMs;
  auto made = FlushFile::create(std::move(options));
  REQUIRE(made.ok());
  return std::move(*made);
}

struct Ended {
  int status;
  std::string said;  // on stderr
};

// Runs the child with `end` on `path`.
Ended runChild(const std::string& end, const std::string& path) {
  TempDir dir;
  const std::string err = dir.file("stderr");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_WRONLY | O_CREAT, 0600);
  std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  std::string only = "--test-case=process end: child";
  // Where these tests run under an emulator, the kernel cannot start one by itself.
  const char* named = std::getenv("MILLRACE_TEST_EMULATOR");
  std::string emulator = named == nullptr ? "" : named;
  char* emulated[] = {emulator.data(), self.data(), only.data(), nullptr};
  char** args = named == nullptr ? emulated + 1 : emulated;
  setenv("MILLRACE_END", end.c_str(), 1);
  setenv("MILLRACE_PATH", path.c_str(), 1);
  pid_t child = 0;
  REQUIRE(posix_spawnp(&child, args[0], &actions, nullptr, args, environ) == 0);
  posix_spawn_file_actions_destroy(&actions);
  unsetenv("MILLRACE_END");
  Ended ended{};
  REQUIRE(waitpid(child, &ended.status, 0) == child);
  ended.said = readAll(err);
  // What qemu-user adds when a signal ends what it runs.
  if (named != nullptr) ended.said = ended.said.substr(0, ended.said.find("qemu: uncaught target"));
  return ended;
}

void checkAll(const std::string& path) {
  std::string expected;
  for (int i = 0; i < kLines; i++) expected += lineOf(i);
  CHECK((readAll(path) == expected));
}

}  // namespace

TEST_CASE("process end: child") {
  const char* end = std::getenv("MILLRACE_END");
  if (end == nullptr) return;
  const std::string how = end, path = std::getenv("MILLRACE_PATH");
  // Those of the test's own frame, and of sanitizers, would come between.
  for (int signo = 1; signo < NSIG; signo++) {
    if (sigismember(&ProcessEnd::terminating(), signo) == 1) signal(signo, SIG_DFL);
  }
  for (int signo : ProcessEnd::kFatal) signal(signo, SIG_DFL);
  auto file = openFile(path);
  auto other = openFile("/dev/null");
  auto ring = file->attach(), otherRing = other->attach();
  for (int i = 0; i < kLines; i++) {
    ring->write(lineOf(i), monotonicNs());
    otherRing->write("other\n", monotonicNs());
  }
  if (how == "exit") exit(7);
  if (how == "SIGTERM") raise(SIGTERM);
  if (how == "abort") abort();
  if (how == "SIGSEGV") raise(SIGSEGV);
  if (how == "SIGFPE") raise(SIGFPE);
  if (how == "writing") {
    std::thread writer([&] {
      for (int i = kLines;; i++) ring->write(lineOf(i), monotonicNs());
    });
    usleep(2000);
    raise(SIGTERM);
    writer.join();
  }
  FAIL("it should have ended");
}

TEST_CASE("exit() and signals write what is buffered, and the process ends as it would have") {
  TempDir dir;
  const std::string path = dir.file("a.log");
  SUBCASE("exit") {
    const Ended ended = runChild("exit", path);
    CHECK(WEXITSTATUS(ended.status) == 7);
    CHECK(ended.said == "");
  }
  SUBCASE("SIGTERM") {
    const Ended ended = runChild("SIGTERM", path);
    CHECK(WTERMSIG(ended.status) == SIGTERM);
    CHECK(ended.said == "");
  }
  SUBCASE("abort") {
    CHECK(WTERMSIG(runChild("abort", path).status) == SIGABRT);
  }
  SUBCASE("SIGSEGV") {
    CHECK(WTERMSIG(runChild("SIGSEGV", path).status) == SIGSEGV);
  }
  SUBCASE("SIGFPE") {
    CHECK(WTERMSIG(runChild("SIGFPE", path).status) == SIGFPE);
  }
  checkAll(path);
}

TEST_CASE("a signal while another thread writes: no line torn, twice, or out of order") {
  TempDir dir;
  for (int round = 0; round < 5; round++) {
    const std::string path = dir.file("a" + std::to_string(round));
    CHECK(WTERMSIG(runChild("writing", path).status) == SIGTERM);
    const auto lines = linesOf(readAll(path));
    REQUIRE(int(lines.size()) >= kLines);
    for (size_t i = 0; i < lines.size(); i++) {
      REQUIRE((lines[i] + "\n" == lineOf(int(i))));
    }
  }
}

TEST_CASE("a pipe that nobody reads: the deadline, then one line with what is lost") {
  TempDir dir;
  const std::string path = dir.file("fifo");
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  const int reader = open(path.c_str(), O_RDONLY | O_NONBLOCK);
  const char* how = "";
  SUBCASE("exit") {
    how = "exit";
  }
  SUBCASE("SIGTERM") {
    how = "SIGTERM";
  }
  SUBCASE("abort") {
    how = "abort";
  }
  const Ended ended = runChild(how, path);
  size_t lines = 0, bytes = 0;
  REQUIRE(sscanf(ended.said.c_str(), "millrace: %zu lines (%zu bytes) not written to", &lines,
                 &bytes) == 2);
  CHECK(ended.said.find(path + "\n") != std::string::npos);
  CHECK(linesOf(ended.said).size() == 1);
  std::string arrived(1 << 20, ' ');
  arrived.resize(size_t(read(reader, arrived.data(), arrived.size())));
  close(reader);
  size_t total = 0;
  for (int i = 0; i < kLines; i++) total += lineOf(i).size();
  CHECK(arrived.size() + bytes == total);
  CHECK(size_t(std::count(arrived.begin(), arrived.end(), '\n')) + lines == kLines);
}
