#include "rcu/map_snapshot.h"

#include <algorithm>

namespace millrace {

std::unique_ptr<MapSnapshot> MapSnapshot::copy() const {
  auto next = std::make_unique<MapSnapshot>();
  next->buckets_ = buckets_;
  next->own_.assign(buckets_.size(), false);
  next->size_ = size_;
  next->nextOrder_ = nextOrder_;
  return next;
}

const MapSnapshot::Entry* MapSnapshot::find(std::string_view key) const {
  uint64_t hash = hashOf(key);
  const Bucket* bucket = buckets_[indexOf(hash)].get();
  if (bucket == nullptr) return nullptr;
  for (const Place& place : *bucket) {
    if (place.hash == hash && place.entry->key == key) return place.entry.get();
  }
  return nullptr;
}

std::vector<const MapSnapshot::Entry*> MapSnapshot::entries() const {
  std::vector<const Entry*> all;
  all.reserve(size_);
  for (const auto& bucket : buckets_) {
    if (bucket == nullptr) continue;
    for (const Place& place : *bucket) all.push_back(place.entry.get());
  }
  std::sort(all.begin(), all.end(),
            [](const Entry* a, const Entry* b) { return a->order < b->order; });
  return all;
}

void MapSnapshot::set(std::string_view key, std::shared_ptr<const Blob> blob) {
  uint64_t hash = hashOf(key);
  Bucket& bucket = changeable(indexOf(hash));
  for (Place& place : bucket) {
    if (place.hash != hash || place.entry->key != key) continue;
    uint64_t order = place.entry->order;
    place.entry = std::make_shared<const Entry>(Entry{std::string(key), order, std::move(blob)});
    return;
  }
  bucket.push_back({hash, std::make_shared<const Entry>(
                              Entry{std::string(key), nextOrder_++, std::move(blob)})});
  size_++;
  // The array is four times as long as a bucket: it is the cheaper to copy.
  if (size_ > buckets_.size() * buckets_.size() / 4) grow();
}

bool MapSnapshot::erase(std::string_view key) {
  if (find(key) == nullptr) return false;
  uint64_t hash = hashOf(key);
  Bucket& bucket = changeable(indexOf(hash));
  std::erase_if(bucket,
                [&](const Place& place) { return place.hash == hash && place.entry->key == key; });
  size_--;
  return true;
}

void MapSnapshot::setAll(const MapSnapshot& other) {
  if (size_ == 0 && nextOrder_ == 0) {
    buckets_ = other.buckets_;
    own_.assign(buckets_.size(), false);
    size_ = other.size_;
    nextOrder_ = other.nextOrder_;
    return;
  }
  for (const Entry* entry : other.entries()) set(entry->key, entry->blob);
}

MapSnapshot::Bucket& MapSnapshot::changeable(size_t index) {
  std::shared_ptr<Bucket>& bucket = buckets_[index];
  if (bucket == nullptr || !own_[index]) {
    bucket = bucket == nullptr ? std::make_shared<Bucket>() : std::make_shared<Bucket>(*bucket);
    own_[index] = true;
  }
  return *bucket;
}

void MapSnapshot::grow() {
  std::vector<std::shared_ptr<Bucket>> old = std::move(buckets_);
  buckets_.assign(old.size() * 2, nullptr);
  own_.assign(buckets_.size(), true);
  for (const auto& bucket : old) {
    if (bucket == nullptr) continue;
    for (const Place& place : *bucket) {
      std::shared_ptr<Bucket>& target = buckets_[indexOf(place.hash)];
      if (target == nullptr) target = std::make_shared<Bucket>();
      target->push_back(place);
    }
  }
}

}  // namespace millrace
