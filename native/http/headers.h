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

// Whether a comma-separated list has the member `token`, in any case (RFC 9110 §5.6.1).
bool listHas(std::string_view list, std::string_view token);

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
    joined_ = nullptr;
  }

  // Views are kept, not copied. `id` is headerId(name).
  void add(std::string_view name, std::string_view value, HeaderId id) {
    if (size_ == capacity_) grow();
    items_[size_++] = Header{name, value, id};
    present_ |= bit(id);
    joined_ = nullptr;
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
  // All values of that name joined with ',' (made in the arena when there is more than one, and
  // remembered until the list changes: however many ask, it is made once). `found` false: absent.
  std::string_view joined(std::string_view name, bool& found) const;
  // Fields were changed in place.
  void forgetJoined() { joined_ = nullptr; }
  // Removes every field that `match(header)` says yes to, in one pass; returns how many.
  template <typename Match>
  uint32_t removeIf(Match match);
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

  Arena* arena_;
  Header* items_ = nullptr;
  uint32_t size_ = 0, capacity_ = 0;
  uint64_t present_ = 0;  // a bit for each well-known name that is in the list
  struct Joined;
  mutable Joined* joined_ = nullptr;  // what joined() made, in the arena
};

template <typename Match>
uint32_t HeaderList::removeIf(Match match) {
  uint32_t kept = 0;
  uint64_t present = 0;
  for (uint32_t i = 0; i < size_; i++) {
    if (match(items_[i])) continue;
    present |= bit(items_[i].id);
    if (kept != i) items_[kept] = items_[i];
    kept++;
  }
  uint32_t removed = size_ - kept;
  size_ = kept;
  present_ = present;
  joined_ = nullptr;
  return removed;
}

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

// How the end of a body is known: on the wire it was received from (RFC 9112 §6.3), and, of a head
// that is to be sent, what is known of the body that follows. Encoders frame by it and by nothing
// else; a Content-Length in the list is for those who match and log.
enum class BodyFraming : uint8_t { kNone, kLength, kChunked, kUntilClose };

struct RequestHead {
  explicit RequestHead(Arena& arena) : headers(arena), trailers(arena) {}
  Method method = Method::kOther;
  BodyFraming framing = BodyFraming::kNone;
  uint8_t version = 11;   // 10 or 11 (20 later)
  bool keepAlive = true;  // what the client asked for: Connection and the version (RFC 9112 §9.3)
  // Expect: 100-continue on an HTTP/1.1 request with a body (RFC 9110 §10.1.1).
  bool expectContinue = false;
  // OPTIONS of an absolute target without a path: about the server as a whole (RFC 9112 §3.2.4).
  // `path` is "/" for whoever matches it; as long as it still is, "*" goes upstream.
  bool wholeServer = false;
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
  // The options of Connection but for close and keep-alive, joined with ',' in the arena.
  std::string_view connection;

  // A body of so many bytes follows.
  void setLength(uint64_t bytes) {
    framing = BodyFraming::kLength;
    contentLength = bytes;
  }
  // Nothing follows.
  void setNoBody() {
    framing = BodyFraming::kNone;
    contentLength = 0;
  }
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
  bool keepAlive = true;     // whether the upstream leaves the connection open (RFC 9112 §9.3)
  bool lengthKnown = false;  // contentLength was said; also of the body that HEAD and 304 leave out
  uint64_t contentLength = 0;  // bytes; with kLength or lengthKnown
  std::string_view reason;     // empty: the encoder writes the usual one
  HeaderList headers;
  HeaderList trailers;
  std::string_view raw;
  std::string_view connection;  // see RequestHead

  // The body has so many bytes, whether it is sent or not (HEAD).
  void setLength(uint64_t bytes) {
    framing = BodyFraming::kLength;
    contentLength = bytes;
    lengthKnown = true;
  }
  void own();  // see RequestHead
  void clear();

 private:
  bool owned_ = false;
};

// Whether the client wants to speak another protocol on this connection (RFC 9110 §7.8). h2c does
// not count: RFC 9113 §3.1 has given it up, and the clients that still offer it go on without.
bool asksForUpgrade(const RequestHead& head);

// The reason phrase that RFC 9110 §15 gives, or empty.
std::string_view reasonPhrase(uint16_t status);

}  // namespace millrace
