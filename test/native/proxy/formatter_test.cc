// Text formats: every operator, absence, cutting, escaping, bounds, refusals.
#include "proxy/formatter.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <ctime>
#include <set>

#include "proxy/format_fixture.h"
#include "proxy/format_output.h"

using namespace millrace;
using namespace millrace::test;

TEST_CASE("the default line, byte for byte") {
  SampleStream s;
  CHECK(run(compiled(defaultFormat()), s.info) ==
        "[2016-04-15T20:17:00.310Z] \"GET /api/v1/locations?near=Z%C3%BCrich&n=3&empty=&flag "
        "HTTP/1.1\" 200 - 154 1234567 9 4 \"203.0.113.7\" \"curl/8.5.0\" "
        "\"cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2\" \"locations.example\" \"10.0.2.1:80\"\n");
  StreamInfo nothing;
  CHECK(run(compiled(defaultFormat()), nothing) ==
        "[1970-01-01T00:00:00.000Z] \"- - -\" 0 - 0 0 - - \"-\" \"-\" \"-\" \"-\" \"-\"\n");
}

TEST_CASE("every operator of the messages") {
  SampleStream s;
  const auto is = [&](spec::FormatOp o, const char* wanted) {
    CAPTURE(std::get_if<spec::FormatOperator>(&o)->op);
    CHECK(line(s.info, {o}) == wanted);
  };
  is(op("REQ", "x-custom"), "one");
  is(op("REQUEST_HEADER", "X-CUSTOM"), "one");
  is(op("REQ", "x-none", "x-custom"), "one");
  is(op("REQ", "x-none", "x-neither"), "-");
  is(op("REQ", "Host"), "locations.example");
  is(op("REQ", ":scheme"), "http");
  is(op("REQ", ":status"), "-");
  is(op("RESP", ":status"), "200");
  is(op("RESP", ":method"), "-");
  is(op("RESP", "content-type"), "text/plain");
  is(op("RESPONSE_HEADER", "content-type"), "text/plain");
  is(op("TRAILER", "grpc-status"), "0");
  is(op("RESPONSE_TRAILER", "grpc-status"), "0");
  is(cut(op("REQ", "x-custom"), 2), "on");
  is(cut(op("REQ", "x-custom"), 0), "");
  is(op("PATH"), "/api/v1/locations?near=Z%C3%BCrich&n=3&empty=&flag");
  is(op("PATH", "NQ"), "/api/v1/locations");
  is(op("PATH", "NQ", "ORIG"), "-");
  s.request.add(HeaderId::kXEnvoyOriginalPath, "/old?x=1");
  is(op("PATH"), "/old?x=1");
  is(op("PATH", "NQ", "ORIG"), "/old");
  is(op("PATH", "NQ", "PATH"), "/api/v1/locations");
  is(op("QUERY_PARAM", "near"), "Z\xc3\xbcrich");
  is(op("QUERY_PARAM", "n"), "3");
  is(op("QUERY_PARAM", "empty"), "");
  is(op("QUERY_PARAM", "flag"), "");
  is(op("QUERY_PARAM", "none"), "-");
  is(op("PROTOCOL"), "HTTP/1.1");
  is(op("UPSTREAM_PROTOCOL"), "HTTP/1.1");
  is(op("RESPONSE_CODE"), "200");
  is(op("RESPONSE_CODE_DETAILS"), "via_upstream");
  is(op("RESPONSE_CODE_DETAILS", "ALLOW_WHITESPACES"), "via upstream");
  is(op("RESPONSE_FLAGS"), "-");
  s.info.setFlag(ResponseFlag::kUpstreamRetryLimitExceeded);
  s.info.setFlag(ResponseFlag::kUpstreamConnectionFailure);
  is(op("RESPONSE_FLAGS"), "UF,URX");
  is(op("RESPONSE_FLAGS_LONG"), "UpstreamConnectionFailure,UpstreamRetryLimitExceeded");
  is(op("CONNECTION_TERMINATION_DETAILS"), "-");
  is(op("LOCAL_REPLY_BODY"), "");
  is(op("BYTES_RECEIVED"), "154");
  is(op("BYTES_SENT"), "1234567");
  is(op("DOWNSTREAM_WIRE_BYTES_RECEIVED"), "500");
  is(op("DOWNSTREAM_WIRE_BYTES_SENT"), "1235000");
  is(op("DOWNSTREAM_HEADER_BYTES_RECEIVED"), "346");
  is(op("DOWNSTREAM_HEADER_BYTES_SENT"), "433");
  is(op("UPSTREAM_WIRE_BYTES_RECEIVED"), "1234900");
  is(op("UPSTREAM_WIRE_BYTES_SENT"), "520");
  is(op("UPSTREAM_HEADER_BYTES_RECEIVED"), "333");
  is(op("UPSTREAM_HEADER_BYTES_SENT"), "366");
}

