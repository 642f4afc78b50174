// Chunks and trailers into a connection; for the two codecs of HTTP/1. Thread rule: the loop of the
// connection.
#pragma once

#include <string_view>

#include "http/headers.h"
#include "net/connection.h"

namespace millrace {

// A chunk with `data`, if there is any, and the last chunk when `end`. Large data is not copied
// (Connection::write).
void writeChunk(Connection& connection, std::string_view data, bool end);
// The last chunk with its trailers.
void writeTrailers(Connection& connection, const HeaderList& trailers);

}  // namespace millrace
