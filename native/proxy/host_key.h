// The key under which an on-demand cluster has the host that a request or a connection means:
// "1.2.3.4:80", "[::1]:80", "example.com:80". Pure functions: any thread.
#pragma once

#include <optional>
#include <string_view>

#include "base/arena.h"
#include "http/headers.h"
#include "net/address.h"
#include "upstream/cluster_spec.h"

namespace millrace {

// Of an original destination. `named`: what a request header says instead; empty: nothing.
// `meant`: where the client's connection was to go; null: not known. `invalid` becomes true when
// the header names no address; `meant` counts then. Nothing: there is no destination.
std::optional<Address> originalDestinationOf(const spec::OnDemand& rules, std::string_view named,
                                             const Address* meant, bool& invalid);

// Of a request to a forward proxy: its authority in lower case with a port, in `arena`. Empty: it
// can be no host.
std::string_view forwardKey(std::string_view authority, uint16_t defaultPort, Arena& arena);

// The value of the header that names the destination: the first one, if there are several. Of
// ":authority" and "host" the authority.
std::string_view destinationHeader(const spec::OnDemand& rules, const RequestHead& head);

}  // namespace millrace