TEST_CASE("every operator of routing, connections and the process") {
  SampleStream s;
  const auto is = [&](spec::FormatOp o, const char* wanted) {
    CAPTURE(std::get_if<spec::FormatOperator>(&o)->op);
    CHECK(line(s.info, {o}) == wanted);
  };
  is(op("ROUTE_NAME"), "r1");
  is(op("VIRTUAL_HOST_NAME"), "vh");
  is(op("UPSTREAM_CLUSTER"), "backend");
  is(op("UPSTREAM_HOST"), "10.0.2.1:80");
  is(op("UPSTREAM_REMOTE_ADDRESS"), "10.0.2.1:80");
  is(op("UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT"), "10.0.2.1");
  is(op("UPSTREAM_REMOTE_PORT"), "80");
  is(op("UPSTREAM_LOCAL_ADDRESS"), "10.0.2.9:40001");
  is(op("UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT"), "10.0.2.9");
  is(op("UPSTREAM_LOCAL_PORT"), "40001");
  is(op("UPSTREAM_REQUEST_ATTEMPT_COUNT"), "2");
  is(op("UPSTREAM_TRANSPORT_FAILURE_REASON"), "-");
  is(op("UPSTREAM_CONNECTION_ID"), "9");
  is(op("DOWNSTREAM_LOCAL_ADDRESS"), "[::1]:8080");
  is(op("DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT"), "::1");
  is(op("DOWNSTREAM_LOCAL_PORT"), "8080");
  is(op("DOWNSTREAM_REMOTE_ADDRESS"), "203.0.113.7:0");
  is(op("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT"), "203.0.113.7");
  is(op("DOWNSTREAM_REMOTE_PORT"), "0");
  is(op("DOWNSTREAM_DIRECT_REMOTE_ADDRESS"), "192.0.2.4:51515");
  is(op("DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT"), "192.0.2.4");
  is(op("DOWNSTREAM_DIRECT_REMOTE_PORT"), "51515");
  is(op("CONNECTION_ID"), "7");
  is(op("STREAM_ID"), "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2");
  is(op("REQUESTED_SERVER_NAME"), "-");
  is(op("FILTER_CHAIN_NAME"), "chain");
  is(op("ACCESS_LOG_TYPE"), "DownstreamEnd");
  s.request.clear();
  is(op("STREAM_ID"), "-");
  s.info.streamId = 42;
  is(op("STREAM_ID"), "42");
  const Address path = *Address::unixPath("/run/app.sock");
  s.info.upstreamHost = &path;
  is(op("UPSTREAM_HOST"), "/run/app.sock");
  is(op("UPSTREAM_REMOTE_PORT"), "-");
  setenv("MILLRACE_TEST_ENVIRONMENT", "stage", 1);
  is(op("ENVIRONMENT", "MILLRACE_TEST_ENVIRONMENT"), "stage");
  is(cut(op("ENVIRONMENT", "MILLRACE_TEST_ENVIRONMENT"), 3), "sta");
  is(op("ENVIRONMENT", "MILLRACE_TEST_NO_SUCH"), "-");
  CHECK(line(s.info, {op("HOSTNAME")}) != "-");
  const std::string id = line(s.info, {op("UNIQUE_ID")});
  REQUIRE(id.size() == 36);
  for (size_t i = 0; i < id.size(); i++) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    CHECK((dash ? id[i] == '-' : std::string_view("0123456789abcdef").find(id[i]) < 16));
  }
  CHECK(id[14] == '4');
  CHECK(std::string_view("89ab").find(id[19]) < 4);
  CHECK(line(s.info, {op("UNIQUE_ID")}) != id);
}

