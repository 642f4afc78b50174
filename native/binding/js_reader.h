// From JavaScript values to plain C++ structs, with the path of whatever is wrong. The first
// mistake is kept and thrown by the caller as a TypeError; reading goes on without effect.
//
//   JsReader in(env);
//   in.read(value, spec);
//   if (!in.ok()) return in.throwIt();
//
// A struct is readable when there is `void readFields(JsReader& in, Struct& out)` that calls
// field() and optional(). Whatever JavaScript gives may run code when it is asked (getters,
// proxies): what that throws is thrown on, and no size that it claims is believed. Main thread.
#pragma once

#include <napi.h>

#include <cmath>
#include <concepts>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace millrace {

class JsReader {
 public:
  // Values within values; beyond, one may hold itself.
  static constexpr uint32_t kMaxDepth = 100;

  explicit JsReader(Napi::Env env) : env_(env) {}
  bool ok() const { return error_.empty() && !thrown_; }
  void throwIt() const {
    if (thrown_) return;  // by the value itself, and on its way
    Napi::TypeError error = Napi::TypeError::New(env_, error_);
    error.Set("code", Napi::String::New(env_, "ERR_MILLRACE_NATIVE_ARGUMENT"));
    error.ThrowAsJavaScriptException();
  }
  // What is wrong with the value that is being read.
  void fail(const std::string& what) {
    if (!ok()) return;
    error_ = (path_.empty() ? std::string("value") : path_) + ": " + what;
  }

  // A property of the object that is being read; it must be there.
  template <typename T>
  void field(const char* name, T& out) {
    property(name, out, true);
  }
  // As field(); absent or undefined leaves `out` as it is.
  template <typename T>
  void optional(const char* name, T& out) {
    property(name, out, false);
  }
  // A property whose text is one of `names`, in the order of the enumerators of E.
  template <typename E>
  void choice(const char* name, std::initializer_list<const char*> names, E& out) {
    std::string text;
    field(name, text);
    if (!ok()) return;
    int i = 0;
    for (const char* known : names) {
      if (text == known) {
        out = E(i);
        return;
      }
      i++;
    }
    fail(std::string(name) + ": unknown value \"" + text + "\"");
  }
  // The text of a property, to decide what else to read; empty when it is not there.
  std::string kind(const char* name = "kind") {
    std::string text;
    optional(name, text);
    return text;
  }
  bool has(const char* name) {
    Napi::Value value = get(object_, name);
    return ok() && !value.IsUndefined();
  }
  bool isNumber(const char* name) {
    Napi::Value value = get(object_, name);
    return ok() && value.IsNumber();
  }
  // A property or an element. Empty, and not ok(), when asking for it threw.
  template <typename Key>
  Napi::Value get(const Napi::Object& object, Key key) {
    if (!ok()) return {};
    Napi::Value value = object.Get(key);
    thrown_ = value.IsEmpty() || env_.IsExceptionPending();
    return thrown_ ? Napi::Value() : value;
  }
  // The elements of an array, one after the other, until one is wrong.
  template <typename F>
  void elements(const Napi::Value& value, F each) {
    if (!ok()) return;
    if (!value.IsArray()) return fail("an array is wanted");
    auto array = value.As<Napi::Array>();
    uint32_t size = array.Length();
    for (uint32_t i = 0; i < size && ok(); i++) {
      Napi::HandleScope scope(env_);
      Step step(*this, "[" + std::to_string(i) + "]");
      Napi::Value element = get(array, i);
      if (ok()) each(element);
    }
  }
  // The same of a property of the object that is being read.
  template <typename F>
  void elementsOf(const char* name, F each) {
    Step step(*this, path_.empty() ? name : "." + std::string(name));
    elements(get(object_, name), each);
  }

