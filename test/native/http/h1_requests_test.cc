// The requests of ../shared/h1-cases through the server codec and on through the client's encoder:
// nothing dangerous goes out, what should be accepted is, what should be refused is. Differences
// are listed, with the reason in docs/http1-strictness.md.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "h1_cases.h"
#include "http/http1_encoder.h"
#include "server_support.h"

using namespace millrace;
using namespace millrace::test;

namespace {

// Where we differ from what the case expects, and why: the sections of docs/http1-strictness.md.
const std::map<std::string, const char*> kDifferences = {
    {"gunicorn/valid/027", "target: bytes outside ASCII"},
    {"gunicorn/valid/rfc9112_smuggle_gzip_chunked_01", "transfer codings: only chunked"},
    {"llhttp/uri:225 `host:port` and basic auth", "target: userinfo"},
    {"envoy-codec/ChunkedBody", "the case has text in front of the request line"},
    {"envoy-codec/ChunkedBodyCase", "the case has text in front of the request line"},
    {"gunicorn/invalid/007", "limits: 60 KiB a head, not 8 KiB a line"},
    {"gunicorn/invalid/017", "limits: 60 KiB a head, not 8 KiB a line"},
    {"gunicorn/invalid/041", "repeated fields other than those that frame or route"},
    {"llhttp/invalid:359 Invalid method", "methods: any token"},
};

struct Outcome {
  std::string forwarded;  // what an upstream would get, request after request
  int complete = 0;       // requests forwarded whole
  bool refused = false;
  bool open = false;  // a request is under way
};

// Forwards one complete request as the client codec would.
void forward(ServerSide::Stream& s, std::string& out) {
  bool hasLength = s.head.framing == BodyFraming::kLength;
  bool chunked = !hasLength && !s.body.empty();
  WireBody body = chunked     ? WireBody::chunked()
                  : hasLength ? WireBody::ofLength(s.body.size())
                              : WireBody::none();
  std::string head(requestHeadBound(s.head), '\0');
  char* end = writeRequestHead(head.data(), s.head, body, false);
  out.append(head.data(), end);
  if (chunked) {
    char size[kChunkHeadMax];
    out.append(size, writeChunkHead(size, s.body.size()));
    out += s.body + "\r\n0\r\n\r\n";
  } else {
    out += s.body;
  }
}

Outcome run(std::string_view raw) {
  Net net;
  Http1ServerOptions options;
  options.parse.acceptHttp10 = true;
  ServerSide side(net, options);
  Outcome out;
  side.onComplete = [&](ServerSide::Stream& s) {
    forward(s, out.forwarded);
    out.complete++;
    s.answer(200, "ok");
  };
  side.plain.say(raw);
  net.turns(12);
  out.refused = side.errors != 0;
  out.open = !side.closed && !side.codec->idle() && !out.refused;
  return out;
}

// What a strict reader would stumble over in forwarded bytes; written without the parser and the
// tables it is to judge.
bool isToken(std::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) {
    bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return alnum || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}
bool isRequestLine(std::string_view line) {
  constexpr std::string_view kEnd = " HTTP/1.1";
  if (line.size() < kEnd.size() || line.substr(line.size() - kEnd.size()) != kEnd) return false;
  line.remove_suffix(kEnd.size());
  size_t space = line.find(' ');
  if (space == std::string_view::npos || !isToken(line.substr(0, space))) return false;
  std::string_view target = line.substr(space + 1);
  return !target.empty() &&
         std::all_of(target.begin(), target.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}
bool isField(std::string_view line) {
  size_t colon = line.find(':');
  if (colon == std::string_view::npos || !isToken(line.substr(0, colon))) return false;
  return std::all_of(line.begin(), line.end(), [](char c) {
    return c == '\t' || uint8_t(c) >= 0x80 || (c >= ' ' && c != '\x7f');
  });
}

std::string dangers(const std::string& bytes) {
  std::string found;
  size_t at = 0;
  while (at < bytes.size()) {
    size_t headEnd = bytes.find("\r\n\r\n", at);
    if (headEnd == std::string::npos) return found + "incomplete head; ";
    std::string head = bytes.substr(at, headEnd - at);
    size_t lengths = 0, encodings = 0, hosts = 0, length = 0, lineAt = 0;
    for (bool first = true; lineAt <= head.size(); first = false) {
      size_t lineEnd = std::min(head.find("\r\n", lineAt), head.size());
      std::string line = head.substr(lineAt, lineEnd - lineAt);
      lineAt = lineEnd + 2;
      if (!(first ? isRequestLine(line) : isField(line))) found += "line '" + line + "'; ";
      std::string name = line.substr(0, line.find(':'));
      if (equalsIgnoreCase(name, "host")) hosts++;
      if (equalsIgnoreCase(name, "transfer-encoding")) encodings++;
      if (equalsIgnoreCase(name, "content-length")) {
        lengths++;
        length = size_t(std::stoul(line.substr(line.find(':') + 1)));
      }
    }
    if (hosts != 1) found += "hosts; ";
    if (lengths + encodings > 1) found += "framing; ";
    at = headEnd + 4;
    if (encodings != 0) {
      size_t bodyEnd = bytes.find("\r\n0\r\n\r\n", at);
      if (bodyEnd == std::string::npos) return found + "body; ";
      at = bodyEnd + 7;
    } else {
      at += length;
    }
    if (at > bytes.size()) found += "short body; ";
  }
  return found;
}

}  // namespace

TEST_CASE("requests of other projects' test suites") {
  std::vector<H1Case> cases = loadH1Cases("requests.json");
  if (cases.empty()) {
    MESSAGE("skipped: ../shared/h1-cases/requests.json is not there");
    return;
  }
  CHECK(cases.size() > 250);
  std::map<std::string, int> counts;
  for (const H1Case& c : cases) {
    CAPTURE(c.name);
    Outcome out = run(c.raw);
    CHECK(dangers(out.forwarded) == "");
    bool met = true;
    if (c.expect == "accept") met = out.complete > 0 && !out.refused;
    if (c.expect == "reject") met = out.refused || out.open || out.complete == 0;
    if (c.expect == "wait") met = out.open && out.complete == 0;
    counts[c.expect + (met ? " met" : " differs")]++;
    bool listed = kDifferences.count(c.name) != 0;
    if (met == listed) {
      FAIL_CHECK(c.name << ": expected " << c.expect << ", complete " << out.complete
                        << ", refused " << out.refused << ", open " << out.open);
    }
  }
  for (auto& [what, count] : counts) MESSAGE(what << ": " << count);
}
