#include "proxy/path.h"

#include <array>
#include <cstring>

#include "base/arena_buffer.h"
#include "proxy/route.h"

namespace millrace {
namespace {

enum CharacterFlags : uint8_t {
  kUnreserved = 1,  // decoded when it comes escaped
  kEscape = 2,      // must be escaped
  kSpecial = 4,     // '.', '%', '\': may change the path
};

constexpr std::array<uint8_t, 256> makeFlags() {
  std::array<uint8_t, 256> flags{};
  for (int c = 0; c < 256; c++) {
    bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (alnum) flags[c] = kUnreserved;
    if (c <= ' ' || c >= 0x7f) flags[c] = kEscape;
  }
  for (char c : std::string_view("-_~")) flags[uint8_t(c)] = kUnreserved;
  for (char c : std::string_view("\"<>^`{|}#")) flags[uint8_t(c)] = kEscape;
  for (char c : std::string_view(".%\\")) flags[uint8_t(c)] = kSpecial;
  return flags;
}
constexpr std::array<uint8_t, 256> kFlags = makeFlags();

int hexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool isSlash(char c) {
  return c == '/' || c == '\\';
}

// The path of an http URL, written out in its canonical form.
class Canonicalizer {
 public:
  Canonicalizer(std::string_view in, Arena& arena) : in_(in), out_(arena, in.size() + 16) {}

  // False: there is a NUL.
  bool run() {
    while (at_ < in_.size()) {
      size_t dot = dotSize(at_);
      if (dot > 0) {
        takeDot(dot);
      } else if (in_[at_] == '%') {
        if (!takeEscape()) return false;
      } else if (!takeByte()) {
        return false;
      }
    }
    return true;
  }
  std::string_view text() const { return out_.text(); }

 private:
  static constexpr size_t kNowhere = size_t(-1);

  // Bytes of a dot at `i`, plain or escaped; 0: there is none.
  size_t dotSize(size_t i) const {
    if (i >= in_.size()) return 0;
    if (in_[i] == '.') return 1;
    bool escaped = in_[i] == '%' && i + 2 < in_.size() && in_[i + 1] == '2' &&
                   (in_[i + 2] == 'e' || in_[i + 2] == 'E');
    return escaped ? 3 : 0;
  }
  bool segmentEnds(size_t i) const { return i == in_.size() || isSlash(in_[i]); }

  void takeDot(size_t dot) {
    size_t next = at_ + dot;
    if (out_.size() > 0 && out_.back() == '/') {
      if (segmentEnds(next)) {
        at_ = next == in_.size() ? next : next + 1;
        return;
      }
      size_t second = dotSize(next);
      if (second > 0 && segmentEnds(next + second)) {
        dropSegment();
        next += second;
        at_ = next == in_.size() ? next : next + 1;
        return;
      }
    }
    out_.append('.');
    at_ = next;
  }

  // "/a/b/" becomes "/a/"; "/" stays.
  void dropSegment() {
    size_t size = out_.size() - 1;
    while (size > 0 && out_[size - 1] != '/') size--;
    out_.truncate(size == 0 ? 1 : size);
    if (loosePercent_ != kNowhere && loosePercent_ >= out_.size()) loosePercent_ = kNowhere;
  }

  bool takeEscape() {
    int high = at_ + 2 < in_.size() ? hexDigit(in_[at_ + 1]) : -1;
    int low = at_ + 2 < in_.size() ? hexDigit(in_[at_ + 2]) : -1;
    if (high < 0 || low < 0) {
      loosePercent_ = out_.size();
      out_.append('%');
      at_++;
      return true;
    }
    uint8_t value = uint8_t(high * 16 + low);
    if (value == 0) return false;
    if (kFlags[value] & kUnreserved) {
      out_.append(char(value));
      at_ += 3;
      defuse();
      return true;
    }
    out_.append(in_.substr(at_, 3));
    at_ += 3;
    return true;
  }

