// Recognising well-known names, and the list of fields.
#include "http/headers.h"

#include <cstring>

#include "base/assert.h"

namespace millrace {

namespace {

constexpr std::string_view kNames[] = {
    "",
#define X(id, name) name,
#include "http/header_ids.inc"
#undef X
};
constexpr size_t kNameCount = sizeof(kNames) / sizeof(kNames[0]);

// Upper-case letters become lower-case; of what may be in a token nothing else becomes a letter or
// '-'. Names are compared exactly afterwards.
constexpr uint32_t kFold32 = 0x20202020;
[[maybe_unused]] constexpr uint64_t kFold64 = 0x2020202020202020;

constexpr uint32_t slotOf(uint32_t last, uint32_t middle, size_t length) {
  return ((last + middle * 3 + uint32_t(length) * 0x9e3779b1u) * 0xd19d9f0fu) >> 24;
}

constexpr uint32_t bytes32(std::string_view s, size_t at) {
  uint32_t v = 0;
  for (size_t i = 0; i < 4; i++) v |= uint32_t(uint8_t(s[at + i])) << (8 * i);
  return v;
}

// A perfect hash of the names of four and more bytes, by their length, last four and middle four
// bytes.
struct NameTable {
  uint8_t at[256] = {};
  bool perfect = true;
  bool comparable = true;  // letters and '-' only
  constexpr NameTable() {
    for (size_t i = 1; i < kNameCount; i++) {
      std::string_view n = kNames[i];
      for (char c : n) comparable = comparable && ((c >= 'a' && c <= 'z') || c == '-');
      if (n.size() < 4) continue;
      uint32_t slot = slotOf(bytes32(n, n.size() - 4), bytes32(n, n.size() / 2 - 2), n.size());
      if (at[slot] != 0) perfect = false;
      at[slot] = uint8_t(i);
    }
  }
};
constexpr NameTable kTable;
static_assert(kTable.comparable, "see sameName()");
static_assert(kTable.perfect, "two names share a slot: look for another multiplier");

inline uint32_t load32(const char* p) {
  uint32_t v;
  std::memcpy(&v, p, 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  v = __builtin_bswap32(v);
#endif
  return v;
}
inline uint64_t load64(const char* p) {
  uint64_t v;
  std::memcpy(&v, p, 8);
  return v;
}

inline char lower(char c) {
  return c >= 'A' && c <= 'Z' ? char(c | 0x20) : c;
}

// Eight bytes of any name against eight of a well-known one, which has letters and '-' only:
// letters are compared folded,
// '-' as it is (a CR, folded, would pass for one).
inline bool same64(uint64_t any, uint64_t known) {
  uint64_t letters = (known & 0x4040404040404040) >> 1;  // 0x20 where there is a letter
  return (any | letters) == known;
}
inline bool same32(uint32_t any, uint32_t known) {
  return (any | ((known & 0x40404040) >> 1)) == known;
}

inline bool sameName(const char* p, std::string_view known) {
  size_t n = known.size();
  const char* k = known.data();
  if (n < 8) {
    return same32(load32(p), load32(k)) && same32(load32(p + n - 4), load32(k + n - 4));
  }
  for (size_t i = 0; i + 8 < n; i += 8) {
    if (!same64(load64(p + i), load64(k + i))) return false;
  }
  return same64(load64(p + n - 8), load64(k + n - 8));
}

// Views into [from, from+size) move to the same offset behind `to`.
inline void rebase(std::string_view& v, const char* from, size_t size, const char* to) {
  uintptr_t offset = uintptr_t(v.data()) - uintptr_t(from);
  if (offset <= size && v.size() <= size - offset) v = {to + offset, v.size()};
}

void rebaseAll(HeaderList& list, const char* from, size_t size, const char* to) {
  for (Header& h : list) {
    rebase(h.name, from, size, to);
    rebase(h.value, from, size, to);
  }
}

}  // namespace

HeaderId headerId(std::string_view name) {
  size_t n = name.size();
  if (n < 4) {
    if (equalsIgnoreCase(name, "te")) return HeaderId::kTe;
    if (equalsIgnoreCase(name, "via")) return HeaderId::kVia;
    return HeaderId::kOther;
  }
  const char* p = name.data();
  uint32_t slot = slotOf(load32(p + n - 4) | kFold32, load32(p + n / 2 - 2) | kFold32, n);
  uint8_t id = kTable.at[slot];
  if (kNames[id].size() != n || !sameName(p, kNames[id])) return HeaderId::kOther;
  return HeaderId(id);
}

std::string_view headerName(HeaderId id) {
  return kNames[uint8_t(id)];
}

bool equalsIgnoreCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); i++) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

bool listHas(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    size_t comma = list.find(',');
    std::string_view member = list.substr(0, comma);
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
    while (!member.empty() && (member.front() == ' ' || member.front() == '\t')) {
      member.remove_prefix(1);
    }
    while (!member.empty() && (member.back() == ' ' || member.back() == '\t')) {
      member.remove_suffix(1);
    }
    if (equalsIgnoreCase(member, token)) return true;
  }
  return false;
}

void HeaderList::grow() {
  uint32_t capacity = capacity_ == 0 ? kFirstCapacity : capacity_ * 2;
  Header* items = arena_->array<Header>(capacity);
  if (size_ != 0) std::memcpy(static_cast<void*>(items), items_, size_ * sizeof(Header));
  items_ = items;
  capacity_ = capacity;
}

uint32_t HeaderList::remove(HeaderId id) {
  if (!has(id)) return 0;
  return removeIf([id](const Header& h) { return h.id == id; });
}

