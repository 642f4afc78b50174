// A bump allocator for what lives as long as one stream. Chunks come from, and go back to, a
// ChunkPool of the worker, so that in the steady state a request costs no heap allocation. One
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/assert.h"

namespace millrace {

// Keeps released chunks of one size for reuse. Owns them; must outlive every Arena on it.
class ChunkPool {
 public:
  static constexpr size_t kChunkBytes =
      4096;  // one page: a browser's header block and all that a stream adds to it
  static constexpr size_t kKeptChunks = 4096;  // 16 MiB a worker at the most stays cached
  struct Chunk {
    Chunk* next;
    size_t size;  // usable bytes behind this header
    char* data() { return reinterpret_cast<char*>(this + 1); }
  };
  ChunkPool() = default;
  ~ChunkPool();
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;
  Chunk* take(size_t bytes);  // a chunk with at least `bytes` usable; larger than kChunkBytes comes
                              // from the heap
  void give(Chunk* chunk);
  // Usable bytes of the chunks that were taken and not given back.
  size_t bytesTaken() const { return taken_; }
  // Frees what was not needed since the last call, at most `most` chunks. Returns how many bytes.
  size_t trim(size_t most);

 private:
  Chunk* free_ = nullptr;
  size_t kept_ = 0;
  size_t least_ = 0;  // of kept_ since the last trim()
  size_t taken_ = 0;
};

class Arena {
 public:
  explicit Arena(ChunkPool& pool) : pool_(&pool) {}
  ~Arena() { reset(); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Memory valid until reset(). `align` is a power of two of at most 16.
  void* allocate(size_t bytes, size_t align = 8) {
    uintptr_t p = (uintptr_t(cursor_) + align - 1) & ~uintptr_t(align - 1);
    if (cursor_ == nullptr || p + bytes > uintptr_t(end_)) return allocateSlow(bytes, align);
    cursor_ = reinterpret_cast<char*>(p + bytes);
    return reinterpret_cast<void*>(p);
  }
  // An uninitialised array of trivially destructible T.
  template <typename T>
  T* array(size_t n) {
    return static_cast<T*>(allocate(n * sizeof(T), alignof(T)));
  }
  std::string_view copy(std::string_view s) {
    if (s.empty()) return {};
    char* p = static_cast<char*>(allocate(s.size(), 1));
    std::memcpy(p, s.data(), s.size());
    return {p, s.size()};
  }
  // Gives every chunk back. Nothing handed out before may be used again.
  void reset();

 private:
  void* allocateSlow(size_t bytes, size_t align);
  ChunkPool* pool_;
  ChunkPool::Chunk* chunks_ = nullptr;
  char* cursor_ = nullptr;
  char* end_ = nullptr;
};

}  // namespace millrace
