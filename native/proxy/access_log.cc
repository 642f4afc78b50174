// Access logs: compiling and writing; see access_log.h.
#include "proxy/access_log.h"

#include <string_view>
#include <utility>

#include "base/clock.h"
#include "proxy/runtime.h"

namespace millrace {

Result<AccessLogs> AccessLogs::compile(const std::vector<spec::AccessLog>& specs,
                                       const std::string& where) {
  AccessLogs logs;
  for (size_t i = 0; i < specs.size(); i++) {
    const std::string at = where + "[" + std::to_string(i) + "]";
    auto format = FormatProgram::compile(specs[i].format, at + ".format");
    if (!format) return format.error();
    logs.usesLocal_ |= format->usesDownstreamLocal();
    logs.usesUpstreamLocal_ |= format->usesUpstreamLocal();
    std::optional<LogFilter> filter;
    if (specs[i].filter) {
      auto compiled = LogFilter::compile(*specs[i].filter, at + ".filter");
      if (!compiled) return compiled.error();
      filter = std::move(*compiled);
    }
    logs.entries_.push_back({specs[i].log, std::move(filter), std::move(*format)});
  }
  return logs;
}

AccessLogWriter::AccessLogWriter(Reader& slots, SlotId runtime)
    : slots_(slots),
      runtime_(runtime),
      line_(std::make_unique_for_overwrite<char[]>(FormatProgram::kMaxLineBytes)),
      arena_(chunks_),
      noHeaders_(arena_) {}

AccessLogWriter::~AccessLogWriter() = default;

void AccessLogWriter::setRing(uint32_t log, std::shared_ptr<FlushRing> ring) {
  if (log >= rings_.size()) rings_.resize(log + 1);
  rings_[log] = std::move(ring);
}

void AccessLogWriter::write(const AccessLogs& logs, const StreamInfo& info) {
  for (const AccessLogs::Entry& entry : logs.entries_) {
    if (entry.filter) {
      const auto* runtime = slots_.get<RuntimeSnapshot>(runtime_);
      if (!entry.filter->passes(info, runtime, noHeaders_)) continue;
    }
    FlushRing* ring = entry.log < rings_.size() ? rings_[entry.log].get() : nullptr;
    if (ring == nullptr) {
      homeless_++;
      continue;
    }
    const size_t size = entry.format.run(info, line_.get(), FormatProgram::kMaxLineBytes);
    const uint64_t stampNs = info.endNs != 0 ? info.endNs : monotonicNs();
    ring->write({line_.get(), size}, stampNs);  // a full ring counts what it drops
  }
}

}  // namespace millrace