uint32_t HeaderList::remove(std::string_view name) {
  HeaderId id = headerId(name);
  if (id != HeaderId::kOther) return remove(id);
  return removeIf([name](const Header& h) {
    return h.id == HeaderId::kOther && equalsIgnoreCase(h.name, name);
  });
}

uint32_t HeaderList::removePrefix(std::string_view prefix) {
  return removeIf([prefix](const Header& h) {
    return h.name.size() >= prefix.size() &&
           equalsIgnoreCase(h.name.substr(0, prefix.size()), prefix);
  });
}

void HeaderList::set(HeaderId id, std::string_view value) {
  MR_DASSERT(id != HeaderId::kOther);
  if (!has(id)) return add(id, value);
  bool first = true;
  removeIf([&](Header& h) {
    if (h.id != id) return false;
    if (!first) return true;
    h.value = value;
    first = false;
    return false;
  });
}

void HeaderList::set(std::string_view name, std::string_view value) {
  HeaderId id = headerId(name);
  if (id != HeaderId::kOther) return set(id, value);
  bool first = true;
  removeIf([&](Header& h) {
    if (h.id != HeaderId::kOther || !equalsIgnoreCase(h.name, name)) return false;
    if (!first) return true;
    h.value = value;
    first = false;
    return false;
  });
  if (first) add(name, value, HeaderId::kOther);
}

const Header* HeaderList::find(std::string_view name) const {
  HeaderId id = headerId(name);
  if (id != HeaderId::kOther) return find(id);
  for (const Header& h : *this) {
    if (h.id == HeaderId::kOther && equalsIgnoreCase(h.name, name)) return &h;
  }
  return nullptr;
}

struct HeaderList::Joined {
  std::string_view name, value;
  Joined* next;
};

std::string_view HeaderList::joined(std::string_view name, bool& found) const {
  for (const Joined* j = joined_; j != nullptr; j = j->next) {
    if (!equalsIgnoreCase(j->name, name)) continue;
    found = true;
    return j->value;
  }
  const Header* first = find(name);
  found = first != nullptr;
  if (!found) return {};
  HeaderId id = first->id;
  auto matches = [&](const Header& h) {
    return h.id == id && (id != HeaderId::kOther || equalsIgnoreCase(h.name, name));
  };
  size_t bytes = 0, count = 0;
  for (const Header* h = first; h != end(); h++) {
    if (matches(*h)) bytes += h->value.size() + 1, count++;
  }
  if (count == 1) return first->value;
  char* out = arena_->array<char>(bytes);
  char* w = out;
  for (const Header* h = first; h != end(); h++) {
    if (!matches(*h)) continue;
    if (w != out) *w++ = ',';
    if (!h->value.empty()) std::memcpy(w, h->value.data(), h->value.size());
    w += h->value.size();
  }
  auto* made = arena_->array<Joined>(1);
  *made = {first->name, {out, size_t(w - out)}, joined_};
  joined_ = made;
  return made->value;
}

Method parseMethod(std::string_view text) {
  switch (text.size()) {
    case 3:
      if (text == "GET") return Method::kGet;
      if (text == "PUT") return Method::kPut;
      break;
    case 4:
      if (text == "POST") return Method::kPost;
      if (text == "HEAD") return Method::kHead;
      break;
    case 5:
      if (text == "PATCH") return Method::kPatch;
      if (text == "TRACE") return Method::kTrace;
      break;
    case 6:
      if (text == "DELETE") return Method::kDelete;
      break;
    case 7:
      if (text == "OPTIONS") return Method::kOptions;
      if (text == "CONNECT") return Method::kConnect;
      break;
  }
  return Method::kOther;
}

bool asksForUpgrade(const RequestHead& head) {
  if (head.connection.empty() || head.version < 11) return false;
  if (!head.headers.has(HeaderId::kUpgrade) || !listHas(head.connection, "upgrade")) return false;
  for (const Header& h : head.headers) {
    if (h.id != HeaderId::kUpgrade) continue;
    if (!h.value.empty() && !equalsIgnoreCase(h.value, "h2c")) return true;
  }
  return false;
}

void RequestHead::own() {
  if (owned_) return;
  owned_ = true;
  if (raw.empty()) return;
  std::string_view kept = headers.arena().copy(raw);
  for (std::string_view* v : {&methodText, &path, &authority, &scheme}) {
    rebase(*v, raw.data(), raw.size(), kept.data());
  }
  rebaseAll(headers, raw.data(), raw.size(), kept.data());
  headers.forgetJoined();
  raw = kept;
}

void RequestHead::clear() {
  method = Method::kOther;
  framing = BodyFraming::kNone;
  version = 11;
  keepAlive = true;
  expectContinue = wholeServer = false;
  contentLength = 0;
  methodText = path = authority = scheme = raw = connection = {};
  headers.clear();
  trailers.clear();
  owned_ = false;
}

void ResponseHead::own() {
  if (owned_) return;
  owned_ = true;
  if (raw.empty()) return;
  std::string_view kept = headers.arena().copy(raw);
  rebase(reason, raw.data(), raw.size(), kept.data());
  rebaseAll(headers, raw.data(), raw.size(), kept.data());
  headers.forgetJoined();
  raw = kept;
}

void ResponseHead::clear() {
  status = 0;
  framing = BodyFraming::kNone;
  version = 11;
  keepAlive = true;
  lengthKnown = false;
  contentLength = 0;
  reason = raw = connection = {};
  headers.clear();
  trailers.clear();
  owned_ = false;
}

}  // namespace millrace
