// Consistent hashing with bounded loads (Mirrokni et al., 2018), as Envoy's hash_balance_factor: a
// host that has its share of the active requests, and the factor above it, is passed over.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "upstream/balancer/host_table.h"

namespace millrace {

namespace {

class BoundedLoad final : public HostTable {
 public:
  BoundedLoad(const TableContext& context, std::vector<WeightedPlace> places,
              std::unique_ptr<const HostTable> inner)
      : inner_(std::move(inner)),
        factor_(context.lb.hashBalanceFactor / 100.0),
        places_(std::move(places)) {
    double sum = 0;
    for (const WeightedPlace& p : places_) sum += p.weight;
    shares_.assign(context.hosts.size(), 0);
    for (const WeightedPlace& p : places_) shares_[p.place] = p.weight / sum;
  }

  uint32_t pick(const PickInput& in) const override {
    uint32_t place = inner_->pick(in);
    double least = load(in, place);
    if (least <= 1) return place;
    // The others in an order that depends on the hash alone, so that a key's overflow goes to the
    // same host too: steps of a fixed width, which has no divisor in common with their number.
    uint32_t n = uint32_t(places_.size());
    uint32_t at = uint32_t(in.hash % n), step = uint32_t(in.hash / n % n) | 1;
    while (std::gcd(step, n) != 1) step += 2;
    for (uint32_t i = 0; i < n; i++) {
      uint32_t other = places_[at].place;
      double otherLoad = load(in, other);
      if (otherLoad <= 1) return other;
      if (otherLoad < least) {
        place = other;
        least = otherLoad;
      }
      at = uint32_t((uint64_t(at) + step) % n);
    }
    return place;
  }
  size_t memory() const override {
    return inner_->memory() + places_.capacity() * sizeof places_[0] +
           shares_.capacity() * sizeof shares_[0];
  }

 private:
  // Its requests and this one, as a part of what it may have; more than 1 is too many.
  double load(const PickInput& in, uint32_t place) const {
    // Rounding must not make one more of a whole number.
    double slots = std::ceil((double(in.state.active) + 1) * shares_[place] * factor_ - 1e-9);
    return (double(in.hosts[place].host->activeRequests()) + 1) / std::max(1.0, slots);
  }

  const std::unique_ptr<const HostTable> inner_;
  const double factor_;
  const std::vector<WeightedPlace> places_;
  std::vector<double> shares_;  // by place: what part of the load is its
};

}  // namespace

std::unique_ptr<const HostTable> makeBoundedLoad(TableContext& context,
                                                 std::vector<WeightedPlace> places,
                                                 std::unique_ptr<const HostTable> inner) {
  return std::make_unique<BoundedLoad>(context, std::move(places), std::move(inner));
}

}  // namespace millrace
