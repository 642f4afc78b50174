// A host of a cluster: what stays of it, and with it counters and pooled connections, across
// snapshots. What may change (weight, health, …) is in the snapshots' HostEntry. Made and destroyed
// on the main thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "net/address.h"
#include "upstream/outlier.h"

namespace millrace {

class HttpPool;

// What one worker keeps for one host: counters that only it writes (anyone may read), and its pool,
// which is nobody else's business. One cache line, so that workers do not disturb each other.
struct alignas(64) HostLocal {
  std::atomic<uint64_t> cxTotal{0};
  std::atomic<uint64_t> cxConnectFail{0};
  std::atomic<uint64_t> rqTotal{0};
  std::atomic<uint64_t> rqSuccess{0};
  std::atomic<uint64_t> rqError{0};
  std::atomic<uint32_t> rqTimeout{0};
  std::atomic<uint32_t> cxActive{0};
  std::atomic<uint32_t> rqActive{0};
  HttpPool* pool = nullptr;
};

// One writer: a plain load and store, no locked instruction.
template <typename T>
inline void bump(std::atomic<T>& counter, int delta = 1) {
  counter.store(counter.load(std::memory_order_relaxed) + T(delta), std::memory_order_relaxed);
}

// The weight that a host's own reports of its load give it (client-side weighted round robin).
class ReportedWeight {
 public:
  // A worker had a report that gives this weight, more than 0. Several may have one at once; that
  // of one may then stand beside the time of the other.
  void report(uint32_t weight, uint64_t nowNs) {
    weight_.store(weight, std::memory_order_relaxed);
    lastNs_.store(nowNs, std::memory_order_relaxed);
    if (sinceNs_.load(std::memory_order_relaxed) == 0) {
      sinceNs_.store(nowNs, std::memory_order_relaxed);
    }
  }
  // Main thread. 0: the host has not reported for as long as `blackoutNs`, or not since
  // `expirationNs`; then the blackout begins anew with its next report.
  uint32_t get(uint64_t nowNs, uint64_t blackoutNs, uint64_t expirationNs) {
    uint64_t since = sinceNs_.load(std::memory_order_relaxed);
    if (since == 0 || since + blackoutNs > nowNs) return 0;
    if (lastNs_.load(std::memory_order_relaxed) + expirationNs < nowNs) {
      sinceNs_.store(0, std::memory_order_relaxed);
      return 0;
    }
    return weight_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<uint32_t> weight_{0};
  std::atomic<uint64_t> lastNs_{0}, sinceNs_{0};
};

class Host {
 public:
  Host(uint64_t id, uint32_t place, const Address& address, std::vector<Address> additional,
       std::string hostname, uint32_t workers)
      : id_(id),
        place_(place),
        address_(address),
        additional_(std::move(additional)),
        text_(address.toString()),
        hostname_(std::move(hostname)),
        workers_(workers),
        locals_(std::make_unique<HostLocal[]>(workers)) {}
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  uint64_t id() const { return id_; }        // the cluster manager's
  uint32_t place() const { return place_; }  // among the entries of every snapshot that has it
  const Address& address() const { return address_; }
  const std::vector<Address>& additionalAddresses() const { return additional_; }
  const std::string& addressText() const { return text_; }   // "127.0.0.1:80"
  const std::string& hostname() const { return hostname_; }  // empty: none
  // What requests to an on-demand cluster name it by.
  const std::string& key() const { return hostname_.empty() ? text_ : hostname_; }
  // Of an on-demand cluster: whether a request went to it since the last takeUsed(). It begins as
  // used: somebody waits for it. markUsed(): any worker; takeUsed(): the main thread. Relaxed: the
  // flag guards no other memory, and a mark that comes too late to be seen costs the host another
  // round of being found.
  void markUsed() const {
    if (!used_.load(std::memory_order_relaxed)) used_.store(true, std::memory_order_relaxed);
  }
  bool takeUsed() const { return used_.exchange(false, std::memory_order_relaxed); }
  HostLocal& local(uint32_t worker) const { return locals_[worker]; }
  uint32_t workers() const { return workers_; }
  // For outlier detection. Any worker.
  OutcomesOnDemand& outcomes() const { return outcomes_; }
  // Requests that all workers have under way to it, for balancing. Any worker.
  uint32_t activeRequests() const { return active_.load(std::memory_order_relaxed); }
  void requestBegins() const { active_.fetch_add(1, std::memory_order_relaxed); }
  void requestEnds() const { active_.fetch_sub(1, std::memory_order_relaxed); }
  ReportedWeight& reportedWeight() const { return reported_; }
  // Connections to it on all workers, about. Any worker; costs a cache miss for each worker.
  uint32_t activeConnections() const {
    uint32_t sum = 0;
    for (uint32_t w = 0; w < workers_; w++) {
      sum += locals_[w].cxActive.load(std::memory_order_relaxed);
    }
    return sum;
  }

 private:
  const uint64_t id_;
  const uint32_t place_;
  const Address address_;
  const std::vector<Address> additional_;
  const std::string text_;
  const std::string hostname_;
  const uint32_t workers_;
  const std::unique_ptr<HostLocal[]> locals_;
  mutable OutcomesOnDemand outcomes_;
  // What all workers write, on a cache line of its own.
  alignas(64) mutable std::atomic<uint32_t> active_{0};
  mutable ReportedWeight reported_;
  mutable std::atomic<bool> used_{true};
};

}  // namespace millrace
