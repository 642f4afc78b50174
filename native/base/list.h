// Intrusive doubly linked list: O(1) insert and unlink, no allocation. A node is on at most one
// list at a time for each ListNode it has. The list does not own its elements. One thread.
#pragma once

#include <cstddef>

#include "base/assert.h"

namespace millrace {

template <typename Tag>
struct ListNode {
  ListNode* prev = nullptr;
  ListNode* next = nullptr;
  bool linked() const { return next != nullptr; }
  void unlink() {
    if (next == nullptr) return;
    prev->next = next;
    next->prev = prev;
    prev = next = nullptr;
  }
  ListNode() = default;
  ListNode(const ListNode&) = delete;
  ListNode& operator=(const ListNode&) = delete;
  ~ListNode() { unlink(); }
};

// T derives from ListNode<Tag>; the tag is T itself unless T is on several lists.
template <typename T, typename Tag = T>
class List {
 public:
  using Node = ListNode<Tag>;
  List() { head_.prev = head_.next = &head_; }
  ~List() {
    while (!empty()) head_.next->unlink();
    head_.prev = head_.next = nullptr;
  }
  List(const List&) = delete;
  List& operator=(const List&) = delete;
  bool empty() const { return head_.next == &head_; }
  T* front() { return empty() ? nullptr : static_cast<T*>(head_.next); }
  T* back() { return empty() ? nullptr : static_cast<T*>(head_.prev); }
  void pushFront(T* t) { insert(static_cast<Node*>(t), head_.next); }
  void pushBack(T* t) { insert(static_cast<Node*>(t), &head_); }
  T* popFront() {
    T* t = front();
    if (t != nullptr) static_cast<Node*>(t)->unlink();
    return t;
  }
  // The element after `t`, or null at the end. To unlink while walking, take the next one first.
  T* next(T* t) {
    Node* n = static_cast<Node*>(t)->next;
    return n == &head_ ? nullptr : static_cast<T*>(n);
  }
  size_t size() const {
    size_t n = 0;
    for (const Node* p = head_.next; p != &head_; p = p->next) n++;
    return n;
  }

 private:
  void insert(Node* n, Node* before) {
    MR_DASSERT(!n->linked());
    n->prev = before->prev;
    n->next = before;
    before->prev->next = n;
    before->prev = n;
  }
  Node head_;
};

}  // namespace millrace
