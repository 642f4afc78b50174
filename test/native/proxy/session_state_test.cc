// Where a client keeps its host: cookies and headers as Envoy writes them, and what clients make of
// them.
#include "proxy/filters/session_state.h"

#include <doctest/doctest.h>

#include <string>

#include "base/base64.h"
#include "support/repetitions.h"

using namespace millrace;

namespace {

using State = spec::StatefulSession::State;

constexpr uint64_t kNow = 1'700'000'000;

std::string base64(std::string_view data) {
  std::string out(base64Size(data.size()), ' ');
  encodeBase64(data, out.data());
  return out;
}

struct Exchange {
  ChunkPool chunks;
  Arena arena{chunks};
  RequestHead request{arena};
  ResponseHead response{arena};
  std::string kept;

  std::string read(const SessionState& state, std::string_view cookie, uint64_t now = kNow) {
    request.headers.clear();
    kept = std::string("a=b; session=\"") + std::string(cookie) + "\"";
    request.headers.add(HeaderId::kCookie, kept);
    return std::string(state.read(request, now, arena));
  }
  std::string written(const SessionState& state, std::string_view address) {
    response.headers.clear();
    state.write(address, kNow, response.headers);
    const Header* field = response.headers.find(HeaderId::kSetCookie);
    REQUIRE(field != nullptr);
    return std::string(field->value);
  }
};

SessionState cookie(uint64_t ttl = 0, std::string path = "") {
  return SessionState({.state = State::kCookie, .name = "session", .ttl = ttl, .path = path});
}

}  // namespace

TEST_CASE("a cookie holds the address as Envoy's message has it") {
  Exchange x;
  // {address: "1.2.3.4:80"}
  const std::string message =
      base64(std::string_view("\x0a\x0a"
                              "1.2.3.4:80",
                              12));
  CHECK(x.written(cookie(), "1.2.3.4:80") == "session=\"" + message + "\"; HttpOnly");
  CHECK(x.read(cookie(), message) == "1.2.3.4:80");
}

TEST_CASE("a cookie with a time to live says when it ends") {
  Exchange x;
  SessionState state = cookie(120, "/shop");
  std::string field = x.written(state, "1.2.3.4:80");
  // expires: kNow + 120, a varint of five bytes.
  const std::string message =
      base64(std::string_view("\x0a\x0a"
                              "1.2.3.4:80\x10\xf8\xe2\xcf\xaa\x06",
                              18));
  CHECK(field == "session=\"" + message + "\"; Max-Age=120; Path=/shop; HttpOnly");
  CHECK(x.read(state, message) == "1.2.3.4:80");
  CHECK(x.read(state, message, kNow + 120) == "1.2.3.4:80");
  CHECK(x.read(state, message, kNow + 121) == "");
  // Whoever reads it goes by the cookie, not by his own configuration.
  CHECK(x.read(cookie(), message, kNow + 121) == "");
}

TEST_CASE("a cookie of an older version is the address itself") {
  Exchange x;
  CHECK(x.read(cookie(), "MS4yLjMuNDo4MA==") == "1.2.3.4:80");
  CHECK(x.read(cookie(), base64("127.0.0.1:8080")) == "127.0.0.1:8080");
  CHECK(x.read(cookie(), base64("[::1]:80")) == "[::1]:80");
}

TEST_CASE("a cookie that says nothing is no cookie") {
  Exchange x;
  CHECK(x.read(cookie(), "") == "");
  CHECK(x.read(cookie(), "not base64!") == "");
  CHECK(x.read(cookie(), base64(std::string_view("\x10\x01", 2))) == "");  // no address
  // Fields that are not known are passed over, of every type.
  CHECK(x.read(cookie(), base64(std::string_view("\x18\x05\x22\x01x\x29"
                                                 "12345678\x35"
                                                 "1234\x0a\x01y",
                                                 22))) == "y");
  x.request.headers.clear();
  CHECK(cookie().read(x.request, kNow, x.arena) == "");
}

TEST_CASE("whatever a client sends is read without harm") {
  Exchange x;
  uint64_t seed = 1;
  for (int i = 0; i < repetitions(20'000); i++) {
    std::string bytes;
    for (int k = i % 24; k > 0; k--) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      bytes += char(seed >> 56);
    }
    if (i % 3 == 0) bytes = "\x0a" + bytes;
    std::string address = x.read(cookie(), base64(bytes));
    CHECK(address.size() <= bytes.size());
  }
}

TEST_CASE("a header holds the address in Base64") {
  Exchange x;
  SessionState state({.state = State::kHeader, .name = "Session-Header"});
  x.request.headers.add("session-header", "MS4yLjMuNDo4MA==", HeaderId::kOther);
  CHECK(state.read(x.request, kNow, x.arena) == "1.2.3.4:80");
  x.response.headers.add("session-header", "of the upstream", HeaderId::kOther);
  state.write("1.2.3.4:80", kNow, x.response.headers);
  REQUIRE(x.response.headers.size() == 1);
  CHECK(x.response.headers.begin()->value == "MS4yLjMuNDo4MA==");
}

TEST_CASE("a cookie's path says which requests have a session") {
  for (const char* path : {"/shop", "/shop/", "/other", "/"}) CHECK(cookie(0, "").covers(path));
  CHECK(cookie(0, "/").covers("/anything"));
  SessionState shop = cookie(0, "/shop");
  for (const char* path : {"/shop", "/shop/cart", "/shop?x", "/shop#x"}) CHECK(shop.covers(path));
  for (const char* path : {"/shopping", "/sho", "/", "/a/shop"}) CHECK_FALSE(shop.covers(path));
  SessionState slash = cookie(0, "/shop/");
  CHECK(slash.covers("/shop/cart"));
  CHECK_FALSE(slash.covers("/shop"));
}
