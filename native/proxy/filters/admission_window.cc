#include "proxy/filters/admission_window.h"

#include <algorithm>
#include <cmath>

#include "base/clock.h"

namespace millrace {

void AdmissionWindow::resize(uint32_t seconds) {
  // The newest second may have begun when the oldest one is about to leave.
  capacity_ = seconds + 1;
  ring_ = std::make_unique<Second[]>(capacity_);
  windowNs_ = seconds * kNsPerSec;
  first_ = size_ = 0;
  sum_ = {};
}

void AdmissionWindow::moveTo(uint64_t nowNs) {
  while (size_ > 0 && nowNs - at(0).startNs >= windowNs_) {
    sum_.requests -= at(0).counts.requests;
    sum_.successes -= at(0).counts.successes;
    first_ = (first_ + 1) % capacity_;
    size_--;
  }
  if (size_ > 0 && nowNs - at(size_ - 1).startNs < kNsPerSec) return;
  at(size_++) = {nowNs, {}};
}

void AdmissionWindow::record(bool success, uint64_t nowNs) {
  moveTo(nowNs);
  Counts& newest = at(size_ - 1).counts;
  newest.requests++;
  sum_.requests++;
  newest.successes += success;
  sum_.successes += success;
}

AdmissionWindow::Counts AdmissionWindow::counts(uint64_t nowNs) {
  moveTo(nowNs);
  return sum_;
}

uint64_t AdmissionWindow::averageRps(uint64_t nowNs) {
  moveTo(nowNs);
  uint64_t seconds = (nowNs - at(0).startNs) / kNsPerSec;
  return sum_.requests / std::max<uint64_t>(seconds, 1);
}

double rejectionProbability(const AdmissionWindow::Counts& counts, const AdmissionRules& rules) {
  if (rules.threshold <= 0) return 0;
  double excess = double(counts.requests) - double(counts.successes) / rules.threshold;
  if (excess <= 0) return 0;
  double probability = excess / double(counts.requests + 1);
  if (rules.aggression > 1) probability = std::pow(probability, 1 / rules.aggression);
  return std::min(probability, rules.mostRejected);
}

}  // namespace millrace
