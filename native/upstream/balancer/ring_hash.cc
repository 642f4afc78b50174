// Ring hash (ketama): each host stands on a ring of hashes as often as its weight says; a request
// goes to the first one at or after its own hash.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

#include "upstream/balancer/hash.h"
#include "upstream/balancer/host_table.h"

namespace millrace {

namespace {

class RingHash final : public HostTable {
 public:
  RingHash(TableContext& context, const std::vector<WeightedPlace>& places) {
    double sum = 0, least = places[0].weight;
    for (const WeightedPlace& p : places) {
      sum += p.weight;
      least = std::min(least, p.weight);
    }
    least /= sum;
    // So many that the lightest host has whole places on a ring of at least ringMin, unless the
    // ring became larger than ringMax.
    double scale =
        std::min(std::ceil(least * double(context.lb.ringMin)) / least, double(context.lb.ringMax));
    struct Point {
      uint64_t hash;
      uint32_t place;
    };
    std::vector<Point> points;
    points.reserve(size_t(std::ceil(scale)));
    double current = 0, target = 0;
    std::vector<uint64_t> byHost;
    std::string key;
    for (const WeightedPlace& p : places) {
      key.assign(hashKey(context.lb, context.hosts[p.place]));
      key += '_';
      size_t stem = key.size();
      target += scale * (p.weight / sum);
      size_t before = points.size();
      for (uint32_t i = 0; current < target; i++, current++) {
        char digits[16];
        key.resize(stem);
        key.append(digits, std::to_chars(digits, digits + sizeof digits, i).ptr);
        points.push_back({context.lb.murmur ? murmurHash2(key) : xxHash64(key), p.place});
      }
      byHost.push_back(points.size() - before);
    }
    context.counts.hashed.count(byHost);
    std::sort(points.begin(), points.end(), [](const Point& a, const Point& b) {
      return a.hash != b.hash ? a.hash < b.hash : a.place < b.place;
    });
    hashes_.reserve(points.size());
    places_.reserve(points.size());
    for (const Point& p : points) {
      hashes_.push_back(p.hash);
      places_.push_back(p.place);
    }
  }

  uint32_t pick(const PickInput& in) const override {
    // A filter rejected some: as if those were not on the ring.
    return places_[(find(in.hash) + in.attempt) % places_.size()];
  }
  size_t memory() const override { return hashes_.capacity() * 8 + places_.capacity() * 4; }

 private:
  // The first point at or after `hash`. Hashes are spread evenly, so the search begins where the
  // point should be, and looks around in steps that double.
  size_t find(uint64_t hash) const {
    size_t size = hashes_.size();
    size_t guess = size_t((unsigned __int128)(hash)*size >> 64);
    size_t low = guess, high = guess, step = 8;
    while (low > 0 && hashes_[low - 1] >= hash) {
      high = low;
      low = low > step ? low - step : 0;
      step *= 2;
    }
    step = 8;
    while (high < size && hashes_[high] < hash) {
      low = high + 1;
      high = std::min(size, high + step);
      step *= 2;
    }
    auto at = std::lower_bound(hashes_.begin() + long(low), hashes_.begin() + long(high), hash);
    size_t found = size_t(at - hashes_.begin());
    return found == size ? 0 : found;
  }

  std::vector<uint64_t> hashes_;  // ascending
  std::vector<uint32_t> places_;  // parallel
};

}  // namespace

std::unique_ptr<const HostTable> makeRingHash(TableContext& context,
                                              std::vector<WeightedPlace> places) {
  return std::make_unique<RingHash>(context, places);
}

}  // namespace millrace
