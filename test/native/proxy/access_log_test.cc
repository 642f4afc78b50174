// Access logs end to end: filters, several logs, rings, files; and that a line costs no heap
// allocation.
#include "proxy/access_log.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/clock.h"
#include "flush/flush_file.h"
#include "proxy/format_fixture.h"
#include "rcu/slot_table.h"
#include "support/allocations.h"

using namespace millrace;
using namespace millrace::test;

namespace {

using Filter = spec::LogFilter;

// A log file in a folder of its own, a slot table with a runtime slot, and one worker's writer.
struct LogBench {
  LogBench() {
    std::string pattern = "/tmp/millrace-log-XXXXXX";
    folder = mkdtemp(pattern.data());
    runtimeSlot = *table.allocate("runtime");
    reader = table.attach(nullptr, nullptr);
    writer = std::make_unique<AccessLogWriter>(*reader, runtimeSlot);
  }
  ~LogBench() {
    writer.reset();
    table.detach(reader);
    for (auto& f : files) f->stop(5000);
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  void open(uint32_t log) {
    FlushOptions options;
    options.target.path = path(log);
    auto file = FlushFile::create(std::move(options));
    REQUIRE(file.ok());
    writer->setRing(log, (*file)->attach());
    files.push_back(std::move(*file));
  }
  std::string path(uint32_t log) const { return folder + "/" + std::to_string(log) + ".log"; }
  std::string contents(uint32_t log) {
    for (auto& f : files) REQUIRE(f->flush(5000));
    std::ifstream in(path(log));
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }

  SlotTable table;
  SlotId runtimeSlot;
  Reader* reader;
  std::unique_ptr<AccessLogWriter> writer;
  std::vector<std::unique_ptr<FlushFile>> files;
  std::string folder;
};

spec::AccessLog logOf(uint32_t log, spec::Format format, std::optional<Filter> filter = {}) {
  return {log, std::move(format), std::move(filter)};
}

AccessLogs compiledLogs(std::vector<spec::AccessLog> specs) {
  auto logs = AccessLogs::compile(specs, "access_log");
  REQUIRE(logs.ok());
  return std::move(*logs);
}

Filter comparison(Filter::Kind kind, Filter::Op op, uint64_t value,
                  spec::RuntimeIndex flag = spec::kNoFlag) {
  Filter f;
  f.kind = kind;
  f.op = op;
  f.value = value;
  f.flag = flag;
  return f;
}

Filter group(Filter::Kind kind, std::vector<Filter> filters) {
  Filter f;
  f.kind = kind;
  f.filters = std::move(filters);
  return f;
}

Filter flags(std::vector<std::string> names) {
  Filter f;
  f.kind = Filter::Kind::kFlag;
  f.flags = std::move(names);
  return f;
}

Filter headerIs(std::string name, std::string value, bool invert = false) {
  Filter f;
  f.kind = Filter::Kind::kHeader;
  f.header.name = std::move(name);
  f.header.kind = spec::HeaderMatcher::Kind::kString;
  f.header.string.value = std::move(value);
  f.header.invert = invert;
  return f;
}

// Whether a filter passes, asked of the filter itself.
bool passes(const Filter& filter, const StreamInfo& info,
            const RuntimeSnapshot* runtime = nullptr) {
  auto compiled = LogFilter::compile(filter, "filter");
  REQUIRE(compiled.ok());
  ChunkPool chunks;
  Arena arena(chunks);
  const HeaderList none(arena);
  return compiled->passes(info, runtime, none);
}

}  // namespace

TEST_CASE("status and duration filters, with their runtime overrides") {
  SampleStream s;  // 200, 9 ms
  using Op = Filter::Op;
  const auto status = [&](Op op, uint64_t value) {
    return passes(comparison(Filter::Kind::kStatus, op, value), s.info);
  };
  CHECK(status(Op::kEq, 200));
  CHECK_FALSE(status(Op::kEq, 201));
  CHECK(status(Op::kGe, 200));
  CHECK_FALSE(status(Op::kGe, 201));
  CHECK(status(Op::kLe, 200));
  CHECK_FALSE(status(Op::kLe, 199));
  CHECK(status(Op::kNe, 404));
  CHECK_FALSE(status(Op::kNe, 200));
  const auto duration = [&](Op op, uint64_t ms) {
    return passes(comparison(Filter::Kind::kDuration, op, ms), s.info);
  };
  CHECK(duration(Op::kGe, 9));
  CHECK_FALSE(duration(Op::kGe, 10));
  CHECK(duration(Op::kLe, 9));
  const RuntimeSnapshot runtime({{true, 500, 0}, {false, 0, 0}});
  CHECK_FALSE(passes(comparison(Filter::Kind::kStatus, Op::kGe, 100, 0), s.info, &runtime));
  CHECK(passes(comparison(Filter::Kind::kStatus, Op::kGe, 100, 1), s.info, &runtime));
  CHECK(passes(comparison(Filter::Kind::kStatus, Op::kGe, 100, 0), s.info, nullptr));
  s.info.endNs = 0;
  CHECK_FALSE(duration(Op::kGe, 0));
}

TEST_CASE("and, or, header and flag filters") {
  SampleStream s;
  const Filter yes = comparison(Filter::Kind::kStatus, Filter::Op::kEq, 200);
  const Filter no = comparison(Filter::Kind::kStatus, Filter::Op::kEq, 500);
  CHECK(passes(group(Filter::Kind::kAnd, {yes, yes}), s.info));
  CHECK_FALSE(passes(group(Filter::Kind::kAnd, {yes, no}), s.info));
  CHECK(passes(group(Filter::Kind::kOr, {no, yes}), s.info));
  CHECK_FALSE(passes(group(Filter::Kind::kOr, {no, no}), s.info));
  CHECK(passes(group(Filter::Kind::kOr, {no, group(Filter::Kind::kAnd, {yes, yes})}), s.info));
  CHECK(passes(headerIs("user-agent", "curl/8.5.0"), s.info));
  CHECK_FALSE(passes(headerIs("user-agent", "curl/8.5.0", true), s.info));
  CHECK(passes(headerIs(":method", "GET"), s.info));
  CHECK(passes(headerIs("x-custom", "one,two"), s.info));
  CHECK_FALSE(passes(flags({}), s.info));
  s.info.setFlag(ResponseFlag::kNoRouteFound);
  CHECK(passes(flags({}), s.info));
  CHECK(passes(flags({"UH", "NR"}), s.info));
  CHECK_FALSE(passes(flags({"UH", "UF"}), s.info));
  const StreamInfo tcp;  // no request at all
  CHECK_FALSE(passes(headerIs("user-agent", "curl/8.5.0"), tcp));
}

TEST_CASE("what does not compile says where") {
  auto flag = AccessLogs::compile(
      {logOf(0, defaultFormat()), logOf(0, defaultFormat(), flags({"XX"}))}, "listener.access_log");
  REQUIRE_FALSE(flag.ok());
  CHECK(flag.error().message == "listener.access_log[1].filter.flags: no response flag \"XX\"");
  auto nested = AccessLogs::compile(
      {logOf(0, defaultFormat(), group(Filter::Kind::kOr, {flags({}), flags({"YY"})}))}, "a");
  REQUIRE_FALSE(nested.ok());
  CHECK(nested.error().message == "a[0].filter.filters[1].flags: no response flag \"YY\"");
  auto format = AccessLogs::compile({logOf(0, textFormat({op("NOPE")}))}, "a");
  REQUIRE_FALSE(format.ok());
  CHECK(format.error().message == "a[0].format: %NOPE%: Millrace does not have this operator");
}

TEST_CASE("each log gets the lines that its filter lets pass, in its format") {
  LogBench bench;
  bench.open(0);
  bench.open(2);
  const AccessLogs logs =
      compiledLogs({logOf(0, textFormat({op("RESPONSE_CODE"), lit("\n")})),
                    logOf(2, textFormat({lit("error "), op("RESPONSE_CODE"), lit("\n")}),
                          comparison(Filter::Kind::kStatus, Filter::Op::kGe, 500))});
  CHECK(logs.any());
  CHECK_FALSE(AccessLogs().any());
  CHECK_FALSE(logs.usesLocalAddress());
  SampleStream s;
  for (const uint16_t code : {200, 503, 404}) {
    s.info.responseCode = code;
    bench.writer->write(logs, s.info);
  }
  CHECK(bench.contents(0) == "200\n503\n404\n");
  CHECK(bench.contents(2) == "error 503\n");
  CHECK(bench.writer->homeless() == 0);
  bench.writer->setRing(0, nullptr);
  bench.writer->write(logs, s.info);
  CHECK(bench.writer->homeless() == 1);
}

TEST_CASE("the runtime slot reaches the filters") {
  LogBench bench;
  bench.open(0);
  const AccessLogs logs =
      compiledLogs({logOf(0, textFormat({op("RESPONSE_CODE"), lit("\n")}),
                          comparison(Filter::Kind::kStatus, Filter::Op::kGe, 500, 0))});
  SampleStream s;
  bench.writer->write(logs, s.info);
  bench.table.publish(bench.runtimeSlot, std::make_unique<RuntimeSnapshot>(
                                             std::vector<spec::RuntimeValue>{{true, 200, 0}}));
  bench.table.commit();
  bench.reader->quiesce();
  bench.writer->write(logs, s.info);
  CHECK(bench.contents(0) == "200\n");
}

TEST_CASE("two workers write one file: every line whole, none lost") {
  LogBench bench;
  bench.open(0);
  const AccessLogs logs = compiledLogs({logOf(0, defaultFormat())});
  constexpr int kLines = 4000;
  std::vector<std::thread> workers;
  for (int w = 0; w < 2; w++) {
    Reader* reader = bench.table.attach(nullptr, nullptr);
    workers.emplace_back([&, reader, ring = bench.files[0]->attach()]() mutable {
      {
        AccessLogWriter writer(*reader, bench.runtimeSlot);
        writer.setRing(0, std::move(ring));
        SampleStream s;
        for (int i = 0; i < kLines; i++) {
          s.info.endNs = monotonicNs();
          s.info.bytesSent = uint64_t(i);
          writer.write(logs, s.info);
          if (i % 500 == 0) usleep(1000);
        }
      }
      reader->leave();
    });
  }
  for (auto& t : workers) t.join();
  const std::string text = bench.contents(0);
  const FlushStats stats = bench.files[0]->stats();
  CHECK(stats.writtenLines + stats.droppedLines == 2 * kLines);
  CHECK(stats.droppedLines == 0);
  std::istringstream in(text);
  int lines = 0;
  for (std::string l; std::getline(in, l); lines++) {
    REQUIRE(l.substr(0, 3) == "[20");
    REQUIRE(l.substr(l.size() - 13) == "\"10.0.2.1:80\"");
  }
  CHECK(lines == 2 * kLines);
}

TEST_CASE("a line costs no heap allocation") {
  LogBench bench;
  bench.open(0);
  std::vector<spec::FormatOp> everything;
  for (size_t i = 0; i < size_t(FormatOpKind::kCount); i++) {
    const std::string name = formatOpName(FormatOpKind(i));
    const bool header = name == "REQ" || name == "RESP" || name == "TRAILER";
    if (name == "COMMON_DURATION") {
      everything.push_back(op(name, "DS_RX_BEG", "DS_TX_END"));
    } else if (header || name == "QUERY_PARAM" || name == "ENVIRONMENT") {
      everything.push_back(op(name, header ? "user-agent" : "near"));
    } else {
      everything.push_back(op(name));
    }
    everything.push_back(lit(" "));
  }
  const AccessLogs logs = compiledLogs(
      {logOf(0, textFormat(everything), comparison(Filter::Kind::kStatus, Filter::Op::kNe, 500)),
       logOf(0, defaultFormat(), headerIs("user-agent", "curl/8.5.0"))});
  SampleStream s;
  bench.writer->write(logs, s.info);  // the generator of UNIQUE_ID is made on first use
  const size_t before = heapAllocations();
  for (int i = 0; i < 500; i++) bench.writer->write(logs, s.info);
  CHECK(heapAllocations() == before);
}
