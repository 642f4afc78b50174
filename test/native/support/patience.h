// How long a test waits for what must come: it decides nothing but how soon a fault is told, so it
// is one for all, and long enough for a busy machine.
#pragma once

namespace millrace {

constexpr int kPatienceMs = 60'000;

}  // namespace millrace
