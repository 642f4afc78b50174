// What each operator reads; see format_value.h. Compiling is in format_op.cc. Semantics follow
// Envoy's stream_info_formatter.cc and http_formatter_context.cc.
#include "proxy/format_value.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/ascii.h"
#include "base/clock.h"
#include "base/random.h"
#include "net/address.h"
#include "proxy/format_output.h"

namespace millrace {

namespace {

using Kind = FormatOpKind;

std::string_view protocolText(Protocol protocol) {
  switch (protocol) {
    case Protocol::kNone:
      return {};
    case Protocol::kHttp10:
      return "HTTP/1.0";
    case Protocol::kHttp11:
      return "HTTP/1.1";
    case Protocol::kHttp2:
      return "HTTP/2";
    case Protocol::kHttp3:
      return "HTTP/3";
  }
  return {};
}

std::string_view logTypeText(AccessLogType type) {
  switch (type) {
    case AccessLogType::kNotSet:
      return "NotSet";
    case AccessLogType::kTcpConnectionEnd:
      return "TcpConnectionEnd";
    case AccessLogType::kDownstreamEnd:
      return "DownstreamEnd";
  }
  return {};
}

void setFlags(uint64_t flags, std::string_view ResponseFlagNames::* name, FormatValue& out) {
  if (flags == 0) return out.set("-");
  char* p = out.scratch;
  for (uint8_t i = 0; i < uint8_t(ResponseFlag::kCount); i++) {
    if (((flags >> i) & 1) == 0) continue;
    if (p != out.scratch) *p++ = ',';
    const std::string_view text = kResponseFlagNames[i].*name;
    std::memcpy(p, text.data(), text.size());
    p += text.size();
  }
  out.set({out.scratch, size_t(p - out.scratch)});
}

// A version 4 UUID (RFC 9562).
void setUuid(FormatValue& out) {
  static thread_local Random random;  // formats are shared by workers, so it cannot be theirs
  std::array<uint64_t, 2> bits = {random.next(), random.next()};
  unsigned char bytes[16];
  std::memcpy(bytes, bits.data(), sizeof bytes);
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);
  char* p = out.scratch;
  for (size_t i = 0; i < sizeof bytes; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *p++ = '-';
    *p++ = "0123456789abcdef"[bytes[i] >> 4];
    *p++ = "0123456789abcdef"[bytes[i] & 15];
  }
  out.set({out.scratch, size_t(p - out.scratch)});
}

// `text` with its white space as '_'.
void setUnderscored(std::string_view text, FormatValue& out) {
  const size_t size = std::min(text.size(), FormatValue::kScratchBytes);
  for (size_t i = 0; i < size; i++) {
    const bool space = text[i] == ' ' || (text[i] >= '\t' && text[i] <= '\r');
    out.scratch[i] = space ? '_' : text[i];
  }
  out.setUnlessEmpty({out.scratch, size}, true);
}

int hexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = toLower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// `text` percent-decoded; malformed sequences stay as they are.
std::string_view percentDecoded(std::string_view text, char* scratch) {
  if (text.find('%') == std::string_view::npos) return text;
  size_t n = 0;
  for (size_t i = 0; i < text.size() && n < FormatValue::kScratchBytes; i++) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const int high = hexDigit(text[i + 1]), low = hexDigit(text[i + 2]);
      if (high >= 0 && low >= 0) {
        scratch[n++] = char(high * 16 + low);
        i += 2;
        continue;
      }
    }
    scratch[n++] = text[i];
  }
  return {scratch, n};
}

}  // namespace

