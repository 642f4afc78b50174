// Hosts without a cluster, picks from several threads, and how likely what came out is.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "upstream/balancer.h"

namespace millrace::test {

struct TestHosts {
  std::vector<std::unique_ptr<Host>> owned;
  std::vector<HostEntry> entries;

  explicit TestHosts(const std::vector<uint32_t>& weights = {}) {
    for (uint32_t weight : weights) add(weight);
  }
  HostEntry& add(uint32_t weight = 1, uint8_t priority = 0, Health health = Health::kHealthy,
                 uint32_t locality = 0) {
    auto place = uint32_t(entries.size());
    // 10.0.0.0 and up, so that as many as one likes have an address of their own.
    std::string ip = "10." + std::to_string(place >> 16) + '.' + std::to_string(place >> 8 & 255) +
                     '.' + std::to_string(place & 255);
    owned.push_back(std::make_unique<Host>(place, place, *Address::ip(ip, 80),
                                           std::vector<Address>(), std::string(), 1));
    return entries.emplace_back(HostEntry{.host = owned.back().get(),
                                          .weight = weight,
                                          .locality = locality,
                                          .priority = priority,
                                          .health = health});
  }
  // A snapshot without the host: its place is a hole.
  std::vector<HostEntry> without(size_t place) const {
    std::vector<HostEntry> rest = entries;
    rest[place] = {};
    return rest;
  }
};

inline std::unique_ptr<const Balancer> build(const spec::Lb& lb,
                                             const std::vector<HostEntry>& hosts,
                                             const std::vector<spec::Locality>& localities = {}) {
  return Balancer::build(lb, localities, hosts);
}

inline spec::Lb policy(spec::LbPolicy p) {
  return {.policy = p};
}

constexpr int kThreads = 4;

// How often each place was picked, by kThreads workers at once, `each` times each; one more place
// at the end counts picks that gave none. `context(i)` is that of pick i.
inline std::vector<uint64_t> picks(
    const Balancer& balancer, const std::vector<HostEntry>& hosts, int each,
    const std::function<PickContext(uint64_t)>& context = [](uint64_t) { return PickContext(); },
    uint64_t nowNs = 0) {
  std::vector<std::vector<uint64_t>> counts(kThreads, std::vector<uint64_t>(hosts.size() + 1));
  std::vector<std::thread> workers;
  for (int t = 0; t < kThreads; t++) {
    workers.emplace_back([&, t] {
      PickState state(uint64_t(t) + 1);
      state.nowNs = nowNs;
      for (int i = 0; i < each; i++) {
        const HostEntry* host =
            balancer.pick(context(uint64_t(t) * uint64_t(each) + uint64_t(i)), state, hosts);
        counts[size_t(t)][host == nullptr ? hosts.size() : size_t(host - hosts.data())]++;
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  std::vector<uint64_t> sum(hosts.size() + 1);
  for (const auto& one : counts) {
    for (size_t i = 0; i < sum.size(); i++) sum[i] += one[i];
  }
  return sum;
}

// Pearson's test: whether `counts` may come from shares in proportion to `expected` (0: must not
// occur). False where chance would bring such counts once in 100,000 times. The limit is Wilson and
// Hilferty's approximation of the quantile.
inline bool fits(const std::vector<uint64_t>& counts, const std::vector<double>& expected) {
  double sum = 0, all = 0, chi = 0;
  for (double e : expected) sum += e;
  for (uint64_t c : counts) all += double(c);
  int cells = 0;
  for (size_t i = 0; i < counts.size(); i++) {
    double e = i < expected.size() ? expected[i] / sum * all : 0;
    if (e == 0) {
      if (counts[i] != 0) return false;
      continue;
    }
    chi += (double(counts[i]) - e) * (double(counts[i]) - e) / e;
    cells++;
  }
  double freedom = cells - 1;
  if (freedom == 0) return true;
  constexpr double kNormal = 4.265;  // of 1 - 1e-5
  double a = 2 / (9 * freedom);
  double limit = freedom * std::pow(1 - a + kNormal * std::sqrt(a), 3);
  INFO("chi-square " << chi << " of at most " << limit);
  CHECK(chi <= limit);
  return chi <= limit;
}

}  // namespace millrace::test
