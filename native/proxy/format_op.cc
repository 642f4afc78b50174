// The operators by name, and their arguments, compiled; see format_value.h.
#include <unistd.h>

#include <cstdlib>

#include "base/ascii.h"
#include "base/clock.h"
#include "proxy/format_value.h"

namespace millrace {

namespace {

using Kind = FormatOpKind;

constexpr const char* kNames[] = {
#define X(id, name) name,
#include "proxy/format_ops.inc"
#undef X
};

struct Alias {
  std::string_view name;
  Kind kind;
};
constexpr Alias kAliases[] = {
    {"REQUEST_HEADER", Kind::kReq},
    {"RESPONSE_HEADER", Kind::kResp},
    {"RESPONSE_TRAILER", Kind::kTrailer},
};

struct MarkName {
  std::string_view name;
  uint64_t StreamInfo::* mark;
};
constexpr MarkName kMarks[] = {
    {"DS_CX_BEG", &StreamInfo::connectionStartNs},
    {"DS_CX_END", &StreamInfo::connectionEndNs},
    {"DS_RX_BEG", &StreamInfo::startNs},
    {"DS_RX_END", &StreamInfo::downstreamRxEndNs},
    {"US_CX_BEG", &StreamInfo::upstreamConnectStartNs},
    {"US_CX_END", &StreamInfo::upstreamConnectEndNs},
    {"US_TX_BEG", &StreamInfo::upstreamTxBeginNs},
    {"US_TX_END", &StreamInfo::upstreamTxEndNs},
    {"US_RX_BEG", &StreamInfo::upstreamRxBeginNs},
    {"US_RX_END", &StreamInfo::upstreamRxEndNs},
    {"DS_TX_BEG", &StreamInfo::downstreamTxBeginNs},
    {"DS_TX_END", &StreamInfo::downstreamTxEndNs},
};

// What an operator takes in its parentheses.
enum class Arguments : uint8_t { kNone, kOptional, kRequired };

Arguments argumentsOf(Kind kind) {
  switch (kind) {
    case Kind::kReq:
    case Kind::kResp:
    case Kind::kTrailer:
    case Kind::kQueryParam:
    case Kind::kEnvironment:
    case Kind::kCommonDuration:
      return Arguments::kRequired;
    case Kind::kStartTime:
    case Kind::kEmitTime:
    case Kind::kPath:
    case Kind::kResponseCodeDetails:
      return Arguments::kOptional;
    default:
      return Arguments::kNone;
  }
}

struct AddressOp {
  Kind kind;
  FormatOp::AddressField field;
  FormatOp::AddressPart part;
};
using Part = FormatOp::AddressPart;
constexpr AddressOp kAddressOps[] = {
    {Kind::kUpstreamHost, &StreamInfo::upstreamHost, Part::kAll},
    {Kind::kUpstreamRemoteAddress, &StreamInfo::upstreamHost, Part::kAll},
    {Kind::kUpstreamRemoteAddressWithoutPort, &StreamInfo::upstreamHost, Part::kHost},
    {Kind::kUpstreamRemotePort, &StreamInfo::upstreamHost, Part::kPort},
    {Kind::kUpstreamLocalAddress, &StreamInfo::upstreamLocal, Part::kAll},
    {Kind::kUpstreamLocalAddressWithoutPort, &StreamInfo::upstreamLocal, Part::kHost},
    {Kind::kUpstreamLocalPort, &StreamInfo::upstreamLocal, Part::kPort},
    {Kind::kDownstreamLocalAddress, &StreamInfo::downstreamLocal, Part::kAll},
    {Kind::kDownstreamLocalAddressWithoutPort, &StreamInfo::downstreamLocal, Part::kHost},
    {Kind::kDownstreamLocalPort, &StreamInfo::downstreamLocal, Part::kPort},
    {Kind::kDownstreamRemoteAddress, &StreamInfo::downstreamRemote, Part::kAll},
    {Kind::kDownstreamRemoteAddressWithoutPort, &StreamInfo::downstreamRemote, Part::kHost},
    {Kind::kDownstreamRemotePort, &StreamInfo::downstreamRemote, Part::kPort},
    {Kind::kDownstreamDirectRemoteAddress, &StreamInfo::downstreamDirectRemote, Part::kAll},
    {Kind::kDownstreamDirectRemoteAddressWithoutPort, &StreamInfo::downstreamDirectRemote,
     Part::kHost},
    {Kind::kDownstreamDirectRemotePort, &StreamInfo::downstreamDirectRemote, Part::kPort},
};

struct TextOp {
  Kind kind;
  FormatOp::TextField field;
};
constexpr TextOp kTextOps[] = {
    {Kind::kConnectionTerminationDetails, &StreamInfo::terminationDetails},
    {Kind::kRouteName, &StreamInfo::routeName},
    {Kind::kVirtualHostName, &StreamInfo::virtualHostName},
    {Kind::kUpstreamCluster, &StreamInfo::clusterName},
    {Kind::kUpstreamTransportFailureReason, &StreamInfo::upstreamFailure},
    {Kind::kRequestedServerName, &StreamInfo::requestedServerName},
    {Kind::kFilterChainName, &StreamInfo::filterChainName},
};

}  // namespace

const char* formatOpName(FormatOpKind kind) {
  return kNames[size_t(kind)];
}

std::optional<FormatOpKind> formatOpFromName(std::string_view name) {
  for (size_t i = 0; i < size_t(Kind::kCount); i++) {
    if (name == kNames[i]) return Kind(i);
  }
  for (const Alias& alias : kAliases) {
    if (name == alias.name) return alias.kind;
  }
  return std::nullopt;
}

FormatOp::Name FormatOp::nameOf(const std::string& name) {
  using Pseudo = Name::Pseudo;
  Name n;
  n.text = lowered(name);
  n.pseudo = n.text == ":method"                          ? Pseudo::kMethod
             : n.text == ":path"                          ? Pseudo::kPath
             : n.text == ":authority" || n.text == "host" ? Pseudo::kAuthority
             : n.text == ":scheme"                        ? Pseudo::kScheme
             : n.text == ":status"                        ? Pseudo::kStatus
                                                          : Pseudo::kNone;
  if (n.pseudo == Pseudo::kNone) n.id = headerId(n.text);
  return n;
}

Result<FormatOp> FormatOp::compile(const spec::FormatOperator& spec, const std::string& where) {
  const auto refuse = [&](const std::string& what) {
    return Error{"ERR_MILLRACE_FORMAT", where + ": %" + spec.op + "%: " + what};
  };
  const std::optional<Kind> kind = formatOpFromName(spec.op);
  if (!kind) return refuse("Millrace does not have this operator");
  const Arguments arguments = argumentsOf(*kind);
  if (arguments == Arguments::kNone && spec.a) return refuse("takes no argument");
  if (arguments == Arguments::kRequired && spec.a.value_or("").empty()) {
    return refuse("needs an argument");
  }
  FormatOp op;
  op.kind_ = *kind;
  op.bindField();
  if (spec.max) op.maxBytes_ = *spec.max;
  if (Status s = op.compileArguments(spec); !s.ok()) return refuse(s.error().message);
  return op;
}

void FormatOp::bindField() {
  for (const AddressOp& a : kAddressOps) {
    if (a.kind == kind_) address_ = a.field, part_ = a.part;
  }
  for (const TextOp& t : kTextOps) {
    if (t.kind == kind_) field_ = t.field;
  }
}

Status FormatOp::compileArguments(const spec::FormatOperator& spec) {
  const std::string a = spec.a.value_or("");
  switch (kind_) {
    case Kind::kReq:
    case Kind::kResp:
    case Kind::kTrailer:
      main_ = nameOf(a);
      if (!spec.b.value_or("").empty()) alternative_ = nameOf(*spec.b);
      return {};
    case Kind::kStartTime:
    case Kind::kEmitTime: {
      auto time = TimeFormat::compile(a);
      if (!time) return time.error();
      time_ = std::move(*time);
      return {};
    }
    case Kind::kCommonDuration:
      return compileDuration(spec);
    case Kind::kPath:
      return compilePath(spec);
    case Kind::kResponseCodeDetails:
      if (!a.empty() && a != "ALLOW_WHITESPACES") {
        return Error{"ERR_MILLRACE_FORMAT", "the argument is ALLOW_WHITESPACES or none"};
      }
      keepWhitespace_ = !a.empty();
      return {};
    case Kind::kQueryParam:
      text_ = a;
      return {};
    case Kind::kEnvironment: {
      const char* value = std::getenv(a.c_str());
      text_ = value == nullptr ? "-" : value;
      return {};
    }
    case Kind::kHostname: {
      char name[256] = "";
      text_ = gethostname(name, sizeof name - 1) == 0 && name[0] != '\0' ? name : "-";
      return {};
    }
    default:
      return {};
  }
}

Status FormatOp::compileDuration(const spec::FormatOperator& spec) {
  const auto markOf = [](std::string_view name) -> Mark {
    for (const MarkName& m : kMarks) {
      if (m.name == name) return m.mark;
    }
    return nullptr;
  };
  from_ = markOf(spec.a.value_or(""));
  to_ = markOf(spec.b.value_or(""));
  if (from_ == nullptr || to_ == nullptr) {
    const std::string name = from_ == nullptr ? spec.a.value_or("") : spec.b.value_or("");
    return Error{"ERR_MILLRACE_FORMAT", "no such point in time: \"" + name + "\""};
  }
  const std::string unit = spec.c.value_or("ms");
  unitNs_ = unit == "ms" ? kNsPerMs : unit == "us" ? 1000 : unit == "ns" ? 1 : 0;
  if (unitNs_ == 0) return Error{"ERR_MILLRACE_FORMAT", "the unit is ms, us or ns"};
  return {};
}

Status FormatOp::compilePath(const spec::FormatOperator& spec) {
  const std::string query = spec.a.value_or(""), source = spec.b.value_or("");
  if (!query.empty() && query != "WQ" && query != "NQ") {
    return Error{"ERR_MILLRACE_FORMAT", "the first argument is WQ or NQ"};
  }
  withQuery_ = query != "NQ";
  pathSource_ = source == "ORIG"   ? PathSource::kOriginal
                : source == "PATH" ? PathSource::kCurrent
                                   : PathSource::kOriginalOrCurrent;
  if (!source.empty() && source != "ORIG" && source != "PATH" && source != "ORIG_OR_PATH") {
    return Error{"ERR_MILLRACE_FORMAT", "the second argument is ORIG, PATH or ORIG_OR_PATH"};
  }
  return {};
}

}  // namespace millrace
