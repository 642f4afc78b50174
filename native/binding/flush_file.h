// NativeFlushFile of src/native/flush.ts: a FlushWriter as a JavaScript object. Any Node
// environment (the main thread, worker_threads); an object belongs to the thread that made it.
#pragma once

#include <napi.h>

namespace millrace {

// The functions openFlushFile(options, onNotice), attachFlushFile(number, onNotice) and
// watchEndingSignals() of the module.
Napi::Value openFlushFile(const Napi::CallbackInfo& info);
Napi::Value attachFlushFile(const Napi::CallbackInfo& info);
Napi::Value watchEndingSignals(const Napi::CallbackInfo& info);

}  // namespace millrace