// Whether there is such a field. The first one counts.
bool FormatOp::header(const HeaderList* list, const StreamInfo& info, const Name& name,
                      FormatValue& out) const {
  using Pseudo = Name::Pseudo;
  const bool request = kind_ == Kind::kReq;
  switch (name.pseudo) {
    case Pseudo::kUnset:
      return false;
    case Pseudo::kNone: {
      if (list == nullptr) return false;
      const Header* h = name.id != HeaderId::kOther ? list->find(name.id) : list->find(name.text);
      if (h == nullptr) return false;
      out.set(h->value, true);
      return true;
    }
    case Pseudo::kMethod:
      if (request) out.setUnlessEmpty(info.method, true);
      break;
    case Pseudo::kPath:
      if (request) out.setUnlessEmpty(info.path, true);
      break;
    case Pseudo::kAuthority:
      if (request) out.setUnlessEmpty(info.authority, true);
      break;
    case Pseudo::kScheme:
      if (request) out.setUnlessEmpty(info.scheme, true);
      break;
    case Pseudo::kStatus:
      if (kind_ == Kind::kResp && info.responseCode != 0) {
        const char* end = putDecimal(out.scratch, info.responseCode);
        out.set({out.scratch, size_t(end - out.scratch)});
      }
      break;
  }
  return out.kind != FormatValue::Kind::kAbsent;
}

void FormatOp::headers(const HeaderList* list, const StreamInfo& info, FormatValue& out) const {
  if (!header(list, info, main_, out)) header(list, info, alternative_, out);
}

void FormatOp::durationBetween(uint64_t fromNs, uint64_t toNs, uint64_t unitNs,
                               FormatValue& out) const {
  if (fromNs != 0 && toNs >= fromNs) out.set((toNs - fromNs) / unitNs);
}

void FormatOp::path(const StreamInfo& info, FormatValue& out) const {
  std::string_view path;
  if (pathSource_ != PathSource::kCurrent && info.requestHeaders != nullptr) {
    const Header* original = info.requestHeaders->find(HeaderId::kXEnvoyOriginalPath);
    if (original != nullptr) path = original->value;
  }
  if (path.empty() && pathSource_ != PathSource::kOriginal) path = info.path;
  if (!withQuery_) path = path.substr(0, path.find('?'));
  out.setUnlessEmpty(path, true);
}

void FormatOp::queryParam(const StreamInfo& info, FormatValue& out) const {
  const size_t question = info.path.find('?');
  if (question == std::string_view::npos) return;
  std::string_view query = info.path.substr(question + 1);
  query = query.substr(0, query.find('#'));
  while (!query.empty()) {
    const size_t amp = query.find('&');
    const std::string_view pair = query.substr(0, amp);
    const size_t equals = pair.find('=');
    if (percentDecoded(pair.substr(0, equals), out.scratch) == text_) {
      if (equals == std::string_view::npos) return out.set("", true);
      return out.set(percentDecoded(pair.substr(equals + 1), out.scratch), true);
    }
    if (amp == std::string_view::npos) return;
    query.remove_prefix(amp + 1);
  }
}

// True when the operator is one of numbers, which are always there.
bool FormatOp::evaluateNumber(const StreamInfo& info, FormatValue& out) const {
  switch (kind_) {
    case Kind::kResponseCode:
      return out.set(info.responseCode), true;
    case Kind::kBytesReceived:
      return out.set(info.bytesReceived), true;
    case Kind::kBytesSent:
      return out.set(info.bytesSent), true;
    case Kind::kDuration: {
      const uint64_t endNs = info.endNs != 0 ? info.endNs : monotonicNs();
      return durationBetween(info.startNs, endNs, kNsPerMs, out), true;
    }
    case Kind::kDownstreamWireBytesReceived:
      return out.set(info.downstream.wireReceived), true;
    case Kind::kDownstreamWireBytesSent:
      return out.set(info.downstream.wireSent), true;
    case Kind::kDownstreamHeaderBytesReceived:
      return out.set(info.downstream.headerReceived), true;
    case Kind::kDownstreamHeaderBytesSent:
      return out.set(info.downstream.headerSent), true;
    case Kind::kUpstreamWireBytesReceived:
      return out.set(info.upstream.wireReceived), true;
    case Kind::kUpstreamWireBytesSent:
      return out.set(info.upstream.wireSent), true;
    case Kind::kUpstreamHeaderBytesReceived:
      return out.set(info.upstream.headerReceived), true;
    case Kind::kUpstreamHeaderBytesSent:
      return out.set(info.upstream.headerSent), true;
    case Kind::kUpstreamRequestAttemptCount:
      return out.set(info.attemptCount), true;
    case Kind::kConnectionId:
      return out.set(info.connectionId), true;
    case Kind::kUpstreamConnectionId:
      return out.set(info.upstreamConnectionId), true;
    case Kind::kCommonDuration:
      if (info.*to_ != 0) durationBetween(info.*from_, info.*to_, unitNs_, out);
      return true;
    case Kind::kRequestDuration:
      return durationBetween(info.startNs, info.downstreamRxEndNs, kNsPerMs, out), true;
    case Kind::kRequestTxDuration:
      return durationBetween(info.startNs, info.upstreamTxEndNs, kNsPerMs, out), true;
    case Kind::kResponseDuration:
      return durationBetween(info.startNs, info.upstreamRxBeginNs, kNsPerMs, out), true;
    case Kind::kResponseTxDuration:
      return durationBetween(info.upstreamRxBeginNs, info.downstreamTxEndNs, kNsPerMs, out), true;
    case Kind::kRoundtripDuration:
      return true;  // HTTP/3 alone can tell
    default:
      return false;
  }
}

