// A compressed trie of path prefixes: one walk along a path meets every prefix of it, whatever
// their number.
//
// Built once; then immutable, read by any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/string_index.h"

namespace millrace {

class PrefixTrie {
 public:
  struct Key {
    std::string text;  // lower case with Fold::kLower
    uint32_t value;
  };

  // Keys are unique. With kLower what is looked up is folded on the way.
  void build(std::vector<Key> keys, Fold fold);

  // Puts the values of all keys that `path` begins with into `out`, the shortest first, and returns
  // how many. `out` has room for depth().
  size_t find(std::string_view path, uint32_t* out) const {
    if (nodes_.empty()) return 0;
    return fold_ == Fold::kNone ? walk<Fold::kNone>(path, out) : walk<Fold::kLower>(path, out);
  }
  // The most values that one path can meet.
  size_t depth() const { return depth_; }
  bool empty() const { return nodes_.empty(); }

 private:
  static constexpr uint32_t kNoValue = UINT32_MAX;
  static constexpr uint32_t kNarrow = 8;  // children whose first bytes fit into one word

  // Reached by its first byte (kept in the parent) and then its label. Children lie side by side,
  // ordered by first byte.
  struct Node {
    uint32_t label = 0;  // offset in labels_
    uint32_t labelSize = 0;
    uint32_t value = kNoValue;
    uint32_t firstChild = 0;
    uint64_t firstBytes = 0;  // of a narrow node's children, the first in the lowest byte
    uint16_t childCount = 0;
    uint32_t table =
        0;  // of a wide node: offset in tables_, one entry a byte, 0 or 1 + the child's number
  };
  struct Range;
  template <Fold kFold>
  size_t walk(std::string_view path, uint32_t* out) const;
  uint32_t childAt(const Node& node, uint8_t byte) const;
  void setChildren(Node& node, const std::string& firstBytes);
  std::vector<Range> fill(const Range& range, const std::vector<Key>& keys);

  Fold fold_ = Fold::kNone;
  size_t depth_ = 0;
  std::vector<Node> nodes_;
  std::vector<uint16_t> tables_;
  std::string labels_;
};

}  // namespace millrace
