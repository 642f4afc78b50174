// The message model, neutral of HTTP's version: a head is a list of views with well-known names recognised once.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/arena.h"

namespace millrace {

// Names that the proxy itself looks at. The list is in header_ids.inc: X(kHost, "host") …; kOther is 0.
enum class HeaderId : uint8_t {
  kOther = 0,
#define X(id, name) id,
#include "http/header_ids.inc"
#undef X
  kCount
};

// The well-known id of `name` (any case), or kOther.
HeaderId headerId(std::string_view name);
// The lower-case name of an id.
std::string_view headerName(HeaderId id);

// A field line. Names keep the case they came in; comparing is case-insensitive. Views: whoever holds a list across
// events owns the bytes too (HeaderList::own).
struct Header {
  std::string_view name;
  std::string_view value;
  HeaderId id = HeaderId::kOther;
};

// Ordered field lines. Grows in the stream's arena; trivially small when empty. One thread.
class HeaderList {
 public:
  explicit HeaderList(Arena& arena) : arena_(&arena) {}
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;

  Header* begin() { return items_; }
  Header* end() { return items_ + size_; }
  const Header* begin() const { return items_; }
  const Header* end() const { return items_ + size_; }
  uint32_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  void clear() { size_ = 0; present_ = 0; }

  // Views are kept, not copied.
  void add(std::string_view name, std::string_view value, HeaderId id);
  void add(HeaderId id, std::string_view value) { add(headerName(id), value, id); }
  // Replaces every field of that name by one (keeps the place of the first), or adds it.
  void set(HeaderId id, std::string_view value);
  void set(std::string_view name, std::string_view value);
  // The first field of that name, or null.
  const Header* find(HeaderId id) const;
  const Header* find(std::string_view name) const;
  // All values of that name joined with ',' (allocated in the arena when there is more than one).
  // `found` false: absent.
  std::string_view joined(std::string_view name, bool& found) const;
  bool has(HeaderId id) const { return (present_ >> (uint8_t(id) & 63)) & 1 ? find(id) != nullptr : false; }
  uint32_t remove(HeaderId id);           // how many
  uint32_t remove(std::string_view name);
  uint32_t removePrefix(std::string_view prefix);
  Arena& arena() const { return *arena_; }

 private:
  Arena* arena_;
  Header* items_ = nullptr;
  uint32_t size_ = 0, capacity_ = 0;
  uint64_t present_ = 0;  // a bit (id mod 64) for each well-known name that was ever added: a quick no
};

enum class Method : uint8_t { kOther, kGet, kHead, kPost, kPut, kDelete, kConnect, kOptions, kTrace, kPatch };
Method parseMethod(std::string_view text);

struct RequestHead {
  explicit RequestHead(Arena& arena) : headers(arena) {}
  Method method = Method::kOther;
  std::string_view methodText;
  std::string_view path;        // origin form, or "*"; for CONNECT empty
  std::string_view authority;   // Host, or the authority of an absolute-form target (which wins: RFC 9112 §3.2.2)
  std::string_view scheme;      // of an absolute-form target; else empty
  uint8_t version = 11;         // 10 or 11 (20 later)
  HeaderList headers;           // without Host; hop-by-hop fields are still here until the codec's encoder drops them
};

struct ResponseHead {
  explicit ResponseHead(Arena& arena) : headers(arena) {}
  uint16_t status = 0;
  std::string_view reason;
  uint8_t version = 11;
  HeaderList headers;
};

}  // namespace millrace
