// A promise for JavaScript, made by the addon. Unlike Napi::Promise::Deferred it is also sound in
// an environment that ends, where none can be made.
#pragma once

#include <napi.h>

#include <utility>

namespace millrace {

// Settled at most once; one that never is, is dropped with its environment. Main thread.
class JsPromise {
 public:
  JsPromise() = default;
  explicit JsPromise(Napi::Env env) : env_(env) {
    if (napi_create_promise(env, &deferred_, &promise_) == napi_ok) return;
    deferred_ = nullptr;
    promise_ = nullptr;
  }
  JsPromise(JsPromise&& other) noexcept { *this = std::move(other); }
  JsPromise& operator=(JsPromise&& other) noexcept {
    env_ = other.env_;
    deferred_ = std::exchange(other.deferred_, nullptr);
    promise_ = std::exchange(other.promise_, nullptr);
    return *this;
  }

  bool pending() const { return deferred_ != nullptr; }
  void resolve(napi_value value) {
    if (napi_deferred d = std::exchange(deferred_, nullptr)) napi_resolve_deferred(env_, d, value);
  }
  void reject(napi_value reason) {
    if (napi_deferred d = std::exchange(deferred_, nullptr)) napi_reject_deferred(env_, d, reason);
  }
  // Valid only in the call that made it; empty where none could be made.
  Napi::Value promise() const { return {env_, promise_}; }

 private:
  napi_env env_ = nullptr;
  napi_deferred deferred_ = nullptr;
  napi_value promise_ = nullptr;
};

}  // namespace millrace
