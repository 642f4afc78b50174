// Base64 as RFC 4648 §4 has it: the standard alphabet, padded. No allocation; any thread.
#pragma once

#include <cstddef>
#include <string_view>

namespace millrace {

constexpr size_t base64Size(size_t bytes) {
  return (bytes + 2) / 3 * 4;
}
// At the most.
constexpr size_t base64DecodedSize(size_t chars) {
  return chars / 4 * 3;
}

// Writes base64Size(data.size()) characters.
void encodeBase64(std::string_view data, char* out);
// Writes the bytes that `text` stands for (room: base64DecodedSize(text.size())) and says how many
// they are. False: it is no Base64, or another text for the same bytes would be the right one.
bool decodeBase64(std::string_view text, char* out, size_t& size);

}  // namespace millrace
