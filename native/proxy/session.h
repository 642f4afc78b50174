// What a listener keeps on one worker, and what it knows of the connections that it accepted there.
// Thread rule: the worker's loop, but for the counts, which any thread may read.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/list.h"
#include "stats/shard.h"

namespace millrace {

// An accepted connection with what serves it.
class Session : public ListNode<Session> {
 public:
  // The listener drains: close when there is nothing to lose (an idle keep-alive connection), else
  // as soon as that is so.
  virtual void drain() = 0;
  // Now, whatever is under way.
  virtual void closeNow() = 0;

 protected:
  ~Session() = default;
};

struct ListenerLocal {
  List<Session> sessions;
  StatBlock stats;  // listener_stats.h
  std::atomic<uint32_t>* total =
      nullptr;  // connections of this listener on all workers, for its limit
  bool draining = false;

  void opened(Session& s);
  void closed(Session& s);
};

}  // namespace millrace
