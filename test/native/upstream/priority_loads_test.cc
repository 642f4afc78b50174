// How load is shared among priorities, against the tables of Envoy's documentation.
#include "upstream/balancer/priority_loads.h"

#include <doctest/doctest.h>

using namespace millrace;

namespace {

// Of 100 hosts each.
PriorityHealth of(uint64_t healthy, uint64_t degraded = 0) {
  return {.hosts = 100, .healthy = healthy, .degraded = degraded};
}

using Loads = std::vector<uint8_t>;

}  // namespace

TEST_CASE("load spills over to the next priority as health falls") {
  auto healthy = [](std::vector<PriorityHealth> p) { return sharesOf(p, 140, 50).loads.healthy; };
  CHECK(healthy({of(100), of(100)}) == Loads{100, 0});
  CHECK(healthy({of(72), of(100)}) == Loads{100, 0});
  CHECK(healthy({of(71), of(100)}) == Loads{99, 1});
  CHECK(healthy({of(50), of(100)}) == Loads{70, 30});
  CHECK(healthy({of(25), of(100)}) == Loads{35, 65});
  CHECK(healthy({of(0), of(100)}) == Loads{0, 100});
  CHECK(healthy({of(25), of(72)}) == Loads{35, 65});
  CHECK(healthy({of(25), of(25)}) == Loads{50, 50});  // 70 together is made 100
  CHECK(healthy({of(100), of(100), of(100)}) == Loads{100, 0, 0});
  CHECK(healthy({of(50), of(50), of(0)}) == Loads{70, 30, 0});
  CHECK(healthy({of(25), of(25), of(100)}) == Loads{35, 35, 30});
}

TEST_CASE("degraded hosts take what healthy ones of all priorities cannot") {
  auto shares = sharesOf({of(0, 25), of(0, 25)}, 140, 50);
  CHECK(shares.loads.healthy == Loads{0, 0});
  CHECK(shares.loads.degraded == Loads{50, 50});
  shares = sharesOf({of(50, 25), of(0, 0)}, 140, 50);
  CHECK(shares.loads.healthy[0] == 70);
  CHECK(shares.loads.degraded[0] == 30);
  shares = sharesOf({of(25, 75), of(25, 75)}, 140, 50);
  CHECK(shares.loads.healthy == Loads{35, 35});
  CHECK(shares.loads.degraded == Loads{30, 0});
  CHECK(shares.panic == std::vector<bool>{false, false});
}

TEST_CASE("panic looks at each priority, and only when there is not enough health in all") {
  auto panic = [](std::vector<PriorityHealth> p, double threshold = 50) {
    return sharesOf(p, 140, threshold).panic;
  };
  CHECK(panic({of(72), of(72)}) == std::vector<bool>{false, false});
  CHECK(panic({of(5), of(65)}) == std::vector<bool>{true, false});   // 7 + 91
  CHECK(panic({of(5), of(72)}) == std::vector<bool>{false, false});  // 100 together
  CHECK(panic({of(49)}) == std::vector<bool>{true});
  CHECK(panic({of(50)}) == std::vector<bool>{false});
  CHECK(panic({of(20, 30)}) == std::vector<bool>{false});
  CHECK(panic({of(10)}, 0) == std::vector<bool>{false});
}

TEST_CASE("with nothing healthy, load goes by the number of hosts; threshold 0 gives nothing") {
  std::vector<PriorityHealth> none{{.hosts = 1}, {.hosts = 2}};
  auto shares = sharesOf(none, 140, 50);
  CHECK(shares.loads.healthy == Loads{34, 66});
  CHECK(shares.panic == std::vector<bool>{true, true});
  shares = sharesOf(none, 140, 0);
  CHECK(shares.loads.healthy == Loads{0, 0});
  CHECK(shares.panic == std::vector<bool>{false, false});
  CHECK(sharesOf({}, 140, 50).loads.healthy.empty());
  CHECK(sharesOf({{}}, 140, 50).loads.healthy == Loads{0});
}

TEST_CASE("excluded hosts do not count") {
  // Of ten hosts five are healthy and five excluded: as if all were healthy.
  auto shares = sharesOf({{.hosts = 10, .healthy = 5, .excluded = 5}, of(100)}, 140, 50);
  CHECK(shares.loads.healthy == Loads{100, 0});
  shares = sharesOf({{.hosts = 10, .excluded = 10}, of(100)}, 140, 50);
  CHECK(shares.loads.healthy == Loads{0, 100});
}

TEST_CASE("shares are 100 together, whatever the health, or nothing is healthy") {
  for (uint64_t a = 0; a <= 100; a += 3) {
    for (uint64_t b = 0; a + b <= 100; b += 7) {
      for (uint64_t c = 0; c <= 100; c += 11) {
        auto shares = sharesOf({of(a, b), of(c, 100 - c), of(b)}, 140, 50);
        int sum = 0;
        for (uint8_t load : shares.loads.healthy) sum += load;
        for (uint8_t load : shares.loads.degraded) sum += load;
        CHECK(sum == 100);
      }
    }
  }
}

TEST_CASE("priorities that were tried count as empty") {
  auto without = [](std::vector<bool> tried) {
    return sharesOf({of(100), of(50), of(100)}, 140, 50, tried).loads.healthy;
  };
  CHECK(without({true}) == Loads{0, 70, 30});
  CHECK(without({true, true}) == Loads{0, 0, 100});
  CHECK(without({true, true, true}) == Loads{0, 0, 0});
}
