// Where a connection to a host goes: its addresses in the order in which they are tried, and what
// goes out first. Worker's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "net/connection.h"

namespace millrace {

struct ClusterConfig;
class Host;

// The client on whose behalf a connection is made. Views of whoever asks.
struct PoolClient {
  uint64_t connection = 0;          // Connection::id() of its connection
  const Address* remote = nullptr;  // null: not known
  const Address* local = nullptr;
};

class HostDestination {
 public:
  // `client`: for the PROXY header, if the cluster sends one; null: nobody in particular.
  HostDestination(const ClusterConfig& config, const Host& host, const PoolClient* client);
  // `preface`: as prefaceFor() gave it.
  HostDestination(const ClusterConfig& config, const Host& host, std::string_view preface);
  Destination get() const { return {*first_, others_, preface_}; }

 private:
  void order(const ClusterConfig& config, const Host& host);
  const Address* first_;
  std::vector<Address> others_;  // empty for most: then nothing is allocated
  std::string preface_;
};

// The bytes that a connection for `client` begins with; none unless the cluster says so.
std::string prefaceFor(const ClusterConfig& config, const PoolClient* client);

// RFC 8305 §4: `all` in the order in which they are tried, families taking turns: first `count` of
// the family `first` (0: that of the first address), then one of the other.
std::vector<const Address*> interleaved(const std::vector<const Address*>& all, int first,
                                        uint32_t count);

}  // namespace millrace
