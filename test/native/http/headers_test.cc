// Well-known names, and the list of fields.
#include "http/headers.h"

#include <doctest/doctest.h>

#include <string>

#include "support/guarded.h"

using namespace millrace;

namespace {
struct Fixture {
  ChunkPool pool;
  Arena arena{pool};
  HeaderList list{arena};
  std::string text() const {
    std::string out;
    for (const Header& h : list) out += std::string(h.name) + "=" + std::string(h.value) + ";";
    return out;
  }
};
}  // namespace

TEST_CASE("every well-known name is recognised in any case") {
  for (int i = 1; i < int(HeaderId::kCount); i++) {
    std::string name(headerName(HeaderId(i)));
    CHECK(headerId(Guarded(name).view()) == HeaderId(i));
    std::string upper = name;
    for (char& c : upper) {
      if (c >= 'a' && c <= 'z') c = char(c - 32);
    }
    CHECK(headerId(Guarded(upper).view()) == HeaderId(i));
  }
  CHECK(headerName(HeaderId::kOther).empty());
}

TEST_CASE("a name with any one byte changed, added or missing is another name") {
  for (int i = 1; i < int(HeaderId::kCount); i++) {
    std::string name(headerName(HeaderId(i)));
    for (size_t at = 0; at < name.size(); at++) {
      for (int c = 0; c < 256; c++) {
        std::string other = name;
        other[at] = char(c);
        bool same = (other[at] | 0x20) == name[at] && name[at] != '-' && c >= 'A';
        if (other[at] == name[at]) same = true;
        HeaderId id = headerId(other);
        bool right = same ? id == HeaderId(i) : id != HeaderId(i);
        if (!right) FAIL_CHECK(other << " for " << name);
      }
    }
    CHECK(headerId(name + "x") != HeaderId(i));
    CHECK(headerId(name.substr(1)) != HeaderId(i));
    CHECK(headerId(name.substr(0, name.size() - 1)) != HeaderId(i));
  }
  CHECK(headerId("") == HeaderId::kOther);
  CHECK(headerId("x") == HeaderId::kOther);
  CHECK(headerId("x-custom") == HeaderId::kOther);
}

TEST_CASE("methods") {
  CHECK(parseMethod("GET") == Method::kGet);
  CHECK(parseMethod("HEAD") == Method::kHead);
  CHECK(parseMethod("POST") == Method::kPost);
  CHECK(parseMethod("PUT") == Method::kPut);
  CHECK(parseMethod("DELETE") == Method::kDelete);
  CHECK(parseMethod("CONNECT") == Method::kConnect);
  CHECK(parseMethod("OPTIONS") == Method::kOptions);
  CHECK(parseMethod("TRACE") == Method::kTrace);
  CHECK(parseMethod("PATCH") == Method::kPatch);
  CHECK(parseMethod("get") == Method::kOther);  // methods are case-sensitive (RFC 9110 §9.1)
  CHECK(parseMethod("") == Method::kOther);
}

TEST_CASE_FIXTURE(Fixture, "adding, finding, growing") {
  CHECK(list.empty());
  CHECK(list.find(HeaderId::kHost) == nullptr);
  CHECK(list.find("x-a") == nullptr);
  std::string names[60];
  for (int i = 0; i < 60; i++) {
    names[i] = "X-" + std::to_string(i);
    list.add(names[i], "v", HeaderId::kOther);
  }
  list.add(HeaderId::kServer, "one");
  list.add("SERVER", "two", HeaderId::kServer);
  CHECK(list.size() == 62);
  CHECK(list.has(HeaderId::kServer));
  CHECK(!list.has(HeaderId::kOther));
  CHECK(list.find(HeaderId::kServer)->value == "one");
  CHECK(list.find("sErVeR")->value == "one");
  CHECK(list.find("x-59")->name == "X-59");
  CHECK(list.value(HeaderId::kVia).empty());
  list.clear();
  CHECK(list.empty());
  CHECK(!list.has(HeaderId::kServer));
}

TEST_CASE_FIXTURE(Fixture, "setting replaces all of the name, in the place of the first") {
  list.add("A", "1", HeaderId::kOther);
  list.add("Via", "2", HeaderId::kVia);
  list.add("B", "3", HeaderId::kOther);
  list.add("via", "4", HeaderId::kVia);
  list.set(HeaderId::kVia, "5");
  CHECK(text() == "A=1;Via=5;B=3;");
  list.add("a", "6", HeaderId::kOther);
  list.set("a", "7");
  CHECK(text() == "A=7;Via=5;B=3;");
  list.set("C", "8");
  list.set("SERVER", "9");
  CHECK(text() == "A=7;Via=5;B=3;C=8;server=9;");
  CHECK(list.find(HeaderId::kServer) != nullptr);
}

