// How requests of one worker ended within the last so many seconds: what admission control goes by.
//
//   oldest second … newest second     a ring; a second that has left the window leaves the sums
//
// Thread rule: one worker. Allocates when it is made only.
#pragma once

#include <cstdint>
#include <memory>

namespace millrace {

class AdmissionWindow {
 public:
  struct Counts {
    uint64_t requests = 0;
    uint64_t successes = 0;
  };

  // Seconds, at least 1.
  void resize(uint32_t seconds);

  void record(bool success, uint64_t nowNs);
  Counts counts(uint64_t nowNs);
  // Requests per second, on average since the oldest second that counts; rounded down.
  uint64_t averageRps(uint64_t nowNs);

 private:
  // A second begins with the first request that is recorded, or asked about, after the one before
  // was over.
  struct Second {
    uint64_t startNs = 0;
    Counts counts;
  };
  void moveTo(uint64_t nowNs);
  Second& at(uint32_t i) { return ring_[(first_ + i) % capacity_]; }

  std::unique_ptr<Second[]> ring_;
  uint32_t capacity_ = 0, first_ = 0, size_ = 0;
  uint64_t windowNs_ = 0;
  Counts sum_;
};

// The chance, from 0 to 1, that a request is turned away (admission_control.proto): none while the
// part of successes is at the threshold.
struct AdmissionRules {
  double aggression = 1;      // at least 1
  double threshold = 0.95;    // above 0, at most 1
  double mostRejected = 0.8;  // from 0 to 1
};
double rejectionProbability(const AdmissionWindow::Counts& counts, const AdmissionRules& rules);

}  // namespace millrace
