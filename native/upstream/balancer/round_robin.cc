// Round robin: hosts in turn; with unequal weights along a precomputed schedule. Each worker has
// its own place in the round and begins somewhere else.

#include "upstream/balancer/host_table.h"
#include "upstream/balancer/schedule.h"

namespace millrace {

namespace {

class RoundRobin final : public HostTable {
 public:
  RoundRobin(TableContext& context, const std::vector<WeightedPlace>& places)
      : position_(context.positions++),
        slowStart_(context.lb.slowStart),
        warming_(slowStart_.warming(context.hosts, places)) {
    if (equalWeights(places)) {
      round_.reserve(places.size());
      for (const WeightedPlace& p : places) round_.push_back(p.place);
      return;
    }
    std::vector<uint32_t> weights;
    weights.reserve(places.size());
    for (const WeightedPlace& p : places) weights.push_back(uint32_t(p.weight));
    round_ = weightedSchedule(weights);
    for (uint32_t& index : round_) index = places[index].place;
  }

  uint32_t pick(const PickInput& in) const override {
    uint64_t& position = in.state.position(position_);
    if (__builtin_expect(in.state.nowNs >= warming_.untilNs, 1)) return next(position);
    for (int i = 1; i < SlowStart::kTries; i++) {
      uint32_t place = next(position);
      if (slowStart_.accepts(warming_, in.hosts[place], in.state)) return place;
    }
    return next(position);
  }
  size_t memory() const override { return round_.capacity() * sizeof round_[0]; }

 private:
  uint32_t next(uint64_t& position) const {
    // The position is what another table's was when the snapshot is a new one.
    if (position >= round_.size()) position %= round_.size();
    return round_[position++];
  }

  const uint32_t position_;
  const SlowStart slowStart_;
  const SlowStart::Warming warming_;
  std::vector<uint32_t> round_;  // places
};

}  // namespace

std::unique_ptr<const HostTable> makeRoundRobin(TableContext& context,
                                                std::vector<WeightedPlace> places) {
  return std::make_unique<RoundRobin>(context, places);
}

}  // namespace millrace
