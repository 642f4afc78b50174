// Something that must stop when its Node environment ends: the main thread's at the end of the
// process, a worker_thread's when it exits or is terminated, at whatever moment.
#pragma once

#include <napi.h>

#include <functional>
#include <utility>

namespace millrace {

// Calls `fn` when the environment ends, before Node frees what was made in it earlier than this;
// thread-safe functions made before are then still there to be released. `fn` must not run
// JavaScript. Forgets it when destroyed. Main thread of the environment.
class EnvEnd {
 public:
  EnvEnd() = default;
  ~EnvEnd() { forget(); }
  EnvEnd(const EnvEnd&) = delete;
  EnvEnd& operator=(const EnvEnd&) = delete;

  void set(napi_env env, std::function<void()> fn) {
    forget();
    fn_ = std::move(fn);
    if (napi_add_env_cleanup_hook(env, run, this) == napi_ok) env_ = env;
  }
  void forget() {
    if (env_ != nullptr) napi_remove_env_cleanup_hook(env_, run, this);
    env_ = nullptr;
  }

 private:
  static void run(void* arg) {
    auto* self = static_cast<EnvEnd*>(arg);
    self->env_ = nullptr;  // the hook is gone
    self->fn_();
  }
  napi_env env_ = nullptr;
  std::function<void()> fn_;
};

}  // namespace millrace