void FormatOp::setAddress(const Address* address, FormatValue& out) const {
  if (address == nullptr) return;
  if (part_ == AddressPart::kPort) {
    if (address->isIp()) out.set(address->port());
    return;
  }
  static_assert(FormatValue::kScratchBytes >= Address::kMaxText);
  const size_t size = address->format(out.scratch, part_ == AddressPart::kAll);
  // The path of a unix socket is whatever the peer bound it to.
  out.setUnlessEmpty({out.scratch, size}, address->isUnix());
}

void FormatOp::evaluateText(const StreamInfo& info, FormatValue& out) const {
  switch (kind_) {
    case Kind::kStartTime:
    case Kind::kEmitTime: {
      static_assert(FormatValue::kScratchBytes >= TimeFormat::kMaxText);
      const uint64_t us = kind_ == Kind::kStartTime ? info.startWallUs : wallUs();
      return out.set({out.scratch, time_.run(us, out.scratch)});
    }
    case Kind::kReq:
      return headers(info.requestHeaders, info, out);
    case Kind::kResp:
      return headers(info.responseHeaders, info, out);
    case Kind::kTrailer:
      return headers(info.responseTrailers, info, out);
    case Kind::kPath:
      return path(info, out);
    case Kind::kQueryParam:
      return queryParam(info, out);
    case Kind::kProtocol:
      return out.setUnlessEmpty(protocolText(info.protocol));
    case Kind::kUpstreamProtocol:
      return out.setUnlessEmpty(protocolText(info.upstreamProtocol));
    case Kind::kResponseCodeDetails:
      if (keepWhitespace_) return out.setUnlessEmpty(info.responseCodeDetails, true);
      return setUnderscored(info.responseCodeDetails, out);
    case Kind::kResponseFlags:
      return setFlags(info.responseFlags, &ResponseFlagNames::brief, out);
    case Kind::kResponseFlagsLong:
      return setFlags(info.responseFlags, &ResponseFlagNames::full, out);
    case Kind::kLocalReplyBody:
      return out.set(info.localReplyBody, true);
    case Kind::kStreamId: {
      const Header* id = info.requestHeaders == nullptr
                             ? nullptr
                             : info.requestHeaders->find(HeaderId::kXRequestId);
      if (id != nullptr && !id->value.empty()) return out.set(id->value, true);
      if (info.streamId == 0) return;
      return out.set({out.scratch, size_t(putDecimal(out.scratch, info.streamId) - out.scratch)});
    }
    case Kind::kHostname:
    case Kind::kEnvironment:
      return out.set(text_, true);
    case Kind::kAccessLogType:
      return out.set(logTypeText(info.logType));
    case Kind::kUniqueId:
      return setUuid(out);
    default:
      return;  // evaluated elsewhere
  }
}

void FormatOp::evaluate(const StreamInfo& info, FormatValue& out) const {
  out.kind = FormatValue::Kind::kAbsent;
  out.foreign = false;
  if (address_ != nullptr) return setAddress(info.*address_, out);
  if (field_ != nullptr) return out.setUnlessEmpty(info.*field_, true);
  if (!evaluateNumber(info, out)) evaluateText(info, out);
}

}  // namespace millrace
