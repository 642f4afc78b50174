// Which cluster a request (or a TCP connection) goes to: one, one named by a request header, or one
// of several by weight.
//
// Built on the main thread; then immutable, read by every worker.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "proxy/header_mutation.h"
#include "proxy/spec.h"
#include "rcu/snapshot.h"
#include "upstream/balancer/pick_context.h"

namespace millrace {

class HeaderList;

struct WeightedCluster {
  std::string name;    // empty: named by `header`
  std::string header;  // lower case
  SlotId slot = kNoSlot;
  uint64_t upTo = 0;  // chosen when the number is below this and not below the one before
  HeaderMutations request;
  HeaderMutations response;
  std::string hostRewrite;  // empty: none
  std::optional<MetadataMatch> match;
  spec::FilterOverrides filters;  // empty: the route's
};

// Points into the table, or into the request's headers.
struct ClusterPick {
  std::string_view name;  // empty: the header that should name it is absent
  SlotId slot = kNoSlot;  // kNoSlot: look `name` up in the directory of clusters
  const WeightedCluster* weighted = nullptr;  // the entry that was chosen, for its mutations
};

// In order of the keys.
MetadataMatch metadataMatch(spec::MetadataMatch spec);

class ClusterChoice {
 public:
  // `where`: the choice's own path in the configuration, for errors.
  static Result<ClusterChoice> compile(spec::ClusterChoice spec, const std::string& where);

  // `headers` may be null (TCP). `random` is the request's own.
  ClusterPick pick(const HeaderList* headers, uint64_t random) const;

 private:
  spec::ClusterChoice::Kind kind_ = spec::ClusterChoice::Kind::kCluster;
  std::string name_;
  std::string header_;
  SlotId slot_ = kNoSlot;
  std::vector<WeightedCluster> clusters_;
  uint64_t total_ = 0;
};

}  // namespace millrace
