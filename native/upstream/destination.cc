#include "upstream/destination.h"

#include <algorithm>

#include "net/proxy_header.h"
#include "upstream/cluster.h"

namespace millrace {

namespace {

int familyOf(spec::AddressFamily family) {
  switch (family) {
    case spec::AddressFamily::kV4:
      return AF_INET;
    case spec::AddressFamily::kV6:
      return AF_INET6;
    case spec::AddressFamily::kAny:
      return 0;
  }
  return 0;
}

}  // namespace

std::vector<const Address*> interleaved(const std::vector<const Address*>& all, int first,
                                        uint32_t count) {
  if (all.empty()) return {};
  if (first == 0) first = all.front()->family();
  std::vector<const Address*> preferred, others, order;
  for (const Address* a : all) (a->family() == first ? preferred : others).push_back(a);
  auto p = preferred.begin();
  auto o = others.begin();
  while (p != preferred.end() || o != others.end()) {
    for (uint32_t i = 0; i < std::max(count, 1u) && p != preferred.end(); i++) {
      order.push_back(*p++);
    }
    if (o != others.end()) order.push_back(*o++);
  }
  return order;
}

std::string prefaceFor(const ClusterConfig& config, const PoolClient* client) {
  if (config.connect.proxyProtocol == spec::ProxyProtocol::kNone) return {};
  bool v1 = config.connect.proxyProtocol == spec::ProxyProtocol::kV1;
  ProxyHeader header(v1 ? ProxyVersion::kV1 : ProxyVersion::kV2,
                     client == nullptr ? nullptr : client->remote,
                     client == nullptr ? nullptr : client->local);
  return std::string(header.bytes());
}

HostDestination::HostDestination(const ClusterConfig& config, const Host& host,
                                 const PoolClient* client)
    : first_(&host.address()), preface_(prefaceFor(config, client)) {
  order(config, host);
}

HostDestination::HostDestination(const ClusterConfig& config, const Host& host,
                                 std::string_view preface)
    : first_(&host.address()), preface_(preface) {
  order(config, host);
}

void HostDestination::order(const ClusterConfig& config, const Host& host) {
  if (host.additionalAddresses().empty()) return;
  std::vector<const Address*> all{&host.address()};
  for (const Address& a : host.additionalAddresses()) all.push_back(&a);
  all = interleaved(all, familyOf(config.connect.firstFamily), config.connect.firstFamilyCount);
  first_ = all.front();
  for (size_t i = 1; i < all.size(); i++) others_.push_back(*all[i]);
}

}  // namespace millrace