TEST_CASE("durations") {
  SampleStream s;
  const auto is = [&](spec::FormatOp o, const char* wanted) {
    CAPTURE(std::get_if<spec::FormatOperator>(&o)->op);
    CHECK(line(s.info, {o}) == wanted);
  };
  is(op("DURATION"), "9");
  is(op("REQUEST_DURATION"), "1");
  is(op("REQUEST_TX_DURATION"), "2");
  is(op("RESPONSE_DURATION"), "6");
  is(op("RESPONSE_TX_DURATION"), "3");
  is(op("ROUNDTRIP_DURATION"), "-");
  is(op("COMMON_DURATION", "DS_RX_BEG", "DS_TX_END"), "9");
  is(op("COMMON_DURATION", "US_CX_BEG", "US_CX_END", "us"), "300");
  is(op("COMMON_DURATION", "US_TX_BEG", "US_RX_BEG", "ns"), "4000000");
  is(op("COMMON_DURATION", "US_RX_BEG", "US_TX_BEG"), "-");  // backwards
  is(op("COMMON_DURATION", "DS_CX_BEG", "DS_CX_END"), "-");  // not marked
  s.info.upstreamRxBeginNs = 0;
  is(op("RESPONSE_DURATION"), "-");
  is(op("RESPONSE_TX_DURATION"), "-");
}

TEST_CASE("times agree with strftime") {
  const char* pattern =
      "%Y %m %d %H %M %S %y %C %j %e %I %p %a %A %b %B %h %u %w %F %T %D %R %r %c %x %X %s %%";
  auto first = TimeFormat::compile(std::string(pattern).substr(0, 42));
  auto second = TimeFormat::compile(std::string(pattern).substr(42));
  REQUIRE(first.ok());
  REQUIRE(second.ok());
  setenv("TZ", "UTC", 1);
  char out[TimeFormat::kMaxText];
  uint64_t seconds = 0;
  for (int i = 0; i < 20'000; i++, seconds += 86'399 + uint64_t(i) * 7) {
    const time_t t = time_t(seconds);
    tm broken;
    gmtime_r(&t, &broken);
    char wanted[1024];
    const size_t wantedSize = strftime(wanted, sizeof wanted, pattern, &broken);
    std::string ours(out, first->run(seconds * 1'000'000, out));
    ours.append(out, second->run(seconds * 1'000'000, out));
    REQUIRE(ours == std::string(wanted, wantedSize));
  }
  CHECK(seconds > 4'102'444'800 - 1'200'000'000);
}

TEST_CASE("fractions, zones, and what is refused in times") {
  SampleStream s;
  CHECK(line(s.info, {op("START_TIME")}) == "2016-04-15T20:17:00.310Z");
  CHECK(line(s.info, {op("START_TIME", "%s.%3f")}) == "1460751420.310");
  CHECK(line(s.info, {op("START_TIME", "%s.%6f")}) == "1460751420.310059");
  CHECK(line(s.info, {op("START_TIME", "%9f|%f|%1f")}) == "310059000|310059000|3");
  CHECK(line(s.info, {op("START_TIME", "%Y/%m/%dT%H:%M:%S%z %Z")}) ==
        "2016/04/15T20:17:00+0000 UTC");
  CHECK(line(s.info, {op("EMIT_TIME", "%Y")}) >= "2024");
  for (const char* bad : {"%Q", "%", "%n", "a\nb", "%0f", "%E4Y", "%t",
                          "%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%"
                          "Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y"}) {
    CAPTURE(bad);
    auto refused = FormatProgram::compile(textFormat({op("START_TIME", bad)}), "log.format");
    REQUIRE_FALSE(refused.ok());
    CHECK(std::string(refused.error().code) == "ERR_MILLRACE_FORMAT");
    CHECK(refused.error().message.find("log.format: %START_TIME%: ") == 0);
  }
}

TEST_CASE("no value forges a line or a field") {
  SampleStream s;
  s.request.clear();
  s.request.add("User-Agent", "a\"b\\c\r\n[2016] \"GET\x01\x7f\ttail \xc3\xa9",
                HeaderId::kUserAgent);
  CHECK(line(s.info, {lit("\""), op("REQ", "user-agent"), lit("\"\n")}) ==
        "\"a\\\"b\\\\c\\x0d\\x0a[2016] \\\"GET\\x01\\x7f\\x09tail \xc3\xa9\"\n");
  s.info.path = "/q?x=%0a%22";
  CHECK(line(s.info, {op("QUERY_PARAM", "x")}) == "\\x0a\\\"");
  // Every byte, at every place of a word of eight.
  for (int c = 1; c < 256; c++) {
    for (size_t at = 0; at < 17; at++) {
      std::string value(17, 'v');
      value[at] = char(c);
      s.info.authority = value;
      const std::string out = line(s.info, {op("REQ", ":authority")});
      for (const char o : out) REQUIRE(((o >= 0x20 || o < 0) && o != 0x7f));
      const bool quoted = c == '"' || c == '\\';
      const bool control = c < 0x20 || c == 0x7f;
      REQUIRE(out.size() == (control ? 20 : quoted ? 18 : 17));
    }
  }
}

