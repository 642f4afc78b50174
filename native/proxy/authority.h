// Parts of an authority: "host", "host:port", "[v6]:port". Pure functions: any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/arena.h"

namespace millrace {

// Where ":port" begins; npos without one. A colon inside the brackets of an IPv6 literal is none.
size_t portStart(std::string_view authority);

// Without its port: any number, or (`only` not 0) that one.
std::string_view withoutPort(std::string_view authority, uint16_t only = 0);

// Whether `text` can stand in a Host field: not empty, and only bytes of a host, a port, an IPv6
// literal or %XX.
bool isAuthority(std::string_view text);

// Without a dot at the end of the host. With a port behind it the result is put together in
// `arena`.
std::string_view withoutTrailingDot(std::string_view authority, Arena& arena);

}  // namespace millrace
