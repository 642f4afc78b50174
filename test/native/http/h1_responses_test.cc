// The responses of ../shared/h1-cases through the client codec and on through the server's encoder.
#include <doctest/doctest.h>

#include <map>

#include "client_support.h"
#include "h1_cases.h"

using namespace millrace;
using namespace millrace::test;

namespace {

// As in h1_requests_test.cc.
const std::map<std::string, const char*> kDifferences = {
    {"llhttp/connection:167 HTTP/1.1 with keep-alive disabled and 204 status",
     "bytes behind a response are dropped with the connection"},
    {"llhttp/connection:230 HTTP/1.1 with keep-alive disabled, content-length",
     "bytes behind a response are dropped with the connection"},
    {"llhttp/connection:644 HTTP 103 first, then 200", "the case lacks the last byte of its body"},
    {"llhttp/transfer-encoding:287 Chunk extensions quoting", "the case lacks its last CRLF"},
    {"llhttp/sample:43 RTSP response", "protocols: HTTP/1.0 and HTTP/1.1"},
};

}  // namespace

TEST_CASE("responses of other projects' test suites") {
  std::vector<H1Case> cases = loadH1Cases("responses.json");
  if (cases.empty()) {
    MESSAGE("skipped: ../shared/h1-cases/responses.json is not there");
    return;
  }
  CHECK(cases.size() > 20);
  for (const H1Case& c : cases) {
    CAPTURE(c.name);
    Net net;
    ClientSide side(net);
    std::string log = side.get(c.raw, true);
    bool refused = log.find("reset") != std::string::npos;
    bool met = refused == (c.expect == "reject");
    bool listed = kDifferences.count(c.name) != 0;
    if (met == listed) FAIL_CHECK(c.name << ": expected " << c.expect << ", was: " << log);
    CHECK(!side.codec->reusable());  // the end of the connection followed
  }
}
