// How a thread finds a table that another one made: by an id, with a key that only a handle has.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "base/random.h"
#include "rcu/shared_table.h"

namespace millrace {

// Of one process. Any thread. Holds no table alive.
class TableRegistry {
 public:
  struct Handle {
    uint64_t id = 0;
    uint64_t key = 0;
  };

  Handle add(const std::shared_ptr<SharedTable>& table) {
    std::lock_guard<std::mutex> lock(mutex_);
    uint64_t id = ++lastId_;
    tables_.emplace(id, table);
    return {id, keyOf(id)};
  }
  // Forgets tables that nobody holds any more. Whoever lets go of one calls it.
  void dropGone() {
    std::lock_guard<std::mutex> lock(mutex_);
    std::erase_if(tables_, [](const auto& entry) { return entry.second.expired(); });
  }
  // Whether this process gave that handle, at whatever time.
  bool genuine(Handle handle) const {
    std::lock_guard<std::mutex> lock(mutex_);
    return handle.id > 0 && handle.id <= lastId_ && handle.key == keyOf(handle.id);
  }
  // Null: the table is closed, or gone, or the handle is not genuine.
  std::shared_ptr<SharedTable> find(Handle handle) const {
    if (!genuine(handle)) return nullptr;
    std::lock_guard<std::mutex> lock(mutex_);
    auto found = tables_.find(handle.id);
    std::shared_ptr<SharedTable> table = found == tables_.end() ? nullptr : found->second.lock();
    return table == nullptr || table->closed() ? nullptr : table;
  }

 private:
  // Computed again rather than remembered, so that a handle is known for genuine after its table is
  // gone. 53 bits: a JavaScript number.
  uint64_t keyOf(uint64_t id) const { return Random(secret_ ^ id * kOdd).next() >> 11; }

  static constexpr uint64_t kOdd = 0x9e3779b97f4a7c15;  // 2^64 / golden ratio
  const uint64_t secret_ = Random().next();
  mutable std::mutex mutex_;
  uint64_t lastId_ = 0;
  std::map<uint64_t, std::weak_ptr<SharedTable>> tables_;
};

}  // namespace millrace
