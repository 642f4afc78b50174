// NativeCore of src/native/: a WorkerGroup as a JavaScript object. Main thread of its Node
// environment.
#pragma once

#include <napi.h>

namespace millrace {

// The function createCore(options) of the module.
Napi::Value createCore(const Napi::CallbackInfo& info);

}  // namespace millrace
