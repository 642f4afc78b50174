// From JavaScript values to plain C++ structs, with the path of whatever is wrong. The first
// mistake is kept and thrown by the caller as a TypeError; reading goes on without effect.
//
//   JsReader in(env);
//   in.read(value, spec);
//   if (!in.ok()) return in.throwIt();
//
// A struct is readable when there is `void readFields(JsReader& in, Struct& out)` that calls
// field() and optional(). Main thread.
#pragma once

#include <napi.h>

#include <cmath>
#include <concepts>
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
  explicit JsReader(Napi::Env env) : env_(env) {}
  bool ok() const { return error_.empty(); }
  void throwIt() const {
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
  bool has(const char* name) const { return !object_.Get(name).IsUndefined(); }

  void read(const Napi::Value& value, std::string& out) {
    if (!value.IsString()) return fail("a string is wanted");
    out = value.As<Napi::String>().Utf8Value();
  }
  void read(const Napi::Value& value, bool& out) {
    if (!value.IsBoolean()) return fail("a boolean is wanted");
    out = value.As<Napi::Boolean>().Value();
  }
  void read(const Napi::Value& value, double& out) {
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
    if constexpr (std::integral<T>) {
      if (value.IsTypedArray()) return readTyped(value, out);
    }
    if (!value.IsArray()) return fail("an array is wanted");
    auto array = value.As<Napi::Array>();
    uint32_t size = array.Length();
    out.resize(size);
    for (uint32_t i = 0; i < size && ok(); i++) {
      Napi::HandleScope scope(env_);
      Step step(*this, "[" + std::to_string(i) + "]");
      read(array.Get(i), out[i]);
    }
  }
  template <typename A, typename B>
  void read(const Napi::Value& value, std::pair<A, B>& out) {
    if (!value.IsArray() || value.As<Napi::Array>().Length() != 2) {
      return fail("an array of two is wanted");
    }
    read(value.As<Napi::Array>().Get(0u), out.first);
    read(value.As<Napi::Array>().Get(1u), out.second);
  }
  template <typename T>
    requires std::is_class_v<T>
  void read(const Napi::Value& value, T& out) {
    if (!value.IsObject()) return fail("an object is wanted");
    Napi::Object outer = std::exchange(object_, value.As<Napi::Object>());
    readFields(*this, out);
    object_ = outer;
  }
  const Napi::Object& object() const { return object_; }
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
    Napi::Value value = object_.Get(name);
    if (value.IsUndefined()) {
      if (required) fail("is missing");
      return;
    }
    read(value, out);
  }
  template <typename T>
  void readTyped(const Napi::Value& value, std::vector<T>& out) {
    auto array = value.As<Napi::TypedArray>();
    if (array.ElementSize() != sizeof(T)) return fail("a typed array of another width is wanted");
    const char* data = static_cast<const char*>(array.ArrayBuffer().Data()) + array.ByteOffset();
    out.resize(array.ElementLength());
    if (!out.empty()) std::memcpy(out.data(), data, array.ByteLength());
  }

  Napi::Env env_;
  Napi::Object object_;
  std::string path_, error_;
};

}  // namespace millrace
