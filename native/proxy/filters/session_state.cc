#include "proxy/filters/session_state.h"

#include <algorithm>
#include <cstring>

#include "base/ascii.h"
#include "base/base64.h"
#include "proxy/hash_policy.h"

namespace millrace {

namespace {

// The cookie is a message of two fields (cookie.proto beside Envoy's extension): the address, and
// the second after which it counts no longer, if there is one.
constexpr uint8_t kAddressTag = 1 << 3 | 2, kExpiresTag = 2 << 3;
constexpr size_t kVarintMost = 10;

struct Cookie {
  std::string_view address;
  uint64_t expires = 0;
};

bool readVarint(std::string_view& in, uint64_t& out) {
  out = 0;
  for (size_t i = 0; i < std::min(in.size(), kVarintMost); i++) {
    uint64_t byte = uint8_t(in[i]);
    out |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      in.remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

bool skip(std::string_view& in, uint64_t bytes) {
  if (bytes > in.size()) return false;
  in.remove_prefix(bytes);
  return true;
}

// Fields that are not known are passed over. False: it is no message.
bool parse(std::string_view in, Cookie& out) {
  while (!in.empty()) {
    uint64_t tag = 0, number = 0;
    if (!readVarint(in, tag) || tag >> 3 == 0) return false;
    std::string_view rest = in;
    bool fine = false;
    switch (tag & 7) {
      case 0:
        fine = readVarint(in, number);
        if (tag == kExpiresTag) out.expires = number;
        break;
      case 1:
        fine = skip(in, 8);
        break;
      case 2:
        fine = readVarint(in, number);
        rest = in;
        fine = fine && skip(in, number);
        if (fine && tag == kAddressTag) out.address = rest.substr(0, number);
        break;
      case 5:
        fine = skip(in, 4);
        break;
    }
    if (!fine) return false;
  }
  return true;
}

size_t writeVarint(uint64_t value, char* out) {
  size_t size = 0;
  for (; value >= 0x80; value >>= 7) out[size++] = char(value | 0x80);
  out[size++] = char(value);
  return size;
}

// At `out` there is room for kCookieHead bytes more than the address has.
constexpr size_t kCookieHead = 2 + 2 * kVarintMost;
size_t write(const Cookie& cookie, char* out) {
  size_t size = 0;
  out[size++] = char(kAddressTag);
  size += writeVarint(cookie.address.size(), out + size);
  std::memcpy(out + size, cookie.address.data(), cookie.address.size());
  size += cookie.address.size();
  if (cookie.expires != 0) {
    out[size++] = char(kExpiresTag);
    size += writeVarint(cookie.expires, out + size);
  }
  return size;
}

// Empty: it is no Base64.
std::string_view decoded(std::string_view text, Arena& arena) {
  char* out = arena.array<char>(base64DecodedSize(text.size()));
  size_t size = 0;
  return decodeBase64(text, out, size) ? std::string_view(out, size) : std::string_view();
}

}  // namespace

SessionState::SessionState(const spec::StatefulSession& spec)
    : kind_(spec.state),
      name_(spec.state == Kind::kHeader ? lowered(spec.name) : spec.name),
      ttl_(spec.ttl),
      path_(spec.path),
      cookieTail_(cookieTail(spec.ttl, spec.path, {})) {}

bool SessionState::covers(std::string_view path) const {
  if (path_.empty() || path_ == "/") return true;
  if (!path.starts_with(path_)) return false;
  if (path_.back() == '/' || path.size() == path_.size()) return true;
  char next = path[path_.size()];
  return next == '/' || next == '?' || next == '#';
}

std::string_view SessionState::read(const RequestHead& head, uint64_t nowSeconds,
                                    Arena& arena) const {
  if (kind_ == Kind::kHeader) {
    const Header* header = head.headers.find(name_);
    return header == nullptr ? std::string_view() : decoded(header->value, arena);
  }
  auto value = findCookie(head.headers, name_);
  return value ? readCookie(decoded(*value, arena), nowSeconds) : std::string_view();
}

// What is no message is an address as it stands: so did older versions of Envoy write it.
std::string_view SessionState::readCookie(std::string_view value, uint64_t nowSeconds) {
  Cookie cookie;
  if (!parse(value, cookie)) return value;
  if (cookie.expires != 0 && nowSeconds > cookie.expires) return {};
  return cookie.address;
}

void SessionState::write(std::string_view address, uint64_t nowSeconds, HeaderList& headers) const {
  Arena& arena = headers.arena();
  if (kind_ == Kind::kHeader) {
    size_t size = base64Size(address.size());
    char* text = arena.array<char>(size);
    encodeBase64(address, text);
    headers.set(name_, {text, size});
    return;
  }
  char* message = arena.array<char>(address.size() + kCookieHead);
  size_t bytes = millrace::write({address, ttl_ == 0 ? 0 : nowSeconds + ttl_}, message);
  size_t size = name_.size() + 3 + base64Size(bytes) + cookieTail_.size();
  char* field = arena.array<char>(size);
  char* at = std::copy(name_.begin(), name_.end(), field);
  *at++ = '=';
  *at++ = '"';
  encodeBase64({message, bytes}, at);
  at += base64Size(bytes);
  *at++ = '"';
  std::copy(cookieTail_.begin(), cookieTail_.end(), at);
  headers.add(HeaderId::kSetCookie, {field, size});
}

}  // namespace millrace
