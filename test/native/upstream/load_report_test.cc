// Reports of load: what is read of each format, what is none, and the weights that follow.
#include "upstream/load_report.h"

#include <cmath>
#include <cstring>
#include <initializer_list>
#include <limits>

#include "base/clock.h"
#include "stats/registry.h"
#include "upstream/balancer_kit.h"
#include "upstream/cluster.h"

using namespace millrace;
using namespace millrace::test;

namespace {

struct Read {
  LoadReportState state;
  LoadReport report;
};

Read read(std::initializer_list<std::pair<const char*, std::string>> fields) {
  ChunkPool pool;
  Arena arena(pool);
  HeaderList list(arena);
  for (const auto& [name, value] : fields) list.add(name, value, headerId(name));
  Read read;
  read.state = readLoadReport(list, read.report);
  return read;
}

constexpr const char* kName = "endpoint-load-metrics";

bool isExample(const Read& r) {
  return r.state == LoadReportState::kRead && r.report.cpuUtilization == 0.7 &&
         r.report.applicationUtilization == 0.8 && r.report.rpsFractional == 1000 &&
         r.report.eps == 2;
}

std::string base64(std::string_view bytes, bool padded = true) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    size_t n = std::min(bytes.size() - i, size_t(3));
    for (size_t j = 0; j < 3; j++) group = group << 8 | (j < n ? uint8_t(bytes[i + j]) : 0);
    for (size_t j = 0; j <= n; j++) out += kDigits[group >> (18 - 6 * j) & 63];
    for (size_t j = n; padded && j < 3; j++) out += '=';
  }
  return out;
}

std::string fixed(int number, double value) {
  std::string out(1, char(number << 3 | 1));
  char bytes[8];
  std::memcpy(bytes, &value, 8);
  return out.append(bytes, 8);
}

const std::string kMessage = fixed(1, 0.7) + fixed(2, 0.9) + fixed(9, 0.8) + fixed(6, 1000) +
                             fixed(7, 2) + std::string("\x42\x0e\x0a\x03") + "foo" + fixed(2, 123) +
                             std::string("\x18\x05", 2);

}  // namespace

