// Errors below binding/: a code, a text that names what failed, and errno where the kernel said it.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "base/assert.h"

namespace millrace {

// `code` is stable and becomes the JavaScript error's code ("ERR_MILLRACE_…"); `sysErrno` is 0
// where none applies.
struct Error {
  const char* code = "ERR_MILLRACE_INTERNAL";
  std::string message;
  int sysErrno = 0;
};

// A value or an Error. Movable, thread-compatible.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : v_(std::move(value)) {}      // NOLINT: implicit by design, `return value;`
  Result(Error error) : v_(std::move(error)) {}  // NOLINT: implicit by design, `return Error{…};`
  bool ok() const { return v_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() {
    MR_ASSERT(ok());
    return *std::get_if<0>(&v_);
  }
  const T& value() const {
    MR_ASSERT(ok());
    return *std::get_if<0>(&v_);
  }
  const Error& error() const {
    MR_ASSERT(!ok());
    return *std::get_if<1>(&v_);
  }
  T& operator*() { return value(); }
  T* operator->() { return &value(); }

 private:
  std::variant<T, Error> v_;
};

// Success or an Error.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : failed_(true), error_(std::move(error)) {}  // NOLINT: implicit by design
  bool ok() const { return !failed_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const {
    MR_ASSERT(failed_);
    return error_;
  }

 private:
  bool failed_ = false;
  Error error_;
};

}  // namespace millrace
