// Maglev (Eisenbud et al., NSDI 2016, §3.4): every host fills a table of prime size along a
// permutation of its own; a request looks its hash up.

#include <algorithm>

#include "upstream/balancer/hash.h"
#include "upstream/balancer/host_table.h"

namespace millrace {

namespace {

class Maglev final : public HostTable {
 public:
  Maglev(TableContext& context, const std::vector<WeightedPlace>& places)
      : table_(context.lb.maglevTableSize, kNone) {
    struct Filler {
      std::string_view key;
      uint32_t place;
      double weight;
      uint64_t at, skip;
      double due = 0;
      uint64_t entries = 0;
    };
    const uint64_t size = table_.size();
    double most = 0;
    std::vector<Filler> fillers;
    for (const WeightedPlace& p : places) {
      std::string_view key = hashKey(context.lb, context.hosts[p.place]);
      fillers.push_back(
          {key, p.place, p.weight, xxHash64(key) % size, xxHash64(key, 1) % (size - 1) + 1});
      most = std::max(most, p.weight);
    }
    // What stands where must not depend on the order in which hosts came.
    std::sort(fillers.begin(), fillers.end(), [](const Filler& a, const Filler& b) {
      return a.key != b.key ? a.key < b.key : a.place < b.place;
    });
    // The heaviest takes its turn in every round, the others as often as their weight says.
    uint64_t filled = 0;
    for (uint64_t round = 1; filled < size; round++) {
      for (Filler& f : fillers) {
        if (filled == size) break;
        if (double(round) * f.weight < f.due) continue;
        f.due += most;
        while (table_[f.at] != kNone) f.at = (f.at + f.skip) % size;
        table_[f.at] = f.place;
        f.entries++;
        filled++;
      }
    }
    std::vector<uint64_t> byHost;
    for (const Filler& f : fillers) byHost.push_back(f.entries);
    context.counts.hashed.count(byHost);
  }

  uint32_t pick(const PickInput& in) const override {
    uint64_t hash = in.attempt == 0 ? in.hash : in.hash ^ (~uint64_t(in.attempt) + 1);
    return table_[hash % table_.size()];
  }
  size_t memory() const override { return table_.capacity() * sizeof table_[0]; }

 private:
  std::vector<uint32_t> table_;  // places
};

}  // namespace

std::unique_ptr<const HostTable> makeMaglev(TableContext& context,
                                            std::vector<WeightedPlace> places) {
  return std::make_unique<Maglev>(context, places);
}

}  // namespace millrace
