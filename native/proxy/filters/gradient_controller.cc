#include "proxy/filters/gradient_controller.h"

#include <algorithm>
#include <cmath>

#include "base/clock.h"

namespace millrace {

GradientController::GradientController(const spec::Gradient& spec, uint32_t workers)
    : spec_(spec),
      workers_(workers),
      samples_(std::make_unique<LatencySamples[]>(workers)),
      limit_(uint32_t(spec.leastConcurrency.value)) {
  figures_.concurrencyLimit = limit();
}

bool GradientController::tryTake() {
  // Relaxed: a count that guards no other memory.
  uint32_t now = outstanding_.load(std::memory_order_relaxed);
  while (now < limit_.load(std::memory_order_relaxed)) {
    if (outstanding_.compare_exchange_weak(now, now + 1, std::memory_order_relaxed)) return true;
  }
  return false;
}

void GradientController::record(const Moment& at, uint64_t sentNs) {
  give();
  // Acquire: a sample of this epoch is of a request that was begun when it may have been.
  uint32_t epoch = epoch_.load(std::memory_order_acquire);
  if (sentNs < measuredSinceNs_.load(std::memory_order_relaxed)) return;
  samples_[at.worker].add(epoch, (at.nowNs - sentNs) / 1000);
}

bool GradientController::due(const Moment& at) const {
  switch (phase_.load(std::memory_order_relaxed)) {
    case Phase::kNew:
      return true;
    case Phase::kMeasuring: {
      uint32_t epoch = epoch_.load(std::memory_order_relaxed), count = 0;
      for (const LatencySamples& one : samples()) count += one.count(epoch);
      return count >= requestsWanted(at.runtime);
    }
    case Phase::kSampling:
      return at.nowNs >= updateAtNs_.load(std::memory_order_relaxed) ||
             at.nowNs >= measureAtNs_.load(std::memory_order_relaxed);
  }
  return false;
}

void GradientController::compute(const Moment& at) {
  const Values values = valuesNow(at.runtime);
  switch (phase_.load(std::memory_order_relaxed)) {
    case Phase::kNew:
      limit_.store(values.leastConcurrency, std::memory_order_relaxed);
      return beginMeasuring(at, values);
    case Phase::kMeasuring:
      return endMeasuring(at, values);
    case Phase::kSampling:
      if (at.nowNs >= measureAtNs_.load(std::memory_order_relaxed)) {
        return beginMeasuring(at, values);
      }
      return updateLimit(at, values);
  }
}

void GradientController::beginMeasuring(const Moment& at, const Values& values) {
  limitBefore_ = limit();
  phase_.store(Phase::kMeasuring, std::memory_order_relaxed);
  setLimit(values.leastConcurrency, values);
  measuredSinceNs_.store(at.nowNs, std::memory_order_relaxed);
  epoch_.store(epoch_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  figures_.measuring = 1;
}

void GradientController::endMeasuring(const Moment& at, const Values& values) {
  if (takeSamples(values, minRttUs_)) figures_.minRttMs = uint64_t(minRttUs_ / 1000);
  setLimit(limitBefore_, values);
  uint64_t wait = values.measureEveryMs;
  auto range = uint64_t(std::ceil(double(wait) * values.jitter));
  if (range > 0) wait += at.random % range;
  measureAtNs_.store(at.nowNs + wait * kNsPerMs, std::memory_order_relaxed);
  updateAtNs_.store(at.nowNs + values.updateEveryMs * kNsPerMs, std::memory_order_relaxed);
  figures_.measuring = 0;
  phase_.store(Phase::kSampling, std::memory_order_relaxed);
}

void GradientController::updateLimit(const Moment& at, const Values& values) {
  updateAtNs_.store(at.nowNs + values.updateEveryMs * kNsPerMs, std::memory_order_relaxed);
  if (!takeSamples(values, sampleRttUs_)) return;
  figures_.sampleRttMs = uint64_t(sampleRttUs_ / 1000);
  setLimit(nextLimit(values), values);
  // The limit is as low as it can be: perhaps because what was measured is not true any more.
  if (timesAtLeast_ >= kMostAtLeast) measureAtNs_.store(at.nowNs, std::memory_order_relaxed);
}

uint32_t GradientController::nextLimit(const Values& values) {
  double buffered = minRttUs_ * (1 + values.buffer);
  // Bounded, so that one interval changes not too much.
  double gradient = sampleRttUs_ <= 0 ? 2 : std::clamp(buffered / sampleRttUs_, 0.5, 2.0);
  double limit = limit_.load(std::memory_order_relaxed) * gradient;
  double headroom = std::sqrt(limit);
  figures_.gradient = uint64_t(gradient);
  figures_.burstQueueSize = uint64_t(headroom);
  auto next = uint32_t(std::min(limit + headroom, double(values.mostConcurrency)));
  return std::max(values.leastConcurrency, next);
}

void GradientController::setLimit(uint32_t limit, const Values& values) {
  uint32_t before = limit_.load(std::memory_order_relaxed);
  limit_.store(limit, std::memory_order_relaxed);
  figures_.concurrencyLimit = limit;
  bool sampling = phase_.load(std::memory_order_relaxed) == Phase::kSampling;
  bool stays = before == values.leastConcurrency && limit == before;
  timesAtLeast_ = sampling && stays ? timesAtLeast_ + 1 : 0;
}

bool GradientController::takeSamples(const Values& values, double& us) {
  uint32_t epoch = epoch_.load(std::memory_order_relaxed);
  uint64_t count = 0;
  double found = LatencySamples::quantile(samples(), epoch, values.percentile, count);
  if (count == 0) return false;
  us = std::floor(found);
  epoch_.store(epoch + 1, std::memory_order_release);
  return true;
}

uint32_t GradientController::requestsWanted(const RuntimeSnapshot* runtime) const {
  double wanted = runtimeNumber(runtime, spec_.requests.flag, spec_.requests.value);
  return uint32_t(std::clamp(wanted, 1.0, 4e9));
}

// Flags may say anything; a limit of 0, or an interval of none, would be for ever.
GradientController::Values GradientController::valuesNow(const RuntimeSnapshot* runtime) const {
  auto number = [runtime](const spec::RuntimeNumber& n) {
    return runtimeNumber(runtime, n.flag, n.value);
  };
  auto part = [&](const spec::RuntimeNumber& n) { return std::clamp(number(n), 0.0, 100.0) / 100; };
  auto count = [&](const spec::RuntimeNumber& n) {
    return uint32_t(std::clamp(number(n), 1.0, 4e9));
  };
  auto ms = [&](const spec::RuntimeNumber& n) {
    return uint64_t(std::clamp(number(n), 1.0, 1e12));
  };
  return {.percentile = part(spec_.percentile),
          .jitter = part(spec_.jitter),
          .buffer = part(spec_.buffer),
          .leastConcurrency = count(spec_.leastConcurrency),
          .mostConcurrency = count(spec_.mostConcurrency),
          .requests = requestsWanted(runtime),
          .measureEveryMs = ms(spec_.measureEvery),
          .updateEveryMs = ms(spec_.updateEvery)};
}

}  // namespace millrace
