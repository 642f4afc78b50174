// The memory of a shard: found by index, made on first use.
#include "stats/shard.h"

namespace millrace {

template <typename T>
StatsShard::Directory<T>::~Directory() {
  for (std::atomic<Page*>& pointer : pages_) {
    std::unique_ptr<Page> page(pointer.load(std::memory_order_relaxed));
    if (page == nullptr) continue;
    for (std::atomic<T*>& item : page->items) {
      std::unique_ptr<T> owned(item.load(std::memory_order_relaxed));
    }
  }
}

template <typename T>
T& StatsShard::Directory<T>::add(uint32_t index) {
  MR_ASSERT(index >> 16 == 0);
  std::atomic<Page*>& pointer = pages_[index >> 8];
  Page* page = pointer.load(std::memory_order_relaxed);
  if (page == nullptr) {
    page = std::make_unique<Page>().release();
    pointer.store(page, std::memory_order_release);
  }
  T* item = std::make_unique<T>().release();
  page->items[index & 255].store(item, std::memory_order_release);
  return *item;
}

template class StatsShard::Directory<StatsShard::Chunk>;
template class StatsShard::Directory<HistogramCells>;

}  // namespace millrace
