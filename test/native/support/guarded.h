// Bytes that end where an unmapped page begins, so that reading one too many faults. For parsers'
// tests.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <span>
#include <string_view>

#include "base/assert.h"

namespace millrace {

class Guarded {
 public:
  explicit Guarded(std::string_view bytes, size_t startSlack = 0) : size_(bytes.size()) {
    size_t page = size_t(sysconf(_SC_PAGESIZE));
    usable_ = (bytes.size() + startSlack + page) / page * page;
    mapped_ = usable_ + page;
    base_ = static_cast<char*>(
        mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    MR_ASSERT(base_ != MAP_FAILED);
    MR_ASSERT(mprotect(base_ + usable_, page, PROT_NONE) == 0);
    if (!bytes.empty()) std::memcpy(data(), bytes.data(), bytes.size());
  }
  ~Guarded() { munmap(base_, mapped_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  char* data() const { return base_ + usable_ - size_; }
  std::string_view view() const { return {data(), size_}; }
  std::span<char> span() const { return {data(), size_}; }
  // The end of the mapped bytes; `n` bytes may be filled in front of it.
  char* before(size_t n) const { return base_ + usable_ - n; }

 private:
  size_t size_, usable_, mapped_;
  char* base_;
};

}  // namespace millrace