  // A byte was decoded: a loose '%' right before it must not become the beginning of an escape.
  // "%%36%31" would else turn into "%61", which whoever comes next decodes once more.
  void defuse() {
    if (loosePercent_ == kNowhere) return;
    size_t behind = out_.size() - loosePercent_ - 1;
    bool second = behind == 2 && hexDigit(out_[loosePercent_ + 1]) >= 0 &&
                  hexDigit(out_[loosePercent_ + 2]) >= 0;
    bool first = behind == 1 && hexDigit(out_[loosePercent_ + 1]) >= 0 && at_ < in_.size() &&
                 hexDigit(in_[at_]) >= 0;
    if (!first && !second) return;
    char tail[2] = {out_[loosePercent_ + 1], behind == 2 ? out_[loosePercent_ + 2] : '\0'};
    out_.truncate(loosePercent_ + 1);
    out_.append("25");
    out_.append(std::string_view(tail, behind));
    loosePercent_ = kNowhere;
  }

  bool takeByte() {
    char c = in_[at_++];
    if (c == '\0') return false;
    if (c == '\\') {
      out_.append('/');
    } else if (kFlags[uint8_t(c)] & kEscape) {
      constexpr char kHex[] = "0123456789ABCDEF";
      out_.append('%');
      out_.append(kHex[uint8_t(c) >> 4]);
      out_.append(kHex[uint8_t(c) & 15]);
    } else {
      out_.append(c);
    }
    return true;
  }

  std::string_view in_;
  size_t at_ = 0;
  ArenaBuffer out_;
  size_t loosePercent_ = kNowhere;  // in out_: a '%' that begins no escape
};

bool isCanonical(std::string_view path) {
  for (size_t i = 0; i < path.size(); i++) {
    uint8_t flags = kFlags[uint8_t(path[i])];
    if ((flags & (kEscape | kSpecial)) == 0) continue;
    // A dot inside a segment, as of "index.html", is the usual case.
    if (path[i] != '.' || path[i - 1] == '/') return false;
  }
  return true;
}

// Whether there was any; `out` gets the path with them decoded.
bool decodeSlashes(std::string_view path, Arena& arena, std::string_view& out) {
  if (std::memchr(path.data(), '%', path.size()) == nullptr) return false;
  ArenaBuffer text(arena, path.size());
  bool found = false;
  for (size_t i = 0; i < path.size(); i++) {
    if (path[i] == '%' && i + 2 < path.size()) {
      char low = char(path[i + 2] | 0x20);
      bool slash = path[i + 1] == '2' && low == 'f';
      bool backslash = path[i + 1] == '5' && low == 'c';
      if (slash || backslash) {
        text.append(slash ? '/' : '\\');
        i += 2;
        found = true;
        continue;
      }
    }
    text.append(path[i]);
  }
  out = text.text();
  return found;
}

std::string_view mergeSlashes(std::string_view path, Arena& arena) {
  if (path.find("//") == std::string_view::npos) return path;
  ArenaBuffer text(arena, path.size());
  for (char c : path) {
    if (c != '/' || text.size() == 0 || text.back() != '/') text.append(c);
  }
  return text.text();
}

}  // namespace

PathVerdict normalizePath(const PathRules& rules, std::string_view& path, Arena& arena) {
  using EscapedSlashes = spec::HttpManager::EscapedSlashes;
  if (!path.starts_with('/')) return PathVerdict::kAsIs;
  const std::string_view before = splitPath(path).path;
  const std::string_view query = path.substr(before.size());  // with its '?'
  std::string_view now = before;
  PathVerdict verdict = PathVerdict::kChanged;
  if (rules.escapedSlashes != EscapedSlashes::kKeep) {
    std::string_view decoded;
    if (decodeSlashes(now, arena, decoded)) {
      if (rules.escapedSlashes == EscapedSlashes::kReject) return PathVerdict::kReject;
      if (rules.escapedSlashes == EscapedSlashes::kRedirect) verdict = PathVerdict::kRedirect;
      now = decoded;
    }
  }
  if (rules.normalize && !isCanonical(now)) {
    Canonicalizer canonical(now, arena);
    if (!canonical.run()) return PathVerdict::kReject;
    now = canonical.text();
  }
  if (rules.mergeSlashes) now = mergeSlashes(now, arena);
  if (now == before) return PathVerdict::kAsIs;
  ArenaBuffer text(arena, now.size() + query.size());
  text.append(now);
  text.append(query);
  path = text.text();
  return verdict;
}

}  // namespace millrace
