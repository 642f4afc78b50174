// The hosts of an on-demand cluster by the key under which requests name them: the table beside a
// snapshot that workers look into (HostKeys), and what the main thread makes it from
// (HostKeysBuilder).
//
// A table is in parts, each shared by all snapshots in which nothing of it changed, so that a new
// host costs a part and not the whole. Keys come from traffic: where they land depends on a seed
// that nobody outside knows.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "upstream/host.h"

namespace millrace {

// Immutable; any thread. Its hosts live as long as the snapshot that it belongs to.
class HostKeys {
 public:
  // Null: there is no host of this key.
  const Host* find(std::string_view key) const;

 private:
  friend class HostKeysBuilder;
  static constexpr int kPartBits = 6;
  static constexpr size_t kParts = size_t{1} << kPartBits;
  struct Cell {
    uint64_t hash = 0;
    const Host* host = nullptr;  // null: free
  };
  using Part = std::vector<Cell>;  // a power of two, at most half full
  static size_t partOf(uint64_t hash) { return hash >> (64 - kPartBits); }

  uint64_t seed_ = 0;
  std::array<std::shared_ptr<const Part>, kParts> parts_;  // null: empty
};

// Main thread.
class HostKeysBuilder {
 public:
  HostKeysBuilder();
  // No two hosts have the same key at a time.
  void add(const Host& host);
  void remove(const Host& host);
  // The table of the hosts that are there now.
  std::shared_ptr<const HostKeys> take();

 private:
  void rebuild(size_t part);
  HostKeys latest_;
  std::array<std::vector<HostKeys::Cell>, HostKeys::kParts> hosts_;
  std::array<bool, HostKeys::kParts> changed_{};
};

}  // namespace millrace
