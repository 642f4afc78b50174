// Access logs: which lines are written (filters), how they look (formats), and where they go (flush
// files).
//
//   StreamInfo ─▶ filter ─▶ format ─▶ this worker's ring ─▶ flush thread ─▶ file, stdout, stderr
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/arena.h"
#include "base/result.h"
#include "flush/ring.h"
#include "http/headers.h"
#include "proxy/formatter.h"
#include "proxy/log_filter.h"
#include "proxy/spec.h"
#include "rcu/reader.h"

namespace millrace {

// The access logs of one connection manager, TCP proxy or listener, compiled. Part of the
// listener's snapshot: immutable, read by every worker.
class AccessLogs {
 public:
  AccessLogs() = default;
  // `where`: their path in the configuration, for errors.
  static Result<AccessLogs> compile(const std::vector<spec::AccessLog>& specs,
                                    const std::string& where);

  bool any() const { return !entries_.empty(); }
  // Whether a format prints the local address of that side; asking the kernel for it costs a system
  // call.
  bool usesLocalAddress() const { return usesLocal_; }
  bool usesUpstreamLocalAddress() const { return usesUpstreamLocal_; }

 private:
  friend class AccessLogWriter;
  struct Entry {
    uint32_t log;
    std::optional<LogFilter> filter;
    FormatProgram format;
  };
  std::vector<Entry> entries_;
  bool usesLocal_ = false;
  bool usesUpstreamLocal_ = false;
};

// A worker's end of all log files. Writing costs formatting and a copy: no allocation, no lock, no
// system call (but for the wake-up of flush/ring.h). Thread rule: the worker's loop.
class AccessLogWriter {
 public:
  // `runtime`: the slot of the runtime snapshot.
  AccessLogWriter(Reader& slots, SlotId runtime);
  ~AccessLogWriter();
  AccessLogWriter(const AccessLogWriter&) = delete;
  AccessLogWriter& operator=(const AccessLogWriter&) = delete;

  // Lines of `log` go to `ring` from now on; null: the log was closed. To be done before a listener
  // that names the log is added, and undone only after the last stream of such a listener has
  // ended.
  void setRing(uint32_t log, std::shared_ptr<FlushRing> ring);

  // Writes a line of `info` to each of `logs` whose filter lets it pass. `info` is complete.
  void write(const AccessLogs& logs, const StreamInfo& info);

  // Lines that found no ring: written after their log was closed.
  uint64_t homeless() const { return homeless_; }

 private:
  Reader& slots_;
  const SlotId runtime_;
  std::vector<std::shared_ptr<FlushRing>> rings_;
  const std::unique_ptr<char[]> line_;
  ChunkPool chunks_;
  Arena arena_;
  const HeaderList noHeaders_;  // of connections that carried no request
  uint64_t homeless_ = 0;
};

}  // namespace millrace
