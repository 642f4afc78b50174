#include "upstream/host_index.h"

#include <algorithm>
#include <bit>

namespace millrace {

namespace {

constexpr uint32_t kFewest = 16;

// Half of the cells stay free, so that searches are short; of the others, half are for hosts that
// come and go until the table is replaced.
uint32_t cellsFor(uint32_t hosts) {
  return std::bit_ceil(std::max(hosts, kFewest / 4) * 4);
}

}  // namespace

HostIndex::HostIndex(uint32_t hosts)
    : mask_(cellsFor(hosts) - 1),
      cells_(std::make_unique<std::atomic<uint32_t>[]>(size_t(mask_) + 1)) {
  for (uint32_t i = 0; i <= mask_; i++) cells_[i].store(kNone, std::memory_order_relaxed);
}

bool HostIndex::add(std::string_view text, uint32_t place) {
  MR_DASSERT(place < kGone);
  if (2 * (used_ + 1) > mask_ + 1) return false;
  uint32_t at = uint32_t(xxHash64(text)) & mask_;
  while (cells_[at].load(std::memory_order_relaxed) != kNone) at = (at + 1) & mask_;
  cells_[at].store(place, std::memory_order_relaxed);
  used_++;
  return true;
}

void HostIndex::remove(std::string_view text, uint32_t place) {
  for (uint32_t at = uint32_t(xxHash64(text)) & mask_;; at = (at + 1) & mask_) {
    uint32_t found = cells_[at].load(std::memory_order_relaxed);
    if (found == kNone) return;
    if (found != place) continue;
    cells_[at].store(kGone, std::memory_order_relaxed);
    return;
  }
}

}  // namespace millrace
