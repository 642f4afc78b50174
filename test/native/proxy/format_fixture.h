// Formats and streams for tests: operators in one line, and a request that has everything.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "http/headers.h"
#include "net/address.h"
#include "proxy/formatter.h"

namespace millrace::test {

inline spec::FormatOp op(std::string name, std::string a = "", std::string b = "",
                         std::string c = "") {
  spec::FormatOperator o;
  o.op = std::move(name);
  if (!a.empty()) o.a = std::move(a);
  if (!b.empty()) o.b = std::move(b);
  if (!c.empty()) o.c = std::move(c);
  return o;
}

inline spec::FormatOp cut(spec::FormatOp o, uint32_t max) {
  std::get_if<spec::FormatOperator>(&o)->max = max;
  return o;
}

inline spec::FormatOp lit(std::string text) {
  return text;
}

inline spec::Format textFormat(std::vector<spec::FormatOp> ops, bool omitEmpty = false) {
  spec::Format f;
  f.ops = std::move(ops);
  f.omitEmpty = omitEmpty;
  return f;
}

// Envoy's default line.
inline spec::Format defaultFormat() {
  return textFormat({lit("["),     op("START_TIME"),
                     lit("] \""),  op("REQ", ":METHOD"),
                     lit(" "),     op("REQ", "X-ENVOY-ORIGINAL-PATH", ":PATH"),
                     lit(" "),     op("PROTOCOL"),
                     lit("\" "),   op("RESPONSE_CODE"),
                     lit(" "),     op("RESPONSE_FLAGS"),
                     lit(" "),     op("BYTES_RECEIVED"),
                     lit(" "),     op("BYTES_SENT"),
                     lit(" "),     op("DURATION"),
                     lit(" "),     op("RESP", "X-ENVOY-UPSTREAM-SERVICE-TIME"),
                     lit(" \""),   op("REQ", "X-FORWARDED-FOR"),
                     lit("\" \""), op("REQ", "USER-AGENT"),
                     lit("\" \""), op("REQ", "X-REQUEST-ID"),
                     lit("\" \""), op("REQ", ":AUTHORITY"),
                     lit("\" \""), op("UPSTREAM_HOST"),
                     lit("\"\n")});
}

inline FormatProgram compiled(const spec::Format& format) {
  auto program = FormatProgram::compile(format, "format");
  if (!program) MESSAGE(program.error().message);
  REQUIRE(program.ok());
  return std::move(*program);
}

inline std::string run(const FormatProgram& program, const StreamInfo& info,
                       size_t cap = FormatProgram::kMaxLineBytes) {
  std::string out(cap, '\0');
  out.resize(program.run(info, out.data(), cap));
  return out;
}

inline std::string line(const StreamInfo& info, std::vector<spec::FormatOp> ops) {
  return run(compiled(textFormat(std::move(ops))), info);
}

// A proxied request with every fact filled in.
struct SampleStream {
  SampleStream() : request(arena), response(arena), trailers(arena) {
    request.add("X-Forwarded-For", "203.0.113.7", HeaderId::kXForwardedFor);
    request.add("User-Agent", "curl/8.5.0", HeaderId::kUserAgent);
    request.add("X-Request-Id", "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2", HeaderId::kXRequestId);
    request.add("X-Custom", "one", HeaderId::kOther);
    request.add("x-custom", "two", HeaderId::kOther);
    response.add("Content-Type", "text/plain", HeaderId::kContentType);
    response.add("x-envoy-upstream-service-time", "4", HeaderId::kXEnvoyUpstreamServiceTime);
    trailers.add("grpc-status", "0", HeaderId::kGrpcStatus);
    info.startWallUs = 1460751420'310'059;  // 2016-04-15T20:17:00.310059Z
    info.startNs = 1'000'000'000;
    info.downstreamRxEndNs = info.startNs + 1'500'000;
    info.upstreamConnectStartNs = info.startNs + 1'600'000;
    info.upstreamConnectEndNs = info.startNs + 1'900'000;
    info.upstreamTxBeginNs = info.startNs + 2'000'000;
    info.upstreamTxEndNs = info.startNs + 2'100'000;
    info.upstreamRxBeginNs = info.startNs + 6'000'000;
    info.upstreamRxEndNs = info.startNs + 6'500'000;
    info.downstreamTxBeginNs = info.startNs + 6'600'000;
    info.downstreamTxEndNs = info.startNs + 9'000'000;
    info.endNs = info.startNs + 9'123'456;
    info.bytesReceived = 154;
    info.bytesSent = 1'234'567;
    info.downstream = {500, 1'235'000, 346, 433};
    info.upstream = {1'234'900, 520, 333, 366};
    info.connectionId = 7;
    info.upstreamConnectionId = 9;
    info.attemptCount = 2;
    info.responseCode = 200;
    info.protocol = Protocol::kHttp11;
    info.upstreamProtocol = Protocol::kHttp11;
    info.logType = AccessLogType::kDownstreamEnd;
    info.method = "GET";
    info.path = "/api/v1/locations?near=Z%C3%BCrich&n=3&empty=&flag";
    info.authority = "locations.example";
    info.scheme = "http";
    info.requestHeaders = &request;
    info.responseHeaders = &response;
    info.responseTrailers = &trailers;
    info.responseCodeDetails = "via upstream";
    info.routeName = "r1";
    info.virtualHostName = "vh";
    info.clusterName = "backend";
    info.filterChainName = "chain";
    info.upstreamHost = &host;
    info.upstreamLocal = &upstreamLocal;
    info.downstreamLocal = &local;
    info.downstreamRemote = &remote;
    info.downstreamDirectRemote = &direct;
  }

  ChunkPool chunks;
  Arena arena{chunks};
  HeaderList request, response, trailers;
  Address host = *Address::ip("10.0.2.1", 80);
  Address upstreamLocal = *Address::ip("10.0.2.9", 40001);
  Address local = *Address::ip("::1", 8080);
  Address remote = *Address::ip("203.0.113.7", 0);
  Address direct = *Address::ip("192.0.2.4", 51515);
  StreamInfo info;
};

}  // namespace millrace::test