TEST_CASE_FIXTURE(Fixture, "removing") {
  list.add("Via", "1", HeaderId::kVia);
  list.add("X-Foo-A", "2", HeaderId::kOther);
  list.add("via", "3", HeaderId::kVia);
  list.add("x-foo-b", "4", HeaderId::kOther);
  list.add("Date", "5", HeaderId::kDate);
  CHECK(list.remove(HeaderId::kHost) == 0);
  CHECK(list.remove("VIA") == 2);
  CHECK(!list.has(HeaderId::kVia));
  CHECK(list.has(HeaderId::kDate));
  CHECK(list.remove("x-foo-A") == 1);
  CHECK(list.removePrefix("X-FOO-") == 1);
  CHECK(text() == "Date=5;");
  CHECK(list.removePrefix("") == 1);
  CHECK(list.empty());
  CHECK(!list.has(HeaderId::kDate));
}

TEST_CASE_FIXTURE(Fixture, "values joined") {
  bool found = true;
  CHECK(list.joined("cookie", found).empty());
  CHECK(!found);
  list.add("Cookie", "a=1", HeaderId::kCookie);
  CHECK(list.joined("cookie", found) == "a=1");
  CHECK(found);
  list.add("X", "x", HeaderId::kOther);
  list.add("cookie", "", HeaderId::kCookie);
  list.add("COOKIE", "b=2", HeaderId::kCookie);
  CHECK(list.joined("cookie", found) == "a=1,,b=2");
  list.add("x", "y", HeaderId::kOther);
  CHECK(list.joined("X", found) == "x,y");
}

TEST_CASE_FIXTURE(Fixture, "own() moves what lay in the raw head and leaves the rest") {
  RequestHead head(arena);
  std::string received = "GET /p HTTP/1.1\r\nA: b\r\n\r\n";
  std::string_view raw = received;
  head.raw = raw;
  head.methodText = raw.substr(0, 3);
  head.path = raw.substr(4, 2);
  head.authority = "static";
  head.headers.add(raw.substr(17, 1), raw.substr(20, 1), HeaderId::kOther);
  head.headers.add(HeaderId::kVia, "mine");
  head.own();
  const char* kept = head.raw.data();
  head.own();
  CHECK(head.raw.data() == kept);
  received.assign(received.size(), '?');
  CHECK(head.raw == "GET /p HTTP/1.1\r\nA: b\r\n\r\n");
  CHECK(head.methodText == "GET");
  CHECK(head.path == "/p");
  CHECK(head.authority == "static");
  CHECK(head.headers.find("a")->value == "b");
  CHECK(head.headers.value(HeaderId::kVia) == "mine");
  head.clear();
  CHECK(head.raw.empty());
  CHECK(head.headers.empty());
}

TEST_CASE("reason phrases") {
  CHECK(reasonPhrase(200) == "OK");
  CHECK(reasonPhrase(431) == "Request Header Fields Too Large");
  CHECK(reasonPhrase(299).empty());
}

TEST_CASE("fields of one name are joined once, however many ask, until the list changes") {
  ChunkPool pool;
  Arena arena(pool);
  HeaderList list(arena);
  const std::string half(20'000, 'y');
  list.add("X-User", half, HeaderId::kOther);
  list.add("other", "o", HeaderId::kOther);
  list.add("x-user", half, HeaderId::kOther);
  bool found = false;
  std::string_view first = list.joined("x-user", found);
  CHECK(found);
  CHECK(first.size() == 2 * half.size() + 1);
  for (int i = 0; i < 1000; i++) {
    std::string_view again = list.joined(i % 2 == 0 ? "X-USER" : "x-user", found);
    REQUIRE(found);
    REQUIRE(again.data() == first.data());
  }
  SUBCASE("added") {
    list.add("x-user", "z", HeaderId::kOther);
    CHECK(list.joined("x-user", found).size() == 2 * half.size() + 3);
  }
  SUBCASE("set") {
    list.set("x-user", "z");
    CHECK(list.joined("x-user", found) == "z");
  }
  SUBCASE("removed") {
    list.remove("x-user");
    CHECK(list.joined("x-user", found) == "");
    CHECK(!found);
  }
  SUBCASE("cleared") {
    list.clear();
    list.joined("x-user", found);
    CHECK(!found);
  }
}
