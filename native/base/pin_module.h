// For a thread that is left behind, because what it waits for may never come.
#pragma once

namespace millrace {

// Keeps the shared library that this code is in mapped until the process ends, whoever unloads it:
// Node unloads an addon with the last worker_thread that loaded it. Any thread.
void pinModule();

}  // namespace millrace
