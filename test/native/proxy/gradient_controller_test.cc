// The limit of requests under way: each step beside a model that computes it from the samples
// themselves, with a clock and chance of our own; and what several workers make of it at once.
#include "proxy/filters/gradient_controller.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <thread>
#include <vector>

#include "base/clock.h"

using namespace millrace;

namespace {

// As the documentation says it, of exact samples.
struct Model {
  uint32_t least, most;
  double buffer;
  double minRtt = 0;
  uint32_t limit;

  static double median(std::vector<double> samples) {
    std::sort(samples.begin(), samples.end());
    return samples[(samples.size() - 1) / 2];
  }
  void measured(const std::vector<double>& samples) { minRtt = median(samples); }
  void sampled(const std::vector<double>& samples) {
    double gradient = std::clamp(minRtt * (1 + buffer) / median(samples), 0.5, 2.0);
    double next = limit * gradient;
    next += std::sqrt(next);
    limit = std::max(least, uint32_t(std::min(next, double(most))));
  }
};

struct Control {
  explicit Control(spec::Gradient spec, uint32_t workers = 1) : controller(spec, workers) {}

  GradientController::Moment at(uint32_t worker = 0) const {
    return {worker, nowNs, nullptr, random};
  }
  bool tick() {
    bool published = false;
    controller.tick(at(), [&](const GradientFigures& f) {
      figures = f;
      published = true;
    });
    return published;
  }
  // One request after the other; each takes so long.
  void serve(const std::vector<double>& samplesUs) {
    for (double us : samplesUs) {
      tick();
      REQUIRE(controller.tryTake());
      uint64_t sent = nowNs;
      nowNs += uint64_t(us) * 1000;
      controller.record(at(), sent);
    }
  }

  GradientController controller;
  GradientFigures figures;
  uint64_t nowNs = kNsPerSec;
  uint64_t random = 0;
};

spec::Gradient gradient() {
  spec::Gradient spec;
  spec.measureEvery.value = 60'000;
  spec.updateEvery.value = 100;
  spec.requests.value = 10;
  return spec;
}

std::vector<double> around(double us, size_t count, std::mt19937& random) {
  std::vector<double> samples;
  for (size_t i = 0; i < count; i++) samples.push_back(us + random() % uint32_t(us / 5 + 1));
  return samples;
}

}  // namespace

TEST_CASE("it begins by measuring, with few requests at once") {
  Control c(gradient());
  CHECK(c.tick());
  CHECK(c.figures.measuring == 1);
  CHECK(c.controller.limit() == 3);
  for (int i = 0; i < 3; i++) CHECK(c.controller.tryTake());
  CHECK_FALSE(c.controller.tryTake());
  CHECK(c.controller.outstanding() == 3);
  c.controller.give();
  CHECK(c.controller.tryTake());
}

TEST_CASE("the limit follows the model") {
  std::mt19937 random(1);
  auto spec = gradient();
  spec.updateEvery.value = 1000;  // longer than the samples of a round take
  spec.measureEvery.value = 1e9;
  Control c(spec);
  Model model{.least = 3, .most = 1000, .buffer = 0.25, .limit = 3};
  auto samples = around(5000, 10, random);
  c.serve(samples);
  model.measured(samples);
  CHECK(c.tick());
  CHECK(c.figures.measuring == 0);
  CHECK(c.figures.minRttMs == uint64_t(model.minRtt / 1000));
  for (int round = 0; round < 60; round++) {
    // Ever slower, then fast again.
    samples = around(round < 30 ? 5000 + 200 * round : 4000, 21, random);
    c.serve(samples);
    c.nowNs += kNsPerSec;
    REQUIRE(c.tick());
    // Two digits of a sample are known: the model goes on from where the controller is.
    model.sampled(samples);
    CHECK(double(c.controller.limit()) == doctest::Approx(model.limit).epsilon(0.1));
    model.limit = c.controller.limit();
    CHECK(c.figures.concurrencyLimit == model.limit);
  }
}

TEST_CASE("a limit stays within its bounds, and changes by a bounded step") {
  auto spec = gradient();
  spec.mostConcurrency.value = 40;
  Control c(spec);
  c.serve(std::vector<double>(10, 1000));
  c.tick();
  for (int i = 0; i < 10; i++) {
    uint32_t before = c.controller.limit();
    c.serve({1000});
    c.nowNs += 100 * kNsPerMs;
    c.tick();
    CHECK(c.controller.limit() >= before);
    CHECK(c.controller.limit() <= 2 * before + std::sqrt(2 * before) + 1);
  }
  CHECK(c.controller.limit() == 40);
  c.serve({1'000'000});
  c.nowNs += 100 * kNsPerMs;
  c.tick();
  CHECK(c.controller.limit() == 24);  // 40 × 0.5 and its root
  CHECK(c.figures.burstQueueSize == 4);
}

TEST_CASE("an interval without requests changes nothing") {
  Control c(gradient());
  c.serve(std::vector<double>(10, 1000));
  c.tick();
  uint32_t before = c.controller.limit();
  c.nowNs += 5 * kNsPerSec;
  CHECK(c.tick());
  CHECK_FALSE(c.tick());  // not before the next interval
  CHECK(c.controller.limit() == before);
  CHECK(c.figures.sampleRttMs == 0);
}

