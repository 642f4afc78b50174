// Which fields may come behind a body (RFC 9110 §6.5.1): none that frames, routes, authenticates,
// modifies the request, controls the response, says how to read the content, or that proxies tell
// each other. Whoever reads only the head has decided without them; whoever merges trailers into
// the head would take them for what was checked. Pure functions: any thread.
#pragma once

#include <string_view>

#include "http/headers.h"

namespace millrace {

// `connection`: what the Connection of the same message named (RequestHead::connection).
bool allowedInTrailers(const Header& field, std::string_view connection);

// Leaves out of `trailers` what is not allowed there.
void keepAllowedTrailers(HeaderList& trailers, std::string_view connection);

}  // namespace millrace
