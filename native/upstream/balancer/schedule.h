// How weights become tables: a fixed order for round robin, and an alias table for random choice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace millrace {

// The order of one weighted round over `weights` (0: never), by earliest deadline first. Sums above
// kMaxScheduleLength, and above kMaxPlaces for each of many hosts, are scaled down; who has any
// weight keeps at least one place.
inline constexpr uint64_t kMaxScheduleLength = 64 * 1024;  // 256 KiB
inline constexpr uint64_t kMaxPlaces = 16;                 // on average; 64 bytes a host
std::vector<uint32_t> weightedSchedule(std::span<const uint32_t> weights);

// Chooses an index in proportion to its weight, in constant time (Walker's method, in Vose's form).
// Immutable after construction.
class AliasTable {
 public:
  AliasTable() = default;
  // Not negative, finite. When all are 0 the table is empty.
  explicit AliasTable(std::span<const double> weights);

  bool empty() const { return columns_.empty(); }
  size_t memory() const { return columns_.capacity() * sizeof columns_[0]; }  // bytes
  // `random`: 64 random bits. Not for an empty table.
  uint32_t pick(uint64_t random) const {
    auto column = uint32_t((random >> 32) * columns_.size() >> 32);
    const Column& c = columns_[column];
    return uint32_t(random) < c.own ? column : c.other;
  }

 private:
  struct Column {
    uint32_t own;  // below this part of 2^32 it is the column's own index
    uint32_t other;
  };
  std::vector<Column> columns_;
};

}  // namespace millrace
