// JSON formats: types, nesting, absence, escaping, cutting.
#include <doctest/doctest.h>

#include "proxy/format_fixture.h"

using namespace millrace;
using namespace millrace::test;
using spec::JsonNode;

namespace {

JsonNode value(std::vector<spec::FormatOp> ops) {
  JsonNode n;
  n.kind = JsonNode::Kind::kValue;
  n.ops = std::move(ops);
  return n;
}

JsonNode literal(std::string json) {
  JsonNode n;
  n.kind = JsonNode::Kind::kLiteral;
  n.json = std::move(json);
  return n;
}

JsonNode object(std::vector<std::pair<std::string, JsonNode>> entries) {
  JsonNode n;
  n.kind = JsonNode::Kind::kObject;
  n.entries = std::move(entries);
  return n;
}

JsonNode list(std::vector<JsonNode> items) {
  JsonNode n;
  n.kind = JsonNode::Kind::kList;
  n.items = std::move(items);
  return n;
}

spec::Format jsonFormat(JsonNode root, bool omitEmpty = false) {
  spec::Format f;
  f.mode = spec::Format::Mode::kJson;
  f.root = std::move(root);
  f.omitEmpty = omitEmpty;
  return f;
}

std::string json(const StreamInfo& info, JsonNode root, bool omitEmpty = false) {
  return run(compiled(jsonFormat(std::move(root), omitEmpty)), info);
}

}  // namespace

TEST_CASE("one operator keeps its type; several, or text around one, make a string") {
  SampleStream s;
  const auto root = [] {
    return object({{"code", value({op("RESPONSE_CODE")})},
                   {"took", value({op("DURATION")})},
                   {"took_ms", value({op("DURATION"), lit(" ms")})},
                   {"path", value({op("REQ", ":PATH")})},
                   {"flags", value({op("RESPONSE_FLAGS")})},
                   {"port", value({op("DOWNSTREAM_LOCAL_PORT")})},
                   {"none", value({op("REQ", "x-none")})},
                   {"mixed", value({lit("<"), op("REQ", "x-none"), lit(">")})},
                   {"text", value({lit("plain")})},
                   {"number", literal("1.5")},
                   {"yes", literal("true")}});
  };
  s.info.path = "/p";
  CHECK(
      json(s.info, root()) ==
      "{\"code\":200,\"took\":9,\"took_ms\":\"9 ms\",\"path\":\"/p\",\"flags\":\"-\",\"port\":8080,"
      "\"none\":null,\"mixed\":\"<->\",\"text\":\"plain\",\"number\":1.5,\"yes\":true}\n");
  CHECK(
      json(s.info, root(), true) ==
      "{\"code\":200,\"took\":9,\"took_ms\":\"9 ms\",\"path\":\"/p\",\"flags\":\"-\",\"port\":8080,"
      "\"mixed\":\"<>\",\"text\":\"plain\",\"number\":1.5,\"yes\":true}\n");
}

TEST_CASE("objects and lists nest; with omitEmpty what is empty goes, commas included") {
  SampleStream s;
  const auto none = [] { return value({op("REQ", "x-none")}); };
  const auto code = [] { return value({op("RESPONSE_CODE")}); };
  const auto root = [&] {
    return object({{"a", none()},
                   {"b", object({{"c", none()}, {"d", list({none(), none()})}})},
                   {"e", object({{"f", none()}, {"g", code()}, {"h", none()}})},
                   {"i", list({none(), code(), none(), code()})},
                   {"j", object({})},
                   {"k", none()}});
  };
  CHECK(json(s.info, root()) ==
        "{\"a\":null,\"b\":{\"c\":null,\"d\":[null,null]},\"e\":{\"f\":null,\"g\":200,\"h\":null},"
        "\"i\":[null,200,null,200],\"j\":{},\"k\":null}\n");
  CHECK(json(s.info, root(), true) == "{\"e\":{\"g\":200},\"i\":[200,200]}\n");
  CHECK(json(s.info, object({{"a", none()}}), true) == "{}\n");
  CHECK(json(s.info, object({}), false) == "{}\n");
}

TEST_CASE("strings are escaped as JSON asks; what is not UTF-8 becomes U+FFFD") {
  SampleStream s;
  const auto shown = [&](std::string_view v) {
    s.info.authority = v;
    const std::string out = json(s.info, value({op("REQ", ":authority")}));
    return out.substr(1, out.size() - 3);
  };
  CHECK(shown("a\"b\\c/d") == "a\\\"b\\\\c/d");
  CHECK(shown("\n\r\t\x01\x1f\x7f") == "\\n\\r\\t\\u0001\\u001f\\u007f");
  CHECK(shown("Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x98\x80") ==
        "Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x98\x80");
  CHECK(shown("a\xffz") == "a\\ufffdz");
  CHECK(shown("\xc3") == "\\ufffd");
  CHECK(shown("\xc0\xaf") == "\\ufffd\\ufffd");             // overlong
  CHECK(shown("\xed\xa0\x80") == "\\ufffd\\ufffd\\ufffd");  // a surrogate
  CHECK(shown("\xf4\x90\x80\x80x") == "\\ufffd\\ufffd\\ufffd\\ufffdx");
  CHECK(json(s.info, object({{"k\"\n", literal("1")}})) == "{\"k\\\"\\n\":1}\n");
}

TEST_CASE("a cut value stays valid JSON, and so does a line too long") {
  SampleStream s;
  s.info.authority = "Z\xc3\xbcrich";
  CHECK(json(s.info, value({cut(op("REQ", ":authority"), 2)})) == "\"Z\\ufffd\"\n");
  const std::string controls(60'000, '\x02');
  s.info.authority = controls;
  for (bool omitEmpty : {false, true}) {
    const std::string out =
        json(s.info,
             object({{"a", value({op("REQ", ":authority")})}, {"b", value({op("RESPONSE_CODE")})}}),
             omitEmpty);
    CHECK(out.size() <= FormatProgram::kMaxLineBytes);
    CHECK(out.size() > 30'000);
    CHECK(out.substr(0, 12) == "{\"a\":\"\\u0002");
    CHECK(out.substr(out.size() - 17) == "\\u0002\",\"b\":200}\n");
  }
}

TEST_CASE("nesting has a bound") {
  JsonNode deep = literal("1");
  for (uint32_t i = 0; i < FormatProgram::kMaxDepth; i++) deep = list({std::move(deep)});
  CHECK(FormatProgram::compile(jsonFormat(deep, true), "f").ok());
  SampleStream s;
  CHECK(json(s.info, deep, true) == std::string(16, '[') + "1" + std::string(16, ']') + "\n");
  deep = list({std::move(deep)});
  CHECK_FALSE(FormatProgram::compile(jsonFormat(deep, true), "f").ok());
}
