#include "base/string_index.h"

#include <cstring>

#include "base/ascii.h"
#include "base/assert.h"

namespace millrace {
namespace {

// Multiply and fold, as wyhash does: both halves of the product carry every input bit.
uint64_t mix(uint64_t a, uint64_t b) {
  unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return uint64_t(product) ^ uint64_t(product >> 64);
}

constexpr uint64_t kSeed = 0x9e3779b97f4a7c15u;
constexpr uint64_t kStep = 0xd6e8feb86659fd93u;

template <bool kFold>
uint32_t hashOf(std::string_view s) {
  uint64_t h = kSeed ^ s.size();
  const char* p = s.data();
  size_t n = s.size();
  for (; n >= 8; p += 8, n -= 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    h = mix(h ^ (kFold ? toLower8(word) : word), kStep);
  }
  if (n > 0) {
    uint64_t word = 0;
    std::memcpy(&word, p, n);
    h = mix(h ^ (kFold ? toLower8(word) : word), kStep);
  }
  return uint32_t(h ^ (h >> 32));
}

}  // namespace

uint32_t StringIndex::findExact(std::string_view key) const {
  uint32_t hash = hashOf<false>(key);
  for (uint32_t i = hash & mask_;; i = (i + 1) & mask_) {
    const Cell& cell = cells_[i];
    if (cell.value == kNone) return kNone;
    if (cell.hash == hash && keyOf(cell) == key) return cell.value;
  }
}

uint32_t StringIndex::findFolded(std::string_view key) const {
  uint32_t hash = hashOf<true>(key);
  for (uint32_t i = hash & mask_;; i = (i + 1) & mask_) {
    const Cell& cell = cells_[i];
    if (cell.value == kNone) return kNone;
    if (cell.hash == hash && equalsLower(key, keyOf(cell))) return cell.value;
  }
}

bool StringIndex::insert(std::string_view key, uint32_t value) {
  MR_ASSERT(value != kNone);
  if (find(key) != kNone) return false;
  if ((size_ + 1) * 2 > cells_.size()) grow();  // half full at the most: short probes
  Cell cell;
  cell.value = value;
  cell.offset = uint32_t(keys_.size());
  cell.length = uint32_t(key.size());
  MR_ASSERT(keys_.size() + key.size() <= UINT32_MAX);
  keys_ += fold_ == Fold::kNone ? std::string(key) : lowered(key);
  cell.hash = hashOf<false>(keyOf(cell));
  place(cell);
  size_++;
  return true;
}

void StringIndex::place(const Cell& cell) {
  uint32_t i = cell.hash & mask_;
  while (cells_[i].value != kNone) i = (i + 1) & mask_;
  cells_[i] = cell;
}

void StringIndex::grow() {
  std::vector<Cell> old = std::move(cells_);
  cells_.assign(old.empty() ? 8 : old.size() * 2, Cell());
  mask_ = uint32_t(cells_.size() - 1);
  for (const Cell& cell : old) {
    if (cell.value != kNone) place(cell);
  }
}

}  // namespace millrace
