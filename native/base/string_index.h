// A hash table from strings to numbers, filled once and then only read: no allocation, no lock, one
// probe as a rule. With `Fold::kLower` the keys are lower case and what is looked up is folded on
// the way, without a copy.
//
// Keys come from configuration, never from traffic, so the hash needs no secret. Thread rule:
// filled by one thread, then read by any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

enum class Fold : uint8_t { kNone, kLower };

class StringIndex {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  explicit StringIndex(Fold fold = Fold::kNone) : fold_(fold) {}

  // False when the key is there already, which then keeps its value. With kLower the key is folded.
  // `value` is not kNone.
  bool insert(std::string_view key, uint32_t value);
  // The value, or kNone.
  uint32_t find(std::string_view key) const {
    return size_ == 0 ? kNone : fold_ == Fold::kNone ? findExact(key) : findFolded(key);
  }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  struct Cell {
    uint32_t hash = 0;
    uint32_t value = kNone;  // kNone: free
    uint32_t offset = 0;     // of the key in keys_
    uint32_t length = 0;
  };
  uint32_t findExact(std::string_view key) const;
  uint32_t findFolded(std::string_view key) const;
  std::string_view keyOf(const Cell& cell) const {
    return {keys_.data() + cell.offset, cell.length};
  }
  void place(const Cell& cell);
  void grow();

  Fold fold_;
  uint32_t size_ = 0;
  uint32_t mask_ = 0;  // cells_.size() - 1, a power of two less one
  std::vector<Cell> cells_;
  std::string keys_;
};

}  // namespace millrace
