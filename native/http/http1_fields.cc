// See http1_fields.h. Every refusal here has its line in docs/http1-strictness.md.
#include "http/http1_fields.h"

#include <algorithm>
#include <cstring>

#include "base/scan.h"

namespace millrace {

namespace {

// Options of Connection in one message; each that is not well-known is compared with every field.
constexpr uint32_t kConnectionOptions = 32;

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

// Takes the next member off a comma-separated list (RFC 9110 §5.6.1). False at the end.
bool nextMember(std::string_view& list, std::string_view& member) {
  if (list.data() == nullptr) return false;
  size_t comma = list.find(',');
  member = trim(list.substr(0, comma));
  list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
  return true;
}

bool isToken(std::string_view s) {
  const char* end = s.data() + s.size();
  return !s.empty() && scanToken(s.data(), end) == end;
}

bool validPort(std::string_view digits) {
  uint32_t port = 0;
  for (char c : digits) {
    if (!isByte(c, kByteDigit)) return false;
    port = port * 10 + uint32_t(c - '0');
    if (port > 65535) return false;
  }
  return true;
}

// The inside of the brackets of an IP-literal (RFC 3986 §3.2.2), without IPvFuture, which nobody
// has ever seen.
bool validIpv6(std::string_view s) {
  size_t colons = 0;
  for (char c : s) {
    if (c == ':')
      colons++;
    else if (!isByte(c, kByteHex) && c != '.')
      return false;
  }
  return colons >= 2 && s.size() >= 2;
}

bool validRegName(std::string_view s) {
  for (size_t i = 0; i < s.size(); i++) {
    if (isByte(s[i], kByteHost)) continue;
    if (s[i] != '%' || i + 2 >= s.size()) return false;
    if (!isByte(s[i + 1], kByteHex) || !isByte(s[i + 2], kByteHex)) return false;
    i += 2;
  }
  return !s.empty();
}

bool absoluteTarget(std::string_view target, Method method, RequestHead* out) {
  size_t colon = target.find(':');
  if (colon == std::string_view::npos || target.substr(colon, 3) != "://") return false;
  std::string_view scheme = target.substr(0, colon);
  bool https = equalsIgnoreCase(scheme, "https");
  if (!https && !equalsIgnoreCase(scheme, "http")) return false;
  std::string_view rest = target.substr(colon + 3);
  size_t slash = rest.find_first_of("/?");
  std::string_view authority = rest.substr(0, slash);
  if (!validAuthority(authority, false)) return false;
  if (out == nullptr) return true;
  out->scheme = https ? "https" : "http";
  out->authority = authority;
  if (slash == std::string_view::npos) {
    out->path = "/";
    out->wholeServer = method == Method::kOptions;
  } else if (rest[slash] == '/') {
    out->path = rest.substr(slash);
  } else {  // "http://host?query": the path is empty, which origin form cannot say
    std::string_view query = rest.substr(slash);
    char* path = out->headers.arena().array<char>(query.size() + 1);
    path[0] = '/';
    std::memcpy(path + 1, query.data(), query.size());
    out->path = {path, query.size() + 1};
  }
  return true;
}

bool parseLength(std::string_view digits, uint64_t& out) {
  constexpr size_t kDigits = 18;  // an exabyte; no overflow to watch for
  if (digits.empty() || digits.size() > kDigits) return false;
  uint64_t n = 0;
  for (char c : digits) {
    if (!isByte(c, kByteDigit)) return false;
    n = n * 10 + uint64_t(c - '0');
  }
  out = n;
  return true;
}

// 400 or, when the codings are a sound list that ends in chunked and only some are unknown to us,
// 501 (RFC 9112 §6.1).
FieldError refusedEncoding(std::string_view codings) {
  std::string_view rest = codings, coding;
  bool chunked = false;
  while (nextMember(rest, coding)) {
    if (chunked || !isToken(coding)) return {400, details::kInvalidTransferEncoding};
    chunked = equalsIgnoreCase(coding, "chunked");
  }
  return {uint16_t(chunked ? 501 : 400), details::kInvalidTransferEncoding};
}

// The framing that the fields announce, kNone when they announce nothing.
template <typename Head>
FieldError frame(const FramingFields& fields, Head& out) {
  if (fields.contentLengths > 1) return {400, details::kMultipleContentLengths};
  if (fields.contentLengths == 1 && !parseLength(fields.contentLength, out.contentLength)) {
    return {400, details::kInvalidContentLength};
  }
  if (fields.transferEncodings != 0) {
    if (out.version == 10) return {400, details::kTransferEncodingNotAllowed};
    if (fields.contentLengths != 0) return {400, details::kContentLengthAndChunked};
    if (fields.transferEncodings > 1) return {400, details::kInvalidTransferEncoding};
    if (!equalsIgnoreCase(fields.transferEncoding, "chunked")) {
      return refusedEncoding(fields.transferEncoding);
    }
    out.framing = BodyFraming::kChunked;
  } else if (fields.contentLengths == 1) {
    out.framing = BodyFraming::kLength;
  }
  return {};
}

// Reads Connection, and removes what it nominates, of names that are not well-known: those mean the
// same to every hop (RFC 9110 §7.6.1), and nominating them is an attack.
template <typename Head>
FieldError connectionOptions(Head& out) {
  bool close = false, keepAlive = false;
  uint32_t count = 0;
  std::string_view named[kConnectionOptions];
  uint32_t namedCount = 0;
  size_t namedBytes = 0;
  for (const Header& h : out.headers) {
    if (h.id != HeaderId::kConnection) continue;
    if (equalsIgnoreCase(h.value, "keep-alive")) {
      keepAlive = true;
      continue;
    }
    std::string_view rest = h.value, option;
    while (nextMember(rest, option)) {
      if (option.empty()) continue;
      if (!isToken(option) || ++count > kConnectionOptions) {
        return {400, details::kInvalidConnection};
      }
      if (equalsIgnoreCase(option, "close")) {
        close = true;
      } else if (headerId(option) == HeaderId::kKeepAlive) {
        keepAlive = true;
      } else {
        named[namedCount++] = option;
        namedBytes += option.size() + 1;
      }
    }
  }
  if (namedCount != 0) {
    char* text = out.headers.arena().template array<char>(namedBytes);
    char* w = text;
    for (uint32_t i = 0; i < namedCount; i++) {
      w = std::copy(named[i].begin(), named[i].end(), w);
      *w++ = ',';
      if (headerId(named[i]) == HeaderId::kOther) out.headers.remove(named[i]);
    }
    out.connection = {text, namedBytes - 1};
  }
  out.keepAlive = !close && (keepAlive || out.version >= 11);
  return {};
}

}  // namespace

void FramingFields::takeWatched(HeaderId id, std::string_view value) {
  switch (id) {
    case HeaderId::kHost:
      hosts++;
      host = value;
      break;
    case HeaderId::kContentLength:
      contentLengths++;
      contentLength = value;
      break;
    case HeaderId::kTransferEncoding:
      transferEncodings++;
      transferEncoding = value;
      break;
    case HeaderId::kConnection:
      connection = true;
      break;
    default:
      expect = true;
      break;
  }
}

bool validAuthority(std::string_view authority, bool portRequired) {
  size_t hostEnd;
  if (!authority.empty() && authority.front() == '[') {
    size_t bracket = authority.find(']');
    if (bracket == std::string_view::npos) return false;
    if (!validIpv6(authority.substr(1, bracket - 1))) return false;
    hostEnd = bracket + 1;
  } else {
    hostEnd = authority.find(':');
    if (!validRegName(authority.substr(0, hostEnd))) return false;
  }
  if (hostEnd >= authority.size()) return !portRequired;
  if (authority[hostEnd] != ':') return false;
  std::string_view port = authority.substr(hostEnd + 1);
  return validPort(port) && !(portRequired && port.empty());
}

bool parseTarget(std::string_view target, Method method, bool allowAbsolute, RequestHead* out) {
  if (method == Method::kConnect) {
    if (!validAuthority(target, true)) return false;
    if (out != nullptr) out->authority = target;
    return true;
  }
  if (target.front() == '/' || (method == Method::kOptions && target == "*")) {
    if (out != nullptr) out->path = target;
    return true;
  }
  return allowAbsolute && absoluteTarget(target, method, out);
}

FieldError finishRequest(const FramingFields& fields, RequestHead& out) {
  if (fields.hosts > 1) return {400, details::kMultipleHosts};
  if (fields.hosts == 0) {
    if (out.version >= 11) return {400, details::kMissingHost};
  } else {
    if (!validAuthority(fields.host, false)) return {400, details::kInvalidHost};
    if (out.authority.empty()) out.authority = fields.host;
  }
  FieldError framing = frame(fields, out);
  if (framing.status != 0) return framing;
  if (out.method == Method::kConnect && out.framing != BodyFraming::kNone) {
    return {400, details::kConnectWithBody};
  }
  if (fields.expect && out.version >= 11 &&
      equalsIgnoreCase(out.headers.value(HeaderId::kExpect), "100-continue")) {
    out.expectContinue = out.framing == BodyFraming::kChunked || out.contentLength != 0;
  }
  if (fields.connection) return connectionOptions(out);
  out.keepAlive = out.version >= 11;
  return {};
}

FieldError finishResponse(const FramingFields& fields, Method requestMethod, ResponseHead& out) {
  FieldError framing = frame(fields, out);
  if (framing.status != 0) return framing;
  bool informational = out.status < 200;
  out.lengthKnown = fields.contentLengths == 1;
  if (informational || out.status == 204) {
    out.headers.remove(HeaderId::kContentLength);
    out.lengthKnown = false;
  }
  if (informational || out.status == 204 || out.status == 304 || requestMethod == Method::kHead) {
    out.framing = BodyFraming::kNone;  // RFC 9112 §6.3, whatever the fields say
  } else if (out.framing == BodyFraming::kNone) {
    out.framing = BodyFraming::kUntilClose;
  }
  if (fields.connection) {
    FieldError options = connectionOptions(out);
    if (options.status != 0) return options;
  } else {
    out.keepAlive = out.version >= 11;
  }
  if (out.framing == BodyFraming::kUntilClose) out.keepAlive = false;
  return {};
}

}  // namespace millrace
