// Admission control's window and its formula, beside a model that keeps every request.
#include "proxy/filters/admission_window.h"

#include <doctest/doctest.h>

#include <cmath>
#include <deque>
#include <random>

#include "base/clock.h"
#include "support/repetitions.h"

using namespace millrace;

namespace {

// Envoy's: seconds as they began, each with what was recorded in it.
struct Model {
  struct Second {
    uint64_t start;
    uint64_t requests = 0, successes = 0;
  };
  std::deque<Second> seconds;
  uint64_t window;

  void moveTo(uint64_t now) {
    while (!seconds.empty() && now - seconds.front().start >= window) seconds.pop_front();
    if (seconds.empty() || now - seconds.back().start >= kNsPerSec) seconds.push_back({now});
  }
  void record(bool success, uint64_t now) {
    moveTo(now);
    seconds.back().requests++;
    seconds.back().successes += success;
  }
  AdmissionWindow::Counts counts(uint64_t now) {
    moveTo(now);
    AdmissionWindow::Counts sum;
    for (const Second& s : seconds) {
      sum.requests += s.requests;
      sum.successes += s.successes;
    }
    return sum;
  }
};

}  // namespace

TEST_CASE("the window counts what its seconds hold") {
  for (uint32_t seconds : {1u, 2u, 30u}) {
    std::mt19937 random(seconds);
    AdmissionWindow window;
    window.resize(seconds);
    Model model{.seconds = {}, .window = seconds * kNsPerSec};
    uint64_t now = 123 * kNsPerSec;
    for (int i = 0; i < repetitions(50'000); i++) {
      // Bursts, pauses, and now and then a silence that is longer than the window.
      uint32_t kind = random() % 1000;
      now += kind == 0   ? (seconds + 2) * kNsPerSec
             : kind < 50 ? random() % (2 * kNsPerSec)
                         : random() % (20 * kNsPerMs);
      bool success = random() % 4 != 0;
      if (random() % 3 != 0) {
        window.record(success, now);
        model.record(success, now);
      }
      auto is = window.counts(now), should = model.counts(now);
      REQUIRE(is.requests == should.requests);
      REQUIRE(is.successes == should.successes);
      uint64_t age = (now - model.seconds.front().start) / kNsPerSec;
      REQUIRE(window.averageRps(now) == should.requests / std::max<uint64_t>(age, 1));
    }
  }
}

TEST_CASE("nobody is turned away while enough succeed") {
  CHECK(rejectionProbability({0, 0}, {}) == 0);
  CHECK(rejectionProbability({100, 100}, {}) == 0);
  CHECK(rejectionProbability({100, 95}, {}) == 0);
  CHECK(rejectionProbability({100, 96}, {.aggression = 3}) == 0);
  CHECK(rejectionProbability({100, 0}, {.threshold = 0}) == 0);
}

TEST_CASE("the chance to be turned away is that of the documented formula") {
  // (rq_count - rq_success_count / sr_threshold) / (rq_count + 1), to the power of 1 / aggression.
  CHECK(rejectionProbability({99, 0}, {.mostRejected = 1}) == doctest::Approx(0.99));
  CHECK(rejectionProbability({99, 45}, {.threshold = 0.9, .mostRejected = 1}) ==
        doctest::Approx(0.49));
  CHECK(rejectionProbability({99, 45}, {.aggression = 2, .threshold = 0.9, .mostRejected = 1}) ==
        doctest::Approx(0.7));
  CHECK(rejectionProbability({99, 0}, {}) == doctest::Approx(0.8));
  CHECK(rejectionProbability({99, 0}, {.mostRejected = 0}) == 0);
  double before = -1;
  for (uint64_t successes = 100; successes-- > 0;) {
    double now = rejectionProbability({100, successes}, {.mostRejected = 1});
    CHECK(now >= before);
    before = now;
  }
}
