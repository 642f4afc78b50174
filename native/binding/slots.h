// NativeTable of src/native/: one thread's part in a shared slot table, as a JavaScript object.
#pragma once

#include <napi.h>

namespace millrace {

// The functions createSlotTable(thread, name) and attachSlotTable(id, key, thread, name) of the
// module.
napi_value createSlotTable(napi_env env, napi_callback_info info);
napi_value attachSlotTable(napi_env env, napi_callback_info info);

}  // namespace millrace
