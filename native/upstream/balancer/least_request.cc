// Least request. With equal weights: the best of some hosts chosen at random (the power of two
// choices), or of all. With unequal weights: in proportion to weight / (active + 1)^bias.

#include <algorithm>
#include <array>
#include <cmath>

#include "upstream/balancer/host_table.h"
#include "upstream/balancer/schedule.h"

namespace millrace {

namespace {

// Candidates of a weighted pick. They are drawn in proportion to weight, and one of them is chosen
// in proportion to 1 / (active + 1)^bias: with equal load that is exactly by weight, and the more
// candidates, the nearer it comes to the product of both.
constexpr uint32_t kCandidates = 8;

class LeastRequest final : public HostTable {
 public:
  LeastRequest(TableContext& context, const std::vector<WeightedPlace>& places)
      : choices_(context.lb.choiceCount),
        fullScan_(context.lb.fullScan),
        bias_(context.lb.activeRequestBias),
        slowStart_(context.lb.slowStart),
        warming_(slowStart_.warming(context.hosts, places)) {
    places_.reserve(places.size());
    for (const WeightedPlace& p : places) places_.push_back(p.place);
    if (equalWeights(places)) return;
    std::vector<double> weights;
    for (const WeightedPlace& p : places) weights.push_back(p.weight);
    byWeight_ = AliasTable(weights);
  }

  uint32_t pick(const PickInput& in) const override {
    bool warming = in.state.nowNs < warming_.untilNs;
    if (__builtin_expect(!byWeight_.empty() || warming, 0)) return weighted(in, warming);
    return fullScan_ ? scan(in) : bestOfSome(in);
  }
  size_t memory() const override {
    return places_.capacity() * sizeof places_[0] + byWeight_.memory();
  }

 private:
  static uint32_t active(const PickInput& in, uint32_t place) {
    return in.hosts[place].host->activeRequests();
  }
  uint32_t any(const PickInput& in) const {
    return places_[below(in.state.random.next(), uint32_t(places_.size()))];
  }

  uint32_t bestOfSome(const PickInput& in) const {
    uint32_t best = any(in);
    uint32_t least = active(in, best);
    for (uint32_t i = 1; i < choices_; i++) {
      uint32_t place = any(in);
      uint32_t load = active(in, place);
      if (load < least) {
        best = place;
        least = load;
      }
    }
    return best;
  }

  // Of those with the least, a random one: else all workers would agree on the first.
  uint32_t scan(const PickInput& in) const {
    uint32_t best = HostTable::kNone, least = UINT32_MAX, ties = 0;
    for (uint32_t place : places_) {
      uint32_t load = active(in, place);
      if (load < least || best == HostTable::kNone) {
        best = place;
        least = load;
        ties = 1;
      } else if (load == least && below(in.state.random.next(), ++ties) == 0) {
        best = place;
      }
    }
    return best;
  }

  double share(uint32_t load) const {
    if (bias_ == 1) return 1 / (double(load) + 1);
    return bias_ == 0 ? 1 : std::pow(double(load) + 1, -bias_);
  }

  uint32_t draw(const PickInput& in, bool warming) const {
    uint32_t place = HostTable::kNone;
    for (int i = 0; i < SlowStart::kTries; i++) {
      place = byWeight_.empty() ? any(in) : places_[byWeight_.pick(in.state.random.next())];
      if (!warming || slowStart_.accepts(warming_, in.hosts[place], in.state)) break;
    }
    return place;
  }

  uint32_t weighted(const PickInput& in, bool warming) const {
    std::array<uint32_t, kCandidates> places;
    std::array<double, kCandidates> upTo;
    double sum = 0;
    for (uint32_t i = 0; i < kCandidates; i++) {
      places[i] = draw(in, warming);
      sum += share(active(in, places[i]));
      upTo[i] = sum;
    }
    double at = double(in.state.random.next() >> 11) * 0x1p-53 * sum;
    uint32_t chosen = 0;
    while (chosen + 1 < kCandidates && at >= upTo[chosen]) chosen++;
    return places[chosen];
  }

  const uint32_t choices_;
  const bool fullScan_;
  const double bias_;
  const SlowStart slowStart_;
  const SlowStart::Warming warming_;
  std::vector<uint32_t> places_;
  AliasTable byWeight_;  // empty: all the same
};

}  // namespace

std::unique_ptr<const HostTable> makeLeastRequest(TableContext& context,
                                                  std::vector<WeightedPlace> places) {
  return std::make_unique<LeastRequest>(context, places);
}

}  // namespace millrace
