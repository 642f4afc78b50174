#include "base/arena.h"

#include <new>

namespace millrace {

ChunkPool::~ChunkPool() {
  while (free_ != nullptr) {
    Chunk* next = free_->next;
    ::operator delete(free_);
    free_ = next;
  }
}

ChunkPool::Chunk* ChunkPool::take(size_t bytes) {
  constexpr size_t usable = kChunkBytes - sizeof(Chunk);
  if (bytes <= usable && free_ != nullptr) {
    Chunk* c = free_;
    free_ = c->next;
    if (--kept_ < least_) least_ = kept_;
    taken_ += usable;
    return c;
  }
  size_t size = bytes <= usable ? usable : bytes;
  auto* c = static_cast<Chunk*>(::operator new(sizeof(Chunk) + size));
  c->size = size;
  taken_ += size;
  return c;
}

void ChunkPool::give(Chunk* chunk) {
  taken_ -= chunk->size;
  if (!MR_RECYCLE || chunk->size != kChunkBytes - sizeof(Chunk) || kept_ >= kKeptChunks) {
    ::operator delete(chunk);
    return;
  }
  chunk->next = free_;
  free_ = chunk;
  kept_++;
}

size_t ChunkPool::trim(size_t most) {
  size_t freed = 0;
  for (; freed < most && freed < least_; freed++) {
    Chunk* chunk = free_;
    free_ = chunk->next;
    kept_--;
    ::operator delete(chunk);
  }
  least_ = kept_;
  return freed * kChunkBytes;
}

void Arena::reset() {
  while (chunks_ != nullptr) {
    ChunkPool::Chunk* next = chunks_->next;
    pool_->give(chunks_);
    chunks_ = next;
  }
  cursor_ = end_ = nullptr;
}

void* Arena::allocateSlow(size_t bytes, size_t align) {
  MR_DASSERT(align <= 16);
  ChunkPool::Chunk* c = pool_->take(bytes + align);
  c->next = chunks_;
  chunks_ = c;
  cursor_ = c->data();
  end_ = cursor_ + c->size;
  uintptr_t p = (uintptr_t(cursor_) + align - 1) & ~uintptr_t(align - 1);
  cursor_ = reinterpret_cast<char*>(p + bytes);
  return reinterpret_cast<void*>(p);
}

}  // namespace millrace
