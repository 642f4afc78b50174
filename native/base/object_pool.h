// Recycles objects of one type for one worker: take() constructs in recycled memory, give()
// destroys and keeps the memory. Owns the memory; must outlive the objects. One thread.
#pragma once

#include <cstddef>
#include <new>
#include <utility>

#include "base/assert.h"

namespace millrace {

template <typename T>
class ObjectPool {
 public:
  // `maxKept`: how many free blocks stay cached.
  explicit ObjectPool(size_t maxKept = 65536) : maxKept_(maxKept) {}
  ~ObjectPool() {
    while (free_ != nullptr) {
      Block* next = free_->next;
      ::operator delete(static_cast<void*>(free_), std::align_val_t(alignof(Block)));
      free_ = next;
    }
  }
  ObjectPool(const ObjectPool&) = delete;
  ObjectPool& operator=(const ObjectPool&) = delete;

  template <typename... Args>
  T* take(Args&&... args) {
    void* p;
    if (free_ != nullptr) {
      p = free_;
      free_ = free_->next;
      if (--kept_ < least_) least_ = kept_;
    } else {
      p = ::operator new(sizeof(Block), std::align_val_t(alignof(Block)));
    }
    inUse_++;
    return new (p) T(std::forward<Args>(args)...);
  }
  void give(T* t) {
    t->~T();
    inUse_--;
    if (!MR_RECYCLE || kept_ >= maxKept_) {
      ::operator delete(static_cast<void*>(t), std::align_val_t(alignof(Block)));
      return;
    }
    auto* b = reinterpret_cast<Block*>(t);
    b->next = free_;
    free_ = b;
    kept_++;
  }
  size_t inUse() const { return inUse_; }
  // Frees what was not needed since the last call, at most `most` blocks. Returns how many bytes.
  size_t trim(size_t most) {
    size_t freed = 0;
    for (; freed < most && freed < least_; freed++) {
      Block* block = free_;
      free_ = block->next;
      kept_--;
      ::operator delete(static_cast<void*>(block), std::align_val_t(alignof(Block)));
    }
    least_ = kept_;
    return freed * sizeof(Block);
  }

 private:
  union Block {
    Block* next;
    alignas(T) unsigned char storage[sizeof(T)];
  };
  Block* free_ = nullptr;
  size_t kept_ = 0;
  size_t least_ = 0;  // of kept_ since the last trim()
  size_t inUse_ = 0;
  size_t maxKept_;
};

}  // namespace millrace
