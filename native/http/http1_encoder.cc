#include "http/http1_encoder.h"

#include <charconv>
#include <cstring>

#include "base/assert.h"
#include "http/trailer_fields.h"

namespace millrace {

namespace {

constexpr uint64_t bit(HeaderId id) {
  return uint64_t(1) << uint8_t(id);
}

// Fields of one hop only (RFC 9110 §7.6.1; Proxy-Connection: RFC 9112 appendix C.2.2).
constexpr uint64_t kHopByHop = bit(HeaderId::kConnection) | bit(HeaderId::kKeepAlive) |
                               bit(HeaderId::kProxyConnection) | bit(HeaderId::kTe) |
                               bit(HeaderId::kTransferEncoding) | bit(HeaderId::kUpgrade);
constexpr uint64_t kLengthField = bit(HeaderId::kContentLength);

constexpr size_t kFieldExtra = 4;  // ": " and CRLF
// "HTTP/1.1", spaces and CRLFs, Connection, Transfer-Encoding or Content-Length, TE, and a reason
// phrase of ours.
constexpr size_t kHeadExtra = 192;
constexpr size_t kNumberMax = 20;  // digits of 64 bits

// memcpy for sizes that are mostly below 64, without the call. The two ends may overlap.
inline char* put(char* out, const char* from, size_t n) {
  if (n >= 16) {
    size_t i = 0;
    do {
      std::memcpy(out + i, from + i, 16);
      i += 16;
    } while (i + 16 <= n);
    std::memcpy(out + n - 16, from + n - 16, 16);
  } else if (n >= 8) {
    std::memcpy(out, from, 8);
    std::memcpy(out + n - 8, from + n - 8, 8);
  } else if (n >= 4) {
    std::memcpy(out, from, 4);
    std::memcpy(out + n - 4, from + n - 4, 4);
  } else if (n != 0) {
    out[0] = from[0];
    out[n / 2] = from[n / 2];
    out[n - 1] = from[n - 1];
  }
  return out + n;
}
inline char* put(char* out, std::string_view s) {
  return put(out, s.data(), s.size());
}
template <size_t N>
inline char* putLiteral(char* out, const char (&s)[N]) {
  std::memcpy(out, s, N - 1);
  return out + N - 1;
}

inline char* putField(char* out, std::string_view name, std::string_view value) {
  out = put(out, name);
  out = putLiteral(out, ": ");
  out = put(out, value);
  return putLiteral(out, "\r\n");
}

size_t fieldsBound(const HeaderList& fields) {
  size_t bytes = 0;
  for (const Header& h : fields) bytes += h.name.size() + h.value.size() + kFieldExtra;
  return bytes;
}

inline char* putLength(char* out, std::string_view name, uint64_t length) {
  out = put(out, name);
  out = putLiteral(out, ": ");
  out = std::to_chars(out, out + kNumberMax, length).ptr;
  return putLiteral(out, "\r\n");
}

// All fields but those in `dropped`. The first Content-Length, if that is one of them, is replaced
// by the one of `body`, which is taken as written then. Neighbours that still lie in `raw` as they
// came, are copied together with all between them: mostly whole stretches of the head.
char* putFields(char* out, const HeaderList& fields, uint64_t dropped, WireBody& body,
                std::string_view raw) {
  const char* rawEnd = raw.data() + raw.size();
  auto asReceived = [&](const Header& h) {  // "name: value\r\n" in one piece
    const char* colon = h.name.data() + h.name.size();
    const char* end = h.value.data() + h.value.size();
    return colon + 2 == h.value.data() && h.name.data() >= raw.data() && end + 2 <= rawEnd &&
           colon[0] == ':' && colon[1] == ' ' && end[0] == '\r' && end[1] == '\n';
  };
  const Header* h = fields.begin();
  const Header* last = fields.end();
  while (h != last) {
    if ((dropped >> uint8_t(h->id)) & 1) {
      if (h->id == HeaderId::kContentLength && body.kind == WireBody::Kind::kLength) {
        out = putLength(out, h->name, body.length);
        body = WireBody::none();
      }
      h++;
      continue;
    }
    if (!asReceived(*h)) {
      out = putField(out, h->name, h->value);
      h++;
      continue;
    }
    const char* from = h->name.data();
    const char* to = h->value.data() + h->value.size() + 2;
    for (h++; h != last && h->name.data() == to && !((dropped >> uint8_t(h->id)) & 1); h++) {
      if (!asReceived(*h)) break;
      to = h->value.data() + h->value.size() + 2;
    }
    out = put(out, from, size_t(to - from));
  }
  return out;
}

uint64_t droppedFields(bool trailers) {
  return kHopByHop | kLengthField | (trailers ? 0 : bit(HeaderId::kTrailer));
}

// What putFields() had no place for.
char* putFraming(char* out, WireBody body) {
  switch (body.kind) {
    case WireBody::Kind::kNone:
      break;
    case WireBody::Kind::kLength:
      return putLength(out, headerName(HeaderId::kContentLength), body.length);
    case WireBody::Kind::kChunked:
      return putLiteral(out, "transfer-encoding: chunked\r\n");
  }
  return out;
}

// Whether TE has the member "trailers" (RFC 9110 §10.1.4).
bool takesTrailers(const HeaderList& fields) {
  for (const Header& h : fields) {
    if (h.id == HeaderId::kTe && listHas(h.value, "trailers")) return true;
  }
  return false;
}

}  // namespace

size_t requestHeadBound(const RequestHead& head) {
  return head.methodText.size() + head.path.size() + 2 * head.authority.size() +
         fieldsBound(head.headers) + kHeadExtra;
}

size_t responseHeadBound(const ResponseHead& head) {
  return head.reason.size() + fieldsBound(head.headers) + kHeadExtra;
}

char* writeRequestHead(char* out, const RequestHead& head, WireBody body, bool trailers) {
  out = put(out, head.methodText);
  *out++ = ' ';
  if (head.wholeServer && head.path == "/") {
    *out++ = '*';
  } else {
    out = put(out, head.method == Method::kConnect ? head.authority : head.path);
  }
  out = putLiteral(out, " HTTP/1.1\r\nhost: ");
  out = put(out, head.authority);
  out = putLiteral(out, "\r\n");
  out =
      putFields(out, head.headers, droppedFields(trailers) | bit(HeaderId::kHost), body, head.raw);
  out = putFraming(out, body);
  if (trailers && head.headers.has(HeaderId::kTe) && takesTrailers(head.headers)) {
    out = putLiteral(out, "te: trailers\r\nconnection: te\r\n");
  }
  return putLiteral(out, "\r\n");
}

char* writeResponseHead(char* out, const ResponseHead& head, WireBody body,
                        WireConnection connection, bool trailers) {
  MR_DASSERT(head.status >= 100 && head.status <= 999);
  out = putLiteral(out, "HTTP/1.1 ");
  *out++ = char('0' + head.status / 100);
  *out++ = char('0' + head.status / 10 % 10);
  *out++ = char('0' + head.status % 10);
  *out++ = ' ';
  out = put(out, head.reason.empty() ? reasonPhrase(head.status) : head.reason);
  out = putLiteral(out, "\r\n");
  out = putFields(out, head.headers, droppedFields(trailers), body, head.raw);
  out = putFraming(out, body);
  if (connection == WireConnection::kClose) out = putLiteral(out, "connection: close\r\n");
  if (connection == WireConnection::kKeepAlive) {
    out = putLiteral(out, "connection: keep-alive\r\n");
  }
  return putLiteral(out, "\r\n");
}

size_t chunkHeadSize(uint64_t size) {
  size_t digits = size == 0 ? 1 : (67 - size_t(__builtin_clzll(size))) / 4;
  return digits + 2;
}

char* writeChunkHead(char* out, uint64_t size) {
  size_t digits = chunkHeadSize(size) - 2;
  for (size_t i = digits; i-- != 0; size >>= 4) out[i] = "0123456789abcdef"[size & 15];
  return putLiteral(out + digits, "\r\n");
}

size_t lastChunkBound(const HeaderList& trailers) {
  return fieldsBound(trailers) + 8;
}

char* writeLastChunk(char* out, const HeaderList& trailers) {
  out = putLiteral(out, "0\r\n");
  for (const Header& h : trailers) {
    if (allowedInTrailers(h, {})) out = putField(out, h.name, h.value);
  }
  return putLiteral(out, "\r\n");
}

}  // namespace millrace