TEST_CASE("a report as text, JSON, base64, or in a field of its own") {
  const char* text =
      "TEXT cpu_utilization=0.7, application_utilization=0.8 ,mem_utilization=0.9,"
      "rps_fractional=1e3,eps=2,named_metrics.foo=123,utilization.total=0.5,request_cost.x=1";
  CHECK(isExample(read({{kName, text}})));
  std::string colons = text;
  std::replace(colons.begin(), colons.end(), '=', ':');
  CHECK(isExample(read({{kName, colons}})));
  CHECK(isExample(read({{kName,
                         R"(JSON { "cpu_utilization":0.7, "applicationUtilization" : "0.8",
                         "rps_fractional": 1000.0, "eps": 2, "rps": "17", "mem_utilization": null,
                         "named_metrics": {"a\"}": 1, "b": [1, {"c": true}], "d": {}}} )"}})));
  CHECK(isExample(read({{kName, "BIN " + base64(kMessage)}})));
  CHECK(isExample(read({{"Endpoint-Load-Metrics-Bin", base64(kMessage)}})));
  CHECK(isExample(read({{"endpoint-load-metrics-bin", base64(kMessage, false)}})));
  // That field wins, as in Envoy.
  CHECK(isExample(read({{kName, "TEXT eps=9"}, {"endpoint-load-metrics-bin", base64(kMessage)}})));
  CHECK(read({{"server", "x"}}).state == LoadReportState::kNone);
}

TEST_CASE("what is no report, and leaves what was there") {
  for (std::string bad : {"",
                          "TEXT ",
                          "TEXT eps",
                          "TEXT eps=",
                          "TEXT eps=a",
                          "TEXT eps=0x1",
                          "TEXT eps=nan",
                          "TEXT eps=inf",
                          "TEXT eps=1e400",
                          "TEXT eps=1,eps=2",
                          "TEXT load=1",
                          "TEXT named_metrics.=1",
                          "text eps=1",
                          "JSON ",
                          "JSON {",
                          "JSON []",
                          "JSON {}x",
                          "JSON {\"eps\":}",
                          "JSON {\"eps\":1,}",
                          "JSON {\"eps\":true}",
                          "JSON {\"eps\":\"a\"}",
                          "JSON {\"eps\" 1}",
                          "JSON {\"a\":[1,]}",
                          "JSON {\"a\":\"\n\"}",
                          "JSON {\"a\":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}",
                          "BIN !!!!",
                          "BIN A",
                          "BIN AAA",
                          "XML <a/>"}) {
    INFO(bad);
    auto result = read({{kName, bad}});
    CHECK(result.state == LoadReportState::kBad);
    CHECK(result.report.eps == 0);
  }
  CHECK(read({{kName, "TEXT eps=1."}}).report.eps == 1);
  CHECK(read({{kName, "TEXT eps=.5"}}).report.eps == 0.5);
  CHECK(read({{kName, "TEXT eps=+5E-1"}}).report.eps == 0.5);
  CHECK(read({{kName, "TEXT eps=-5"}}).report.eps == -5);
  CHECK(read({{kName, "JSON {}"}}).state == LoadReportState::kRead);
  // Every end of the message that is not its own, a length beyond it, groups, field 0, NaN.
  for (size_t length = 1; length < kMessage.size(); length++) {
    LoadReport report;
    bool whole = length % 9 == 0 && length <= 45;
    whole = whole || length == 61;
    CHECK(readBinaryReport(base64(kMessage.substr(0, length)), report) == whole);
  }
  LoadReport report;
  for (const std::string& bytes :
       {std::string("\x42\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), std::string("\x0b\x0c"),
        std::string("\x00\x00", 2), std::string("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"),
        fixed(7, std::numeric_limits<double>::quiet_NaN()),
        fixed(7, std::numeric_limits<double>::infinity())}) {
    CHECK_FALSE(readBinaryReport(base64(bytes), report));
  }
}

TEST_CASE("a weight is requests by utilization, and errors are utilization too") {
  auto weight = [](LoadReport r, double penalty = 1) { return weightOf(r, penalty); };
  CHECK(weight({.cpuUtilization = 0.5, .rpsFractional = 100}) == 200);
  CHECK(weight({.cpuUtilization = 0.5, .applicationUtilization = 0.25, .rpsFractional = 100}) ==
        400);
  CHECK(weight({.cpuUtilization = 0.5, .rpsFractional = 100, .eps = 50}) == 100);
  CHECK(weight({.cpuUtilization = 0.5, .rpsFractional = 100, .eps = 50}, 0) == 200);
  CHECK(weight({.cpuUtilization = 0.5, .rpsFractional = 100, .eps = 50}, 3) == 50);
  CHECK(weight({.rpsFractional = 100, .eps = 50}) == 200);
  CHECK(weight({.cpuUtilization = 5, .rpsFractional = 1}) == 1);
  CHECK(weight({.cpuUtilization = 1e-300, .rpsFractional = 1}) == UINT32_MAX);
  CHECK(weight({.cpuUtilization = 0.5}) == 0);
  CHECK(weight({.rpsFractional = 100}) == 0);
  CHECK(weight({.cpuUtilization = -1, .rpsFractional = 100}) == 0);
  CHECK(weight({.cpuUtilization = 0.5, .rpsFractional = -1}) == 0);
  CHECK(weight({.cpuUtilization = NAN, .rpsFractional = NAN}) == 0);
}

TEST_CASE("a reported weight counts after the blackout, until it is too old") {
  ReportedWeight weight;
  CHECK(weight.get(1000, 100, 500) == 0);
  weight.report(7, 1000);
  CHECK(weight.get(1099, 100, 500) == 0);
  CHECK(weight.get(1100, 100, 500) == 7);
  weight.report(9, 1200);
  CHECK(weight.get(1700, 100, 500) == 9);
  CHECK(weight.get(1701, 100, 500) == 0);
  weight.report(5, 1800);  // the blackout begins anew
  CHECK(weight.get(1801, 100, 500) == 0);
  CHECK(weight.get(1900, 100, 500) == 5);
}

TEST_CASE("workers report while the main thread takes what they say") {
  ReportedWeight weight;
  std::atomic<bool> stop{false};
  std::vector<std::thread> workers;
  for (uint32_t t = 1; t <= kThreads; t++) {
    workers.emplace_back([&, t] {
      while (!stop.load(std::memory_order_relaxed)) weight.report(t, monotonicNs());
    });
  }
  // Now and then all of it is too old, and begins anew.
  uint32_t most = 0;
  for (uint64_t i = 0, good = 0; good < 1000; i++) {
    uint32_t got = weight.get(monotonicNs(), 0, i % 16 == 0 ? 0 : 1'000'000'000);
    most = std::max(most, got);
    good += got != 0;
    if (got == 0) std::this_thread::yield();
  }
  stop = true;
  for (std::thread& worker : workers) worker.join();
  CHECK(most <= kThreads);
}

namespace {

spec::Cluster reporting(int hosts, spec::ClientWeights rules) {
  spec::Cluster cluster{.name = "web"};
  cluster.lb.clientWeights = rules;
  for (uint16_t i = 0; i < hosts; i++) {
    cluster.hosts.push_back({.id = i,
                             .address = {.ip = "127.0.0.1", .port = uint16_t(1 + i)},
                             .weight = uint32_t(100 + i)});
  }
  return cluster;
}

std::vector<uint32_t> weights(const ClusterSnapshot& snapshot) {
  std::vector<uint32_t> weights;
  for (const HostEntry& entry : snapshot.hosts()) weights.push_back(entry.weight);
  return weights;
}

}  // namespace

TEST_CASE("hosts weigh what they report; who reports nothing weighs as the middle of the others") {
  StatsRegistry stats;
  ClusterRegistry registry(stats, 1);
  auto first = std::move(*registry.build(1, reporting(5, {.blackout = 0})));
  CHECK(weights(*first) == std::vector<uint32_t>{1, 1, 1, 1, 1});
  CHECK(*registry.reweigh(1) == nullptr);  // nothing new

  uint64_t now = monotonicNs();
  for (uint32_t i = 0; i < 3; i++)
    first->hosts()[i].host->reportedWeight().report(10 * i + 10, now);
  auto second = std::move(*registry.reweigh(1));
  REQUIRE(second != nullptr);
  CHECK(weights(*second) == std::vector<uint32_t>{10, 20, 30, 20, 20});
  // Each worker's picks are those of round robin by these weights, whole rounds exactly.
  auto counts = picks(second->balancer(), second->hosts(), 100 * 10);
  CHECK(counts == std::vector<uint64_t>{400, 800, 1200, 800, 800, 0});

  // A host that comes weighs as the middle at once; one whose weight is 0 stays out.
  spec::Host sixth{.id = 9, .address = {.ip = "127.0.0.1", .port = 99}, .weight = 77};
  spec::Host none{.id = 10, .address = {.ip = "127.0.0.1", .port = 98}, .weight = 0};
  auto third = std::move(*registry.update(1, {.set = {sixth, none}}));
  CHECK(weights(*third) == std::vector<uint32_t>{10, 20, 30, 20, 20, 20, 0});
  // What else changes of a host leaves its weight alone.
  auto fourth = std::move(*registry.update(
      1, {.set = {{.id = 2, .address = {.ip = "127.0.0.1", .port = 3}, .weight = 3}}}));
  CHECK(weights(*fourth) == std::vector<uint32_t>{10, 20, 30, 20, 20, 20, 0});

  // Without the policy weights are those of the configuration again.
  auto cluster = reporting(2, {});
  cluster.lb.clientWeights.reset();
  auto last = std::move(*registry.build(1, cluster));
  CHECK(weights(*last)[0] == 100);
  CHECK(weights(*last)[1] == 101);
  CHECK(*registry.reweigh(1) == nullptr);
  CHECK_FALSE(registry.reweigh(2).ok());
}

TEST_CASE("the middle is that of a priority; the blackout holds") {
  StatsRegistry stats;
  ClusterRegistry registry(stats, 1);
  auto cluster = reporting(4, {.blackout = 0});
  cluster.hosts[2].priority = cluster.hosts[3].priority = 1;
  auto first = std::move(*registry.build(1, cluster));
  uint64_t now = monotonicNs();
  first->hosts()[0].host->reportedWeight().report(10, now);
  first->hosts()[2].host->reportedWeight().report(40, now);
  CHECK(weights(**registry.reweigh(1)) == std::vector<uint32_t>{10, 10, 40, 40});
  cluster.lb.clientWeights->blackout = 3'600'000;
  auto second = std::move(*registry.build(1, cluster));
  CHECK(weights(**registry.reweigh(1)) == std::vector<uint32_t>{1, 1, 1, 1});
}
