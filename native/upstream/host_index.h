// The hosts of one cluster by the text of their address, for requests that ask for one
// (PickContext::overrideHost). One table serves all snapshots of the cluster: it names places among
// their entries, and whoever finds a place looks into the entries of its own snapshot whether the
// host is there. So a change of hosts costs what it changes, and four bytes a cell.
//
//   add(), remove() ──▶ cells ◀── find(text, entries of a snapshot)
//   main thread                   any thread
//
// A worker may see what became of the table after its snapshot was made; it then misses a host
// that is about to leave, never finds a wrong one. A table that is full is replaced by a larger
// one, which later snapshots hold.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/assert.h"
#include "upstream/balancer/hash.h"

namespace millrace {

class HostIndex {
 public:
  // For that many hosts, and as many again that come and go.
  explicit HostIndex(uint32_t hosts);
  HostIndex(const HostIndex&) = delete;
  HostIndex& operator=(const HostIndex&) = delete;

  // Main thread. False: the table is full.
  bool add(std::string_view text, uint32_t place);
  // Main thread. What was not added is not removed.
  void remove(std::string_view text, uint32_t place);

  // Any thread. The first place, among those added under this text, of which `isIt` says so;
  // kNone: there is none.
  static constexpr uint32_t kNone = UINT32_MAX;
  template <typename F>
  uint32_t find(std::string_view text, F isIt) const {
    for (uint32_t at = uint32_t(xxHash64(text)) & mask_;; at = (at + 1) & mask_) {
      // Relaxed: a place says nothing by itself, and what it leads to was published with the
      // snapshot.
      uint32_t place = cells_[at].load(std::memory_order_relaxed);
      if (place == kNone) return kNone;
      if (place != kGone && isIt(place)) return place;
    }
  }

  size_t memory() const { return (size_t(mask_) + 1) * sizeof cells_[0]; }

 private:
  static constexpr uint32_t kGone = UINT32_MAX - 1;  // a host was here; the search goes on

  const uint32_t mask_;  // cells, a power of two, less one
  uint32_t used_ = 0;    // cells that are not free; at most half of all
  const std::unique_ptr<std::atomic<uint32_t>[]> cells_;
};

}  // namespace millrace
