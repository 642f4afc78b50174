// The two hash functions that Envoy's hashing balancers know. Any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace millrace {

// XXH64 (xxHash's specification, version 0.1.1).
uint64_t xxHash64(std::string_view data, uint64_t seed = 0);
// MurmurHash64A, with the seed of the C++ library's std::hash, which is what MURMUR_HASH_2 means in
// Envoy.
uint64_t murmurHash2(std::string_view data, uint64_t seed = 0xc70f6907);

}  // namespace millrace
