// A list that any thread pushes to and one thread empties, without a lock. T has a public `T*
// next`.
#pragma once

#include <atomic>

namespace millrace {

template <typename T>
class MpscList {
 public:
  // Any thread. True when the list was empty: whoever empties it is to be told.
  bool push(T* item) {
    // Release: what `item` carries is visible to whoever takes it. The list is only ever taken
    // whole, so a node that comes back cannot be mistaken for another (no ABA).
    T* head = head_.load(std::memory_order_relaxed);
    do {
      item->next = head;
    } while (!head_.compare_exchange_weak(head, item, std::memory_order_release,
                                          std::memory_order_relaxed));
    return head == nullptr;
  }
  // The one thread. Everything pushed so far, oldest first, linked by `next`.
  T* takeAll() {
    T* newest = head_.exchange(nullptr, std::memory_order_acquire);
    T* oldest = nullptr;
    while (newest != nullptr) {
      T* next = newest->next;
      newest->next = oldest;
      oldest = newest;
      newest = next;
    }
    return oldest;
  }

 private:
  std::atomic<T*> head_{nullptr};
};

}  // namespace millrace