TEST_CASE("the time without load is measured again after the interval and its jitter") {
  auto spec = gradient();
  Control c(spec);
  c.random = 1234;
  c.serve(std::vector<double>(10, 1000));
  c.tick();
  // 15 % of 60 s are 9000 ms; 1234 % 9000.
  const uint64_t due = c.nowNs + (60'000 + 1234) * kNsPerMs;
  c.nowNs = due - 1;
  c.tick();
  CHECK(c.figures.measuring == 0);
  uint32_t before = c.controller.limit();
  c.nowNs = due;
  CHECK(c.tick());
  CHECK(c.figures.measuring == 1);
  CHECK(c.controller.limit() == 3);
  c.serve(std::vector<double>(10, 2500));
  CHECK(c.tick());
  CHECK(c.controller.limit() == before);  // as it was
  CHECK(c.figures.minRttMs == 2);
}

TEST_CASE("requests that were begun before do not count as without load") {
  Control c(gradient());
  c.serve(std::vector<double>(10, 1000));
  c.tick();
  CHECK(c.controller.tryTake());
  uint64_t early = c.nowNs;
  c.nowNs += 70 * kNsPerSec;
  c.tick();
  REQUIRE(c.figures.measuring == 1);
  c.nowNs += kNsPerSec;
  c.controller.record(c.at(), early);
  CHECK(c.controller.outstanding() == 0);
  c.serve(std::vector<double>(10, 1500));
  c.tick();
  CHECK(c.figures.minRttMs == 1);
}

TEST_CASE("five times at the least limit, and the time is measured anew") {
  Control c(gradient());
  c.serve(std::vector<double>(10, 1000));
  c.tick();
  for (int i = 0; i < 5; i++) {
    CHECK(c.figures.measuring == 0);
    c.serve({100'000});
    c.nowNs += 100 * kNsPerMs;
    c.tick();
    CHECK(c.controller.limit() == 3);
  }
  c.tick();
  CHECK(c.figures.measuring == 1);
}

TEST_CASE("flags come before what is configured") {
  auto spec = gradient();
  spec.leastConcurrency.flag = 0;
  spec.requests.flag = 1;
  spec.mostConcurrency.flag = 2;
  std::vector<spec::RuntimeValue> values(3);
  values[0] = {.set = true, .value = 7};
  values[1] = {.set = true, .value = 2};
  values[2] = {.set = true, .value = 9};
  RuntimeSnapshot runtime(values);
  Control c(spec);
  auto tick = [&] {
    GradientController::Moment at = c.at();
    at.runtime = &runtime;
    c.controller.tick(at, [&](const GradientFigures& f) { c.figures = f; });
  };
  tick();
  CHECK(c.controller.limit() == 7);
  for (int i = 0; i < 2; i++) {
    REQUIRE(c.controller.tryTake());
    c.controller.record(c.at(), c.nowNs - 1'000'000);
  }
  c.nowNs += 1;
  // Both were begun before the measuring did.
  tick();
  CHECK(c.figures.measuring == 1);
  for (int i = 0; i < 2; i++) {
    REQUIRE(c.controller.tryTake());
    c.controller.record(c.at(), c.nowNs);
  }
  tick();
  CHECK(c.figures.measuring == 0);
  for (int i = 0; i < 5; i++) {
    REQUIRE(c.controller.tryTake());
    c.controller.record(c.at(), c.nowNs);
    c.nowNs += 100 * kNsPerMs;
    tick();
  }
  CHECK(c.controller.limit() == 9);
}

TEST_CASE("samples of all workers count, those of an earlier epoch do not") {
  LatencySamples all[3];
  for (int i = 0; i < 10; i++) all[0].add(4, 1'000'000);
  for (int i = 0; i < 10; i++) all[0].add(5, 100);
  for (int i = 0; i < 10; i++) all[1].add(5, 300);
  for (int i = 0; i < 10; i++) all[2].add(4, 900);
  uint64_t count = 0;
  double half = LatencySamples::quantile(all, 5, 0.5, count);
  CHECK(count == 20);
  CHECK(half > 90);
  CHECK(half <= 100);
  CHECK(LatencySamples::quantile(all, 5, 1, count) == doctest::Approx(300));
  CHECK(LatencySamples::quantile(all, 6, 0.5, count) == 0);
  CHECK(count == 0);
}

TEST_CASE("workers ask and tell at once, and never have more under way than may be") {
  auto spec = gradient();
  spec.mostConcurrency.value = 50;
  spec.updateEvery.value = 1;
  spec.measureEvery.value = 20;
  constexpr uint32_t kWorkers = 4;
  GradientController controller(spec, kWorkers);
  std::atomic<uint64_t> computed{0};
  std::atomic<int> publishing{0}, overlaps{0}, most{0}, underway{0};
  std::vector<std::thread> workers;
  for (uint32_t w = 0; w < kWorkers; w++) {
    workers.emplace_back([&, w] {
      std::mt19937 random(w);
      for (int i = 0; i < 20'000; i++) {
        uint64_t now = monotonicNs();
        GradientController::Moment at{w, now, nullptr, random()};
        controller.tick(at, [&](const GradientFigures&) {
          if (publishing++ != 0) overlaps++;
          computed++;
          publishing--;
        });
        if (!controller.tryTake()) continue;
        int n = ++underway, seen = most;
        while (n > seen && !most.compare_exchange_weak(seen, n)) {
        }
        underway--;
        if (i % 10 == 0) {
          controller.give();
        } else {
          at.nowNs = now + random() % 1'000'000;
          controller.record(at, now);
        }
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  CHECK(controller.outstanding() == 0);
  CHECK(computed > 0);
  CHECK(overlaps == 0);
  CHECK(most <= int(kWorkers));
  CHECK(controller.limit() >= 3);
  CHECK(controller.limit() <= 50);
}
