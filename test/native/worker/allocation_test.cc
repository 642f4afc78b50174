// In the steady state a proxied request takes nothing from the heap: not on the worker, nor on the
// main thread. The client and the origin of these tests take nothing either, so all threads are
// counted.
#include "support/allocations.h"
#include "worker/support.h"

using namespace millrace;
using namespace millrace::test;

namespace {

constexpr char kBrowser[] =
    "GET /products/list?page=2&sort=price HTTP/1.1\r\nHost: www.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\n"
    "Cookie: session=9f2c1d3e4b5a69788796a5b4c3d2e1f0; theme=dark\r\nDnt: 1\r\n"
    "Referer: https://www.example.com/products\r\nUpgrade-Insecure-Requests: 1\r\n\r\n";

uint64_t allocationsOf(Client& client, std::string_view request, int count, int& failed) {
  uint64_t before = allHeapAllocations();
  for (int i = 0; i < count; i++) failed += client.exchange(request) != 200;
  return allHeapAllocations() - before;
}

}  // namespace

TEST_CASE("a steady stream of requests allocates nothing" * doctest::skip(!MR_RECYCLE)) {
  Origin origin;
  Running proxy(1, {origin.port()});
  Client client(proxy.port);
  int failed = 0;
  for (std::string_view request : {std::string_view("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
                                   std::string_view(kBrowser, sizeof kBrowser - 1)}) {
    allocationsOf(client, request, 50, failed);  // pools fill
    CHECK(allocationsOf(client, request, 1000, failed) == 0);
  }
  CHECK(failed == 0);
}

TEST_CASE("new client connections reuse what old ones left" * doctest::skip(!MR_RECYCLE)) {
  Origin origin;
  Running proxy(1, {origin.port()});
  auto connections = [&](int count) {
    uint64_t before = allHeapAllocations();
    int failed = 0;
    for (int i = 0; i < count; i++) {
      Client client(proxy.port);
      failed += client.get() != 200;
    }
    CHECK(failed == 0);
    return allHeapAllocations() - before;
  };
  connections(50);
  CHECK(connections(200) == 0);
}
