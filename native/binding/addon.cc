// The module that src/native/ loads.

#include <napi.h>
#include <unistd.h>

#include <cstdlib>
#include <iterator>

#include "base/scan.h"
#include "binding/core.h"
#include "binding/flush_file.h"
#include "binding/native_class.h"
#include "binding/slots.h"

#ifndef MILLRACE_VERSION
#define MILLRACE_VERSION "0.0.0-dev"
#endif

namespace millrace {

namespace {

Napi::Array cpuFeatures(Napi::Env env) {
  Napi::Array features = Napi::Array::New(env);
  uint32_t i = 0;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) features.Set(i++, "sse4.2");
  if (__builtin_cpu_supports("avx2")) features.Set(i++, "avx2");
#elif defined(__aarch64__)
  features.Set(i++, "neon");
#endif
  return features;
}

// endProcess(code): ends the process without its exit handlers. libuv's waits for every thread of
// its pool, and one that reads from a mount that hangs never comes back. Main thread; whoever calls
// has written out what there was to write.
Napi::Value endProcess(const Napi::CallbackInfo& info) {
  const bool given = info.Length() > 0 && info[0].IsNumber();
  ::_exit(given ? info[0].As<Napi::Number>().Int32Value() : EXIT_FAILURE);
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  if (!AddonState::begin(env)) return exports;
  exports.Set("version", Napi::String::New(env, MILLRACE_VERSION));
  exports.Set("cpuFeatures", cpuFeatures(env));
  exports.Set("createCore", Napi::Function::New<createCore>(env, "createCore"));
  exports.Set("openFlushFile", Napi::Function::New<openFlushFile>(env, "openFlushFile"));
  exports.Set("attachFlushFile", Napi::Function::New<attachFlushFile>(env, "attachFlushFile"));
  exports.Set("watchEndingSignals",
              Napi::Function::New<watchEndingSignals>(env, "watchEndingSignals"));
  exports.Set("endProcess", Napi::Function::New<endProcess>(env, "endProcess"));
  napi_property_descriptor slots[] = {
      {"createSlotTable", nullptr, createSlotTable, nullptr, nullptr, nullptr, napi_default,
       nullptr},
      {"attachSlotTable", nullptr, attachSlotTable, nullptr, nullptr, nullptr, napi_default,
       nullptr},
  };
  napi_define_properties(env, exports, std::size(slots), slots);
  return exports;
}

}  // namespace

NODE_API_MODULE(NODE_GYP_MODULE_NAME, init)

}  // namespace millrace
