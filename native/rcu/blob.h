// An encoded JavaScript value in native memory: the serialised bytes, then its binary parts, each
// at an offset that any typed array can stand at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>

#include "rcu/snapshot.h"

namespace millrace {

// Immutable once published; any thread may read it and hold it.
class Blob {
 public:
  using Part = std::span<const uint8_t>;
  static constexpr size_t kAlignment = 16;  // also what malloc gives

  static constexpr size_t aligned(size_t size) {
    return (size + kAlignment - 1) / kAlignment * kAlignment;
  }
  // One copy of each part. Null: no memory. A part lies at partsOffset() plus the aligned sizes of
  // the parts before it. `id` is the caller's, for telling blobs apart.
  static std::shared_ptr<const Blob> make(uint64_t id, Part serialised,
                                          std::span<const Part> parts) {
    size_t partsOffset = aligned(serialised.size());
    size_t size = parts.empty() ? serialised.size() : partsOffset;
    for (Part part : parts) size += aligned(part.size());
    Bytes bytes(static_cast<uint8_t*>(std::malloc(size == 0 ? 1 : size)));
    if (bytes == nullptr) return nullptr;
    if (!serialised.empty()) std::memcpy(bytes.get(), serialised.data(), serialised.size());
    size_t offset = partsOffset;
    for (Part part : parts) {
      if (!part.empty()) std::memcpy(bytes.get() + offset, part.data(), part.size());
      offset += aligned(part.size());
    }
    return std::make_shared<const Blob>(id, std::move(bytes), size, serialised.size());
  }

  struct Free {
    void operator()(uint8_t* bytes) const { std::free(bytes); }
  };
  using Bytes = std::unique_ptr<uint8_t[], Free>;
  Blob(uint64_t id, Bytes bytes, size_t size, size_t serialised)
      : id_(id), bytes_(std::move(bytes)), size_(size), serialised_(serialised) {}

  uint64_t id() const { return id_; }
  const uint8_t* data() const { return bytes_.get(); }
  size_t size() const { return size_; }
  size_t serialised() const { return serialised_; }
  size_t partsOffset() const { return aligned(serialised_); }
  bool hasParts() const { return size_ > serialised_; }

 private:
  const uint64_t id_;
  const Bytes bytes_;
  const size_t size_;
  const size_t serialised_;
};

// What a slot of a SharedTable holds: one value, or a map of values.
class SharedSnapshot : public Snapshot {
 public:
  enum class Kind : uint8_t { kValue, kMap };
  Kind kind() const { return kind_; }

 protected:
  explicit SharedSnapshot(Kind kind) : kind_(kind) {}

 private:
  const Kind kind_;
};

class ValueSnapshot final : public SharedSnapshot {
 public:
  explicit ValueSnapshot(std::shared_ptr<const Blob> blob)
      : SharedSnapshot(Kind::kValue), blob_(std::move(blob)) {}
  const std::shared_ptr<const Blob>& blob() const { return blob_; }

 private:
  const std::shared_ptr<const Blob> blob_;
};

}  // namespace millrace