  void read(const Napi::Value& value, std::string& out) {
    if (!ok()) return;
    if (!value.IsString()) return fail("a string is wanted");
    out = value.As<Napi::String>().Utf8Value();
  }
  void read(const Napi::Value& value, bool& out) {
    if (!ok()) return;
    if (!value.IsBoolean()) return fail("a boolean is wanted");
    out = value.As<Napi::Boolean>().Value();
  }
  void read(const Napi::Value& value, double& out) {
    if (!ok()) return;
    if (!value.IsNumber()) return fail("a number is wanted");
    out = value.As<Napi::Number>().DoubleValue();
  }
  template <std::integral T>
  void read(const Napi::Value& value, T& out) {
    double number = 0;
    read(value, number);
    if (!ok()) return;
    // 2^53: beyond, a JavaScript number is no longer exact.
    double low = std::max(double(std::numeric_limits<T>::min()), -9007199254740991.0);
    double high = std::min(double(std::numeric_limits<T>::max()), 9007199254740991.0);
    if (std::floor(number) != number || number < low || number > high) {
      return fail("an integer in range is wanted");
    }
    out = T(number);
  }
  template <typename T>
  void read(const Napi::Value& value, std::optional<T>& out) {
    read(value, out.emplace());
  }
  template <typename T>
  void read(const Napi::Value& value, std::vector<T>& out) {
    if (!ok()) return;
    if constexpr (std::integral<T>) {
      if (value.IsTypedArray()) return readTyped(value, out);
    }
    elements(value, [&](const Napi::Value& element) { read(element, out.emplace_back()); });
  }
  template <typename A, typename B>
  void read(const Napi::Value& value, std::pair<A, B>& out) {
    if (!ok()) return;
    if (!value.IsArray() || value.As<Napi::Array>().Length() != 2) {
      return fail("an array of two is wanted");
    }
    auto array = value.As<Napi::Array>();
    read(get(array, 0u), out.first);
    read(get(array, 1u), out.second);
  }
  template <typename T>
    requires std::is_class_v<T>
  void read(const Napi::Value& value, T& out) {
    if (!ok()) return;
    if (!value.IsObject()) return fail("an object is wanted");
    if (depth_ == kMaxDepth) return fail("is nested too deeply");
    Napi::Object outer = std::exchange(object_, value.As<Napi::Object>());
    depth_++;
    readFields(*this, out);
    depth_--;
    object_ = outer;
  }
  Napi::Env env() const { return env_; }

 private:
  class Step {
   public:
    Step(JsReader& in, const std::string& step) : in_(in), size_(in.path_.size()) {
      in_.path_ += step;
    }
    ~Step() { in_.path_.resize(size_); }

   private:
    JsReader& in_;
    size_t size_;
  };
  template <typename T>
  void property(const char* name, T& out, bool required) {
    if (!ok()) return;
    Step step(*this, path_.empty() ? name : "." + std::string(name));
    Napi::Value value = get(object_, name);
    if (!ok()) return;
    if (value.IsUndefined()) {
      if (required) fail("is missing");
      return;
    }
    read(value, out);
  }
  template <typename T>
  void readTyped(const Napi::Value& value, std::vector<T>& out) {
    napi_typedarray_type type;
    size_t length = 0;
    void* data = nullptr;
    // Also of shared memory, and of a buffer that was given away: that one has no elements.
    if (napi_get_typedarray_info(env_, value, &type, &length, &data, nullptr, nullptr) != napi_ok ||
        widthOf(type) != sizeof(T)) {
      return fail("a typed array of integers of another width is wanted");
    }
    if (data == nullptr) length = 0;
    out.resize(length);
    if (length > 0) std::memcpy(out.data(), data, length * sizeof(T));
  }
  // 0: not of integers.
  static size_t widthOf(napi_typedarray_type type) {
    switch (type) {
      case napi_int8_array:
      case napi_uint8_array:
      case napi_uint8_clamped_array:
        return 1;
      case napi_int16_array:
      case napi_uint16_array:
        return 2;
      case napi_int32_array:
      case napi_uint32_array:
        return 4;
      case napi_bigint64_array:
      case napi_biguint64_array:
        return 8;
      default:
        return 0;
    }
  }

  Napi::Env env_;
  Napi::Object object_;
  std::string path_, error_;
  bool thrown_ = false;
  uint32_t depth_ = 0;
};

}  // namespace millrace
