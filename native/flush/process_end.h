// What becomes of open flush files when the process ends. Only files with an endDeadlineMs.
//
//   exit(), return from main     every file is flushed by its own thread, within its deadline
//   SIGTERM, SIGINT, SIGHUP,     every signal that ends a process, where nobody else handles it:
//   its SIGQUIT, SIGUSR2 …           handler here writes what is buffered within the deadline, then
//   the
//                                default action follows
//   kFatal: SIGSEGV, SIGABRT …   the same, then what would have happened without us. A handler that
//                                was there before is asked first where it may mend a fault
//                                (WebAssembly's, for SIGSEGV and SIGBUS)
//
// Lines that could not be written, and those that full buffers dropped, are said on stderr: one
// line for each file. The handlers make async-signal-safe calls only; see flush_last.cc.
//
// A second such signal during the flush changes nothing; the deadline bounds it. A crash of a flush
// thread itself, and SIGKILL, lose what is buffered.
//
// State of the process, because signals and its end are the process's.
#pragma once

#include <signal.h>

#include <cstddef>

#include "base/result.h"

namespace millrace {

class FlushThread;
struct FlushShared;
struct FlushLoss;

class ProcessEnd {
 public:
  // Raised by what a thread itself does wrong, as a rule.
  static constexpr int kFatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
  // All others that end a process which does not handle them, as far as they can be handled; on
  // Linux those of real time, too.
  static const sigset_t& terminating();
  // A handler walks a table that cannot grow. Each file has a thread; far fewer are sensible.
  static constexpr size_t kMaxFiles = 1024;

  // Any thread. The thread must be removed, by itself and last thing, before it is destroyed.
  static Status enroll(FlushThread* thread);
  static void remove(FlushThread* thread);

  // Any thread. Takes those of terminating() that are left to their default action, or to a
  // handler that lasts for one signal (Node's own, which restores the terminal). enroll() calls it;
  // to be called again when a handler of somebody else has gone.
  static void watch();

  // Says on stderr what of a file is lost, unless nothing is or it was said. Async-signal-safe;
  // writes nothing when stderr has no room.
  static void sayLoss(FlushShared& file, const FlushLoss& loss);
};

}  // namespace millrace
