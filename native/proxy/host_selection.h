// What one request wants of the balancer of its cluster, and what its response tells the client
// about it. In the stream's router. Thread rule: the worker's loop.
#pragma once

#include <optional>
#include <string_view>

#include "base/arena.h"
#include "http/headers.h"
#include "proxy/hash_policy.h"
#include "upstream/balancer.h"

namespace millrace {

struct ClusterPick;
struct ForwardAction;
struct StreamInfo;

class HostSelection {
 public:
  // What a filter asked for, ahead of the balancer. Valid as long as the stream.
  void overrideHost(std::string_view address, bool strict) {
    overrideHost_ = address;
    overrideStrict_ = strict;
  }
  // A retry, or another route: what was asked for holds no longer.
  void dropOverride() { overrideHost(std::string_view(), false); }
  // Once for each request, before its headers are changed.
  void begin(const ForwardAction& action, const ClusterPick& pick, const RequestHead& head,
             const StreamInfo& info, Arena& arena);
  // Valid as long as the stream.
  PickContext context() const {
    PickContext context;
    context.overrideHost = overrideHost_;
    context.overrideStrict = overrideStrict_;
    context.hash = hash_;
    context.match = match_;
    context.key = key_;
    return context;
  }
  // Of an on-demand cluster: which host, valid as long as the stream; empty: none.
  void setKey(std::string_view key) { key_ = key; }
  // Fields that the upstream's response gets on its way to the client.
  void addTo(HeaderList& response) const {
    for (const NewCookie* c = cookies_; c != nullptr; c = c->next) {
      response.add(HeaderId::kSetCookie, c->field);
    }
  }

 private:
  std::optional<uint64_t> hash_;
  const MetadataMatch* match_ = nullptr;  // the route's
  std::string_view key_;
  NewCookie* cookies_ = nullptr;
  std::string_view overrideHost_;
  bool overrideStrict_ = false;
};

}  // namespace millrace
