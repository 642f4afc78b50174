#include "proxy/session.h"

#include "proxy/listener_stats.h"

namespace millrace {

using namespace listener_stat;

void ListenerLocal::opened(Session& s) {
  sessions.pushBack(&s);
  ++stats[kCxTotal];
  ++stats[kCxActive];
  load->connections.store(load->connections.load(std::memory_order_relaxed) + 1,
                          std::memory_order_relaxed);
}

void ListenerLocal::closed(Session& s) {
  s.unlink();
  --stats[kCxActive];
  ++stats[kCxDestroy];
  // Relaxed: counts that guard no other memory.
  total->fetch_sub(1, std::memory_order_relaxed);
  load->connections.store(load->connections.load(std::memory_order_relaxed) - 1,
                          std::memory_order_relaxed);
}

void ListenerLocal::moveStats(StatBlock to) {
  stats[kCxActive].sub(sessions.size());
  stats = to;
  stats[kCxActive].add(sessions.size());
}

}  // namespace millrace
