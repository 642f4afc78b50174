// How many requests may be under way at once, by how long requests take (the gradient controller of
// adaptive_concurrency.proto). One for all workers.
//
//   new ─▶ measuring ─────────────────────────▶ sampling ─────┐
//            ▲   few requests at once; when       │  ▲ limit  │ each update interval
//            │   enough have ended, their time    │  └────────┘
//            │   is the time without load         │
//            └─── after an interval, or when the limit was the least one five times in a row
//
// The limit of the next interval is the last one, times (time without load ÷ time now), and a
// headroom of its square root.
//
// No thread of its own, no timer, no lock: workers ask and tell at every request, and one of them
// computes when something is due. The others go on meanwhile: who finds somebody computing leaves
// it to him. What is computed with is guarded by that; what decides on requests is atomic.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "proxy/filter_spec.h"
#include "proxy/filters/latency_samples.h"
#include "proxy/runtime.h"

namespace millrace {

// What the controller found out last.
struct GradientFigures {
  uint64_t concurrencyLimit = 0;
  uint64_t gradient = 0;        // rounded down
  uint64_t burstQueueSize = 0;  // the headroom, rounded down
  uint64_t measuring = 0;       // 1: the time without load is being measured
  uint64_t minRttMs = 0;
  uint64_t sampleRttMs = 0;
};

class GradientController {
 public:
  GradientController(const spec::Gradient& spec, uint32_t workers);
  GradientController(const GradientController&) = delete;
  GradientController& operator=(const GradientController&) = delete;

  // One worker, now.
  struct Moment {
    uint32_t worker;
    uint64_t nowNs;
    const RuntimeSnapshot* runtime;  // null: the configured values
    uint64_t random;                 // for the jitter
  };

  // Whether one more request may go. If so, give() or record() is next. Any worker.
  bool tryTake();
  // A request that was begun ended without an answer.
  void give() { outstanding_.fetch_sub(1, std::memory_order_relaxed); }
  // One that was begun at `sentNs` was answered.
  void record(const Moment& at, uint64_t sentNs);
  // Computes what is due, unless somebody is at it. `publish(const GradientFigures&)` is called
  // when they changed, by one worker at a time. Any worker, at every request.
  template <typename F>
  void tick(const Moment& at, F publish) {
    if (!due(at) || busy_.exchange(true, std::memory_order_acquire)) return;
    if (due(at)) {
      compute(at);
      publish(figures_);
    }
    busy_.store(false, std::memory_order_release);
  }

  uint32_t limit() const { return limit_.load(std::memory_order_relaxed); }
  uint32_t outstanding() const { return outstanding_.load(std::memory_order_relaxed); }
  // When no worker uses it any more.
  const GradientFigures& figures() const { return figures_; }

 private:
  enum class Phase : uint8_t { kNew, kMeasuring, kSampling };
  // So often in a row the limit is the least one, before the time without load is measured again.
  static constexpr uint32_t kMostAtLeast = 5;
  // The values in force, in the units of the computation.
  struct Values {
    double percentile, jitter, buffer;  // 0 to 1
    uint32_t leastConcurrency, mostConcurrency, requests;
    uint64_t measureEveryMs, updateEveryMs;
  };

  bool due(const Moment& at) const;
  void compute(const Moment& at);
  void beginMeasuring(const Moment& at, const Values& values);
  void endMeasuring(const Moment& at, const Values& values);
  void updateLimit(const Moment& at, const Values& values);
  void setLimit(uint32_t limit, const Values& values);
  uint32_t nextLimit(const Values& values);
  // The time of a request by the samples of this epoch, µs; false: there are none. The next epoch
  // begins.
  bool takeSamples(const Values& values, double& us);
  Values valuesNow(const RuntimeSnapshot* runtime) const;
  uint32_t requestsWanted(const RuntimeSnapshot* runtime) const;
  std::span<const LatencySamples> samples() const { return {samples_.get(), workers_}; }

  const spec::Gradient spec_;
  const uint32_t workers_;
  const std::unique_ptr<LatencySamples[]> samples_;

  // Read and written at every request.
  alignas(64) std::atomic<uint32_t> outstanding_{0};
  std::atomic<uint32_t> limit_;

  // Written by who computes.
  alignas(64) std::atomic<Phase> phase_{Phase::kNew};
  std::atomic<uint32_t> epoch_{1};
  std::atomic<uint64_t> measuredSinceNs_{0};  // requests begun before do not count
  std::atomic<uint64_t> measureAtNs_{0}, updateAtNs_{0};
  std::atomic<bool> busy_{false};

  // Of who computes.
  double minRttUs_ = 0, sampleRttUs_ = 0;
  uint32_t limitBefore_ = 0;  // while measuring
  uint32_t timesAtLeast_ = 0;
  GradientFigures figures_;
};

}  // namespace millrace
