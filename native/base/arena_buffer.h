// Text of a length that is not known beforehand, put together in an arena. One thread.
#pragma once

#include <cstring>
#include <string_view>

#include "base/arena.h"

namespace millrace {

class ArenaBuffer {
 public:
  // `expected`: bytes to make room for at first.
  ArenaBuffer(Arena& arena, size_t expected) : arena_(arena), capacity_(expected) {
    data_ = arena_.array<char>(capacity_);
  }
  ArenaBuffer(const ArenaBuffer&) = delete;
  ArenaBuffer& operator=(const ArenaBuffer&) = delete;

  void append(std::string_view text) {
    if (text.empty()) return;
    if (text.size() > capacity_ - size_) grow(text.size());
    std::memcpy(data_ + size_, text.data(), text.size());
    size_ += text.size();
  }
  void append(char c) {
    if (size_ == capacity_) grow(1);
    data_[size_++] = c;
  }
  size_t size() const { return size_; }
  char& operator[](size_t i) { return data_[i]; }
  char back() const { return data_[size_ - 1]; }
  void truncate(size_t size) { size_ = size; }
  // Valid until the arena is reset.
  std::string_view text() const { return {data_, size_}; }

 private:
  void grow(size_t more) {
    capacity_ = capacity_ * 2 + more;
    char* bigger = arena_.array<char>(capacity_);
    if (size_ > 0) std::memcpy(bigger, data_, size_);
    data_ = bigger;
  }
  Arena& arena_;
  char* data_;
  size_t size_ = 0;
  size_t capacity_;
};

}  // namespace millrace
