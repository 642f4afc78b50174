// A copy of a request's body, kept in case it has to be sent again. Lies in chunks of the arena, so
// that a body that fits them takes nothing from the heap. One thread.
#pragma once

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/arena.h"

namespace millrace {

class BodyBuffer {
 public:
  explicit BodyBuffer(Arena& arena) : arena_(&arena) {}
  BodyBuffer(const BodyBuffer&) = delete;
  BodyBuffer& operator=(const BodyBuffer&) = delete;

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  void append(std::string_view data) {
    size_ += data.size();
    while (!data.empty()) {
      if (last_ == nullptr || last_->used == kBlockBytes) addBlock();
      size_t n = std::min(data.size(), kBlockBytes - last_->used);
      std::memcpy(last_->bytes() + last_->used, data.data(), n);
      last_->used += n;
      data.remove_prefix(n);
    }
  }
  // Calls `fn(piece, last)` for each piece in order; not at all when it is empty. The pieces stay
  // where they are until the arena is reset.
  template <typename Fn>
  void forEach(Fn fn) const {
    for (const Block* b = first_; b != nullptr; b = b->next) {
      fn(std::string_view(b->bytes(), b->used), b->next == nullptr);
    }
  }
  // Takes over the bytes of another one in the same arena, which is empty then.
  void takeFrom(BodyBuffer& other) {
    first_ = other.first_;
    last_ = other.last_;
    size_ = other.size_;
    other.clear();
  }
  // Forgets the bytes; the memory stays with the arena.
  void clear() {
    first_ = last_ = nullptr;
    size_ = 0;
  }

 private:
  struct Block {
    Block* next;
    size_t used;
    char* bytes() { return reinterpret_cast<char*>(this + 1); }
    const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
  };
  // One chunk of the pool, with room for the alignment that an arena adds.
  static constexpr size_t kBlockBytes =
      ChunkPool::kChunkBytes - sizeof(ChunkPool::Chunk) - sizeof(Block) - 16;
  void addBlock() {
    auto* block = static_cast<Block*>(arena_->allocate(sizeof(Block) + kBlockBytes));
    block->next = nullptr;
    block->used = 0;
    (last_ == nullptr ? first_ : last_->next) = block;
    last_ = block;
  }

  Arena* arena_;
  Block* first_ = nullptr;
  Block* last_ = nullptr;
  size_t size_ = 0;
};

}  // namespace millrace
