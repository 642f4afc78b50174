// One call from JavaScript, on Node-API itself. For objects that live in worker_threads, which end
// at any moment: every call into an environment that ends may be refused, and where the C++ wrapper
// cannot make an error of that it ends the process. Here a refusal is an empty result.
#pragma once

#include <napi.h>

#include <cmath>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace millrace {

// Main thread of the environment; on the stack.
class NapiCall {
 public:
  NapiCall(napi_env env, napi_callback_info info) : env_(env) {
    if (napi_get_cb_info(env, info, &count_, arguments_, &self_, nullptr) != napi_ok) count_ = 0;
  }
  NapiCall(const NapiCall&) = delete;
  NapiCall& operator=(const NapiCall&) = delete;

  napi_env env() const { return env_; }
  napi_value self() const { return self_; }  // `this`
  // Null: not given.
  napi_value operator[](size_t index) const { return index < count_ ? arguments_[index] : nullptr; }

  // An integer that JavaScript numbers hold exactly; false: it is none.
  bool integer(size_t index, uint64_t& out) const {
    double value;
    if (!is(index, napi_number) || napi_get_value_double(env_, (*this)[index], &value) != napi_ok) {
      return false;
    }
    if (!(value >= 0 && value <= 9007199254740991.0) || std::floor(value) != value) return false;
    out = uint64_t(value);
    return true;
  }
  bool text(size_t index, std::string& out) const {
    napi_value value = (*this)[index];
    size_t size;
    if (!is(index, napi_string) ||
        napi_get_value_string_utf8(env_, value, nullptr, 0, &size) != napi_ok) {
      return false;
    }
    out.resize(size);
    return napi_get_value_string_utf8(env_, value, out.data(), size + 1, &size) == napi_ok;
  }
  bool is(size_t index, napi_valuetype wanted) const {
    napi_valuetype type;
    napi_value value = (*this)[index];
    return value != nullptr && napi_typeof(env_, value, &type) == napi_ok && type == wanted;
  }
  // A typed array of that kind, as its elements.
  template <typename T>
  static bool view(napi_env env, napi_value value, napi_typedarray_type wanted, std::span<T>& out) {
    bool isView = false;
    napi_typedarray_type type;
    size_t length;
    void* data;
    if (value == nullptr || napi_is_typedarray(env, value, &isView) != napi_ok || !isView ||
        napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok ||
        type != wanted) {
      return false;
    }
    out = {static_cast<T*>(data), length};
    return true;
  }

  // What a method returns.
  napi_value number(double value) const {
    napi_value result = nullptr;
    napi_create_double(env_, value, &result);
    return result;
  }
  napi_value boolean(bool value) const {
    napi_value result = nullptr;
    napi_get_boolean(env_, value, &result);
    return result;
  }
  napi_value string(const std::string& value) const {
    napi_value result = nullptr;
    napi_create_string_utf8(env_, value.data(), value.size(), &result);
    return result;
  }
  napi_value fail(const Error& error) const {
    napi_throw_error(env_, error.code, error.message.c_str());
    return nullptr;
  }
  napi_value failArgument(const char* message) const {
    return fail({"ERR_MILLRACE_NATIVE_ARGUMENT", message, 0});
  }
  void set(napi_value object, const char* name, napi_value value) const {
    if (object != nullptr && value != nullptr) {
      napi_set_named_property(env_, object, name, value);
    }
  }

 private:
  static constexpr size_t kMaxArguments = 4;
  napi_env env_;
  napi_value self_ = nullptr;
  size_t count_ = kMaxArguments;
  napi_value arguments_[kMaxArguments] = {};
};

}  // namespace millrace
