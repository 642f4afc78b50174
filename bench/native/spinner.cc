// Keeps a virtual CPU from being put to sleep by its host, at the lowest priority there is, so that
// it gives way at once. Without it a CPU that halts between two requests may wait for milliseconds
// until the host lets it run again, and every figure becomes an accident. It ends with the
// benchmark that started it.
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace {

bool write(const std::string& path, int value) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) return false;
  const bool printed = std::fprintf(file, "%d\n", value) > 0;
  return std::fclose(file) == 0 && printed;
}

/** Sessions are scheduled against each other first (autogroup), so that SCHED_IDLE alone would not
 * be enough. */
bool joinIdleGroup() {
  for (const std::string root : {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup"}) {
    const std::string group = root + "/millrace-bench-idle";
    mkdir(group.c_str(), 0755);
    if (write(group + "/cpu.idle", 1) && write(group + "/cgroup.procs", getpid())) return true;
    rmdir(group.c_str());
  }
  return false;
}

}  // namespace

int main() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const sched_param none{};
  if (sched_setscheduler(0, SCHED_IDLE, &none) != 0) {
    std::perror("sched_setscheduler");
    return 1;
  }
  setpriority(PRIO_PROCESS, 0, 19);
  if (!joinIdleGroup()) write("/proc/self/autogroup", 19);
  for (;;) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }
}
