// Random: each host in proportion to its weight.

#include "upstream/balancer/host_table.h"
#include "upstream/balancer/schedule.h"

namespace millrace {

namespace {

class RandomHost final : public HostTable {
 public:
  explicit RandomHost(const std::vector<WeightedPlace>& places) {
    places_.reserve(places.size());
    for (const WeightedPlace& p : places) places_.push_back(p.place);
    if (equalWeights(places)) return;
    std::vector<double> weights;
    for (const WeightedPlace& p : places) weights.push_back(p.weight);
    choice_ = AliasTable(weights);
  }

  uint32_t pick(const PickInput& in) const override {
    uint64_t random = in.state.random.next();
    if (choice_.empty()) return places_[below(random, uint32_t(places_.size()))];
    return places_[choice_.pick(random)];
  }
  size_t memory() const override {
    return places_.capacity() * sizeof places_[0] + choice_.memory();
  }

 private:
  std::vector<uint32_t> places_;
  AliasTable choice_;  // empty: all the same
};

}  // namespace

std::unique_ptr<const HostTable> makeRandom(TableContext&, std::vector<WeightedPlace> places) {
  return std::make_unique<RandomHost>(places);
}

}  // namespace millrace
