#include "proxy/host_selection.h"

#include "proxy/route.h"

namespace millrace {

void HostSelection::begin(const ForwardAction& action, const ClusterPick& pick,
                          const RequestHead& head, const StreamInfo& info, Arena& arena) {
  hash_.reset();
  cookies_ = nullptr;
  match_ = nullptr;
  key_ = {};
  if (action.match) match_ = &*action.match;
  if (pick.weighted != nullptr && pick.weighted->match) match_ = &*pick.weighted->match;
  if (!action.hashPolicies.empty()) {
    hash_ = action.hashPolicies.hash(head, info, arena, cookies_);
  }
}

}  // namespace millrace