TEST_CASE("header values are not escaped, and what is absent is empty") {
  SampleStream s;
  s.request.add("ETag", "\"a\\b\"", HeaderId::kOther);
  auto value = FormatProgram::compileValue({op("REQ", "etag"), op("REQ", "x-none")}, "add[0]");
  REQUIRE(value.ok());
  CHECK(run(*value, s.info) == "\"a\\b\"");
  CHECK(run(compiled(textFormat({lit("<"), op("REQ", "x-none"), lit(">")}, true)), s.info) == "<>");
}

TEST_CASE("a line too long is cut value by value; its structure stays") {
  SampleStream s;
  const std::string agent(50'000, 'u');
  const std::string controls(40'000, '\x01');  // four times as long when escaped
  s.request.clear();
  s.request.add("User-Agent", agent, HeaderId::kUserAgent);
  s.info.authority = controls;
  const auto program = compiled(textFormat({lit("\""), op("REQ", "user-agent"), lit("\" \""),
                                            op("REQ", ":authority"), lit("\" end\n")}));
  const std::string out = run(program, s.info);
  CHECK(out.size() <= FormatProgram::kMaxLineBytes);
  CHECK(out.size() > 10'000);
  CHECK(out.substr(out.size() - 6) == "\" end\n");
  CHECK(out.find("u\" \"\\x01") != std::string::npos);
  CHECK(run(program, s.info, 10).size() == 10);  // no room at all: it ends where the room ends
}

TEST_CASE("names lead to operators and back; what is not built is refused by name") {
  std::set<std::string> names;
  for (size_t i = 0; i < size_t(FormatOpKind::kCount); i++) {
    const char* name = formatOpName(FormatOpKind(i));
    CHECK(formatOpFromName(name) == FormatOpKind(i));
    names.insert(name);
  }
  CHECK(names.size() == size_t(FormatOpKind::kCount));
  for (const char* missing : {"VIRTUAL_CLUSTER_NAME", "DYNAMIC_METADATA", "CEL", "", "req"}) {
    CHECK_FALSE(formatOpFromName(missing));
    auto refused = FormatProgram::compile(textFormat({op(missing)}), "access_log[0].format");
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().message == std::string("access_log[0].format: %") + missing +
                                         "%: Millrace does not have this operator");
  }
  const std::vector<spec::FormatOp> wrong = {
      op("REQ"),
      op("QUERY_PARAM"),
      op("PROTOCOL", "x"),
      op("COMMON_DURATION", "DS_RX_BEG", "NEVER"),
      op("COMMON_DURATION", "DS_RX_BEG", "DS_RX_END", "s"),
      op("PATH", "XX"),
      op("PATH", "WQ", "XX"),
      op("RESPONSE_CODE_DETAILS", "x"),
      op("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "16"),
  };
  for (const auto& o : wrong) CHECK_FALSE(FormatProgram::compile(textFormat({o}), "f").ok());
  const std::string tooLong(FormatProgram::kMaxLiteralBytes + 1, 'x');
  CHECK_FALSE(FormatProgram::compile(textFormat({lit(tooLong)}), "f").ok());
  CHECK_FALSE(
      FormatProgram::compile(textFormat(std::vector<spec::FormatOp>(600, op("PROTOCOL"))), "f")
          .ok());
}

TEST_CASE("a program knows whether it needs the local addresses") {
  CHECK_FALSE(compiled(defaultFormat()).usesDownstreamLocal());
  CHECK_FALSE(compiled(defaultFormat()).usesUpstreamLocal());
  CHECK(compiled(textFormat({op("DOWNSTREAM_LOCAL_PORT")})).usesDownstreamLocal());
  CHECK(compiled(textFormat({op("UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT")})).usesUpstreamLocal());
}

TEST_CASE("decimal digits") {
  for (uint64_t n = 1; n != 0 && n < UINT64_MAX / 3; n = n * 3 + 1) {
    for (uint64_t v : {n - 1, n, n * 10, n * 100}) {
      char out[20];
      CHECK(std::string(out, putDecimal(out, v)) == std::to_string(v));
    }
  }
  char out[20];
  CHECK(std::string(out, putDecimal(out, UINT64_MAX)) == std::to_string(UINT64_MAX));
}
