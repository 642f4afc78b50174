#include "proxy/prefix_trie.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <deque>

#include "base/ascii.h"

namespace millrace {

// Sorted keys [begin, end) that have the first `common` bytes in common, and the node that stands
// for them.
struct PrefixTrie::Range {
  size_t begin, end;
  size_t common;
  uint32_t node;
  size_t depth;  // values on the way to it
};

void PrefixTrie::build(std::vector<Key> keys, Fold fold) {
  fold_ = fold;
  nodes_.clear();
  if (keys.empty()) return;
  std::sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) { return a.text < b.text; });
  nodes_.emplace_back();
  std::deque<Range> open{{0, keys.size(), 0, 0, 0}};
  // Breadth first: siblings come to lie side by side, and the top of the trie on few cache lines.
  while (!open.empty()) {
    std::vector<Range> children = fill(open.front(), keys);
    open.pop_front();
    open.insert(open.end(), children.begin(), children.end());
  }
}

// Gives the node of `range` its label, value and children, and returns the ranges of the children.
std::vector<PrefixTrie::Range> PrefixTrie::fill(const Range& range, const std::vector<Key>& keys) {
  // Of sorted keys, what the first and the last have in common all have.
  const std::string& first = keys[range.begin].text;
  const std::string& last = keys[range.end - 1].text;
  size_t common = range.common;
  while (common < first.size() && common < last.size() && first[common] == last[common]) common++;
  Node node;
  node.label = uint32_t(labels_.size());
  node.labelSize = uint32_t(common - range.common);
  labels_.append(first, range.common, common - range.common);
  size_t at = range.begin;
  size_t depth = range.depth;
  if (first.size() == common) {
    node.value = keys[at].value;
    depth_ = std::max(depth_, ++depth);
    at++;
  }
  std::vector<Range> children;
  std::string firstBytes;
  node.firstChild = uint32_t(nodes_.size());
  while (at < range.end) {
    char byte = keys[at].text[common];
    size_t end = at + 1;
    while (end < range.end && keys[end].text[common] == byte) end++;
    children.push_back({at, end, common + 1, uint32_t(nodes_.size()), depth});
    firstBytes.push_back(byte);
    nodes_.emplace_back();
    at = end;
  }
  setChildren(node, firstBytes);
  nodes_[range.node] = node;
  return children;
}

void PrefixTrie::setChildren(Node& node, const std::string& firstBytes) {
  node.childCount = uint16_t(firstBytes.size());
  if (firstBytes.size() <= kNarrow) {
    for (size_t i = 0; i < firstBytes.size(); i++) {
      node.firstBytes |= uint64_t(uint8_t(firstBytes[i])) << (8 * i);
    }
    return;
  }
  node.table = uint32_t(tables_.size());
  tables_.resize(tables_.size() + 256);
  for (size_t i = 0; i < firstBytes.size(); i++) {
    tables_[node.table + uint8_t(firstBytes[i])] = uint16_t(i + 1);
  }
}

// The number of the child that begins with `byte`, counted from 1; 0: none.
uint32_t PrefixTrie::childAt(const Node& node, uint8_t byte) const {
  if (node.childCount > kNarrow) return tables_[node.table + byte];
  constexpr uint64_t kOnes = 0x0101010101010101u;
  uint64_t differs = node.firstBytes ^ (kOnes * byte);
  uint64_t same = (differs - kOnes) & ~differs & (kOnes * 0x80);  // the lowest bit set is exact
  if (same == 0) return 0;
  uint32_t child = uint32_t(std::countr_zero(same)) / 8;
  return child < node.childCount ? child + 1 : 0;
}

template <Fold kFold>
size_t PrefixTrie::walk(std::string_view path, uint32_t* out) const {
  size_t found = 0;
  size_t at = 0;
  const Node* node = nodes_.data();
  for (;;) {
    if (node->labelSize > 0) {
      if (node->labelSize > path.size() - at) return found;
      std::string_view label(labels_.data() + node->label, node->labelSize);
      std::string_view here = path.substr(at, node->labelSize);
      if (kFold == Fold::kNone ? here != label : !equalsLower(here, label)) return found;
      at += node->labelSize;
    }
    if (node->value != kNoValue) out[found++] = node->value;
    if (at == path.size() || node->childCount == 0) return found;
    char byte = kFold == Fold::kNone ? path[at] : toLower(path[at]);
    uint32_t child = childAt(*node, uint8_t(byte));
    if (child == 0) return found;
    node = &nodes_[node->firstChild + child - 1];
    at++;
  }
}

template size_t PrefixTrie::walk<Fold::kNone>(std::string_view, uint32_t*) const;
template size_t PrefixTrie::walk<Fold::kLower>(std::string_view, uint32_t*) const;

}  // namespace millrace
