// The message model, neutral of HTTP's version: a head is a list of views with well-known names
// recognised once. Thread rule: one thread (a worker's loop).
#pragma once

#include <cstdint>
#include <string_view>

#include "base/arena.h"

namespace millrace {

// Names that the proxy itself looks at. The list is in header_ids.inc: X(kHost, "host") …; kOther
// is 0.
enum class HeaderId : uint8_t {
  kOther = 0,
#define X(id, name) id,
#include "http/header_ids.inc"
#undef X
  kCount
};
static_assert(uint8_t(HeaderId::kCount) <= 64,
              "the presence mask of HeaderList has a bit for each");

// The well-known id of `name` (any case), or kOther.
HeaderId headerId(std::string_view name);
// The lower-case name of an id; empty for kOther.
std::string_view headerName(HeaderId id);
// Whether two names or tokens are equal but for the case of ASCII letters.
bool equalsIgnoreCase(std::string_view a, std::string_view b);

// A field line. Names keep the case they came in; comparing is case-insensitive. Views: whoever
// holds a list across events owns the bytes too (RequestHead::own).
struct Header {
  std::string_view name;
  std::string_view value;
  HeaderId id = HeaderId::kOther;
};

// Ordered field lines. Grows in the stream's arena; trivially small when empty.
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
  // Forgets the fields; keeps the memory.
  void clear() {
    size_ = 0;
    present_ = 0;
  }

  // Views are kept, not copied. `id` is headerId(name).
  void add(std::string_view name, std::string_view value, HeaderId id) {
    if (size_ == capacity_) grow();
    items_[size_++] = Header{name, value, id};
    present_ |= bit(id);
  }
  void add(HeaderId id, std::string_view value) { add(headerName(id), value, id); }
  // Replaces every field of that name by one (keeps the place and the spelling of the first), or
  // adds it.
  void set(HeaderId id, std::string_view value);
  void set(std::string_view name, std::string_view value);
  // The first field of that name, or null.
  const Header* find(HeaderId id) const {
    if (!has(id)) return nullptr;
    const Header* h = items_;
    while (h->id != id) h++;
    return h;
  }
  const Header* find(std::string_view name) const;
  // The first value of that name, or empty.
  std::string_view value(HeaderId id) const {
    const Header* h = find(id);
    return h == nullptr ? std::string_view() : h->value;
  }
  // All values of that name joined with ',' (allocated in the arena when there is more than one).
  // `found` false: absent.
  std::string_view joined(std::string_view name, bool& found) const;
  // Exact: there is a bit for every well-known name. False for kOther.
  bool has(HeaderId id) const { return ((present_ & ~uint64_t(1)) >> uint8_t(id)) & 1; }
  // A set of well-known names, for hasAny().
  template <typename... Ids>
  static constexpr uint64_t maskOf(Ids... ids) {
    return (bit(ids) | ...);
  }
  // Exact, as has(): whether any name of the set is here.
  bool hasAny(uint64_t mask) const { return (present_ & mask) != 0; }
  // Each returns how many fields were removed.
  uint32_t remove(HeaderId id);
  uint32_t remove(std::string_view name);
  uint32_t removePrefix(std::string_view prefix);
  Arena& arena() const { return *arena_; }

 private:
  static constexpr uint32_t kFirstCapacity = 16;  // a usual request needs no second allocation
  static constexpr uint64_t bit(HeaderId id) { return uint64_t(1) << uint8_t(id); }
  void grow();
  template <typename Match>
  uint32_t removeIf(Match match);

  Arena* arena_;
  Header* items_ = nullptr;
  uint32_t size_ = 0, capacity_ = 0;
  uint64_t present_ = 0;  // a bit for each well-known name that is in the list
};

enum class Method : uint8_t {
  kOther,
  kGet,
  kHead,
  kPost,
  kPut,
  kDelete,
  kConnect,
  kOptions,
  kTrace,
  kPatch
};
Method parseMethod(std::string_view text);

// How the end of a body is known on the wire it was received from (RFC 9112 §6.3).
enum class BodyFraming : uint8_t { kNone, kLength, kChunked, kUntilClose };

struct RequestHead {
  explicit RequestHead(Arena& arena) : headers(arena), trailers(arena) {}
  Method method = Method::kOther;
  BodyFraming framing = BodyFraming::kNone;
  uint8_t version = 11;   // 10 or 11 (20 later)
  bool keepAlive = true;  // what the client asked for: Connection and the version (RFC 9112 §9.3)
  // Expect: 100-continue on an HTTP/1.1 request with a body (RFC 9110 §10.1.1).
  bool expectContinue = false;
  uint64_t contentLength = 0;  // bytes; with kLength
  std::string_view methodText;
  std::string_view path;  // origin form, or "*"; for CONNECT empty
  // Host, or the authority of an absolute-form target (which wins: RFC 9112 §3.2.2).
  std::string_view authority;
  std::string_view scheme;  // "http" or "https" of an absolute-form target; else empty
  // Without Host, and without fields of no well-known name that Connection nominated: those are
  // removed on receipt, so that a client cannot nominate what is added later. The other hop-by-hop
  // fields are here until the encoder drops them.
  HeaderList headers;
  HeaderList trailers;   // filled when trailers are enabled, before onRequestTrailers
  std::string_view raw;  // the head as received; its size is what logs call header bytes

  // Copies the bytes of the head into the arena and points every view that lay in them there. After
  // it the head outlives the event it came in. A second call does nothing.
  void own();
  // Ready for another message; the memory of the lists is kept.
  void clear();

 private:
  bool owned_ = false;
};

struct ResponseHead {
  explicit ResponseHead(Arena& arena) : headers(arena), trailers(arena) {}
  uint16_t status = 0;
  BodyFraming framing = BodyFraming::kNone;
  uint8_t version = 11;
  bool keepAlive = true;       // whether the upstream leaves the connection open (RFC 9112 §9.3)
  uint64_t contentLength = 0;  // bytes; with kLength
  std::string_view reason;     // empty: the encoder writes the usual one
  HeaderList headers;
  HeaderList trailers;
  std::string_view raw;

  void own();  // see RequestHead
  void clear();

 private:
  bool owned_ = false;
};

// The reason phrase that RFC 9110 §15 gives, or empty.
std::string_view reasonPhrase(uint16_t status);

}  // namespace millrace
