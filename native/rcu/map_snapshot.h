// A map from keys to blobs, of which the next version shares all that did not change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rcu/blob.h"

namespace millrace {

// Keys hash into buckets; a version owns its array of buckets and shares the buckets, a bucket
// shares its entries. So a changed key costs the array and one bucket, both about the square root
// of the size, and no value but its own. Built by one thread; immutable once published.
class MapSnapshot final : public SharedSnapshot {
 public:
  struct Entry {
    std::string key;
    uint64_t order;  // of keys: in which they were first set
    std::shared_ptr<const Blob> blob;
  };

  MapSnapshot() : SharedSnapshot(Kind::kMap), buckets_(kFirstBuckets), own_(kFirstBuckets) {}
  // The same content, to be changed; the buckets are shared until they are.
  std::unique_ptr<MapSnapshot> copy() const;

  // Null: no such key. Valid as long as this snapshot.
  const Entry* find(std::string_view key) const;
  size_t size() const { return size_; }
  // All entries, in the order in which their keys were first set.
  std::vector<const Entry*> entries() const;

  // Before it is published.
  void set(std::string_view key, std::shared_ptr<const Blob> blob);
  bool erase(std::string_view key);
  // As set() for each of its keys, in its order; values are shared.
  void setAll(const MapSnapshot& other);

 private:
  static constexpr size_t kFirstBuckets = 16;
  struct Place {
    uint64_t hash;
    std::shared_ptr<const Entry> entry;
  };
  using Bucket = std::vector<Place>;

  static uint64_t hashOf(std::string_view key) { return std::hash<std::string_view>()(key); }
  size_t indexOf(uint64_t hash) const { return hash & (buckets_.size() - 1); }
  Bucket& changeable(size_t index);
  void grow();

  std::vector<std::shared_ptr<Bucket>> buckets_;  // a power of two; null: empty
  std::vector<bool> own_;                         // made for this version: may be changed
  size_t size_ = 0;
  uint64_t nextOrder_ = 0;
};

}  // namespace millrace
