// The class behind NativeCore: what its methods (core.cc, core_figures.cc) share. Main thread of
// its Node environment.
#pragma once

#include <napi.h>

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "binding/env_end.h"
#include "binding/js_promise.h"
#include "binding/js_reader.h"
#include "binding/read_spec.h"
#include "worker/worker_group.h"

namespace millrace {

// An Error with the code, and errno's number where the kernel said it.
inline void throwError(Napi::Env env, const Error& error) {
  Napi::Error e = Napi::Error::New(env, error.message);
  e.Set("code", Napi::String::New(env, error.code));
  if (error.sysErrno != 0) e.Set("errno", Napi::Number::New(env, error.sysErrno));
  e.ThrowAsJavaScriptException();
}

inline void throwArgument(Napi::Env env, const char* message) {
  throwError(env, {"ERR_MILLRACE_NATIVE_ARGUMENT", message, 0});
}

inline Napi::Number number(Napi::Env env, double value) {
  return Napi::Number::New(env, value);
}

class Core final {
 public:
  static constexpr const char* kName = "NativeCore";
  static std::span<const napi_property_descriptor> methods();
  explicit Core(Napi::Env env) : env_(env) {}
  ~Core() { release(); }
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;
  // Once; no other method is called before.
  bool begin(const Napi::CallbackInfo& info);

 private:
  void release();
  static Napi::Value stoppedError(Napi::Env env);
  void tell(Napi::FunctionReference& listener);
  void report(const WorkerGroup::Options::Event& event);
  // Reads argument `index`; false when it was wrong and the error is thrown.
  template <typename T>
  bool argument(const Napi::CallbackInfo& info, size_t index, T& out) {
    JsReader in(info.Env());
    in.read(info[index], out);
    if (!in.ok()) in.throwIt();
    return in.ok();
  }
  Napi::Value texts(Napi::Env env, Result<std::vector<std::string>> list);
  void done(Napi::Env env, const Status& status) {
    if (!status.ok()) throwError(env, status.error());
  }

  void start(const Napi::CallbackInfo&) { group_->start(); }
  void beginStop(const Napi::CallbackInfo& info);
  Napi::Value stop(const Napi::CallbackInfo& info);
  Napi::Value published(const Napi::CallbackInfo& info);
  Napi::Value allocateSlot(const Napi::CallbackInfo& info);
  void releaseSlot(const Napi::CallbackInfo& info);
  void publishRoutes(const Napi::CallbackInfo& info);
  void publishCluster(const Napi::CallbackInfo& info);
  void updateHosts(const Napi::CallbackInfo& info);
  Napi::Value addressProblem(const Napi::CallbackInfo& info);
  void hold(const Napi::CallbackInfo& info);
  void resume(const Napi::CallbackInfo& info);
  void reweigh(const Napi::CallbackInfo& info);
  void setLocalCluster(const Napi::CallbackInfo& info);
  void withdrawCluster(const Napi::CallbackInfo& info);
  void publishDirectory(const Napi::CallbackInfo& info);
  void publishRuntime(const Napi::CallbackInfo& info);
  void publishDate(const Napi::CallbackInfo& info);
  Napi::Value openLog(const Napi::CallbackInfo& info);
  void closeLog(const Napi::CallbackInfo& info);
  void rotateLog(const Napi::CallbackInfo& info);
  Napi::Value reopenLogs(const Napi::CallbackInfo& info);
  Napi::Value logStats(const Napi::CallbackInfo& info);
  Napi::Value addListener(const Napi::CallbackInfo& info);
  Napi::Value bindSockets(const Napi::CallbackInfo& info);
  void useSockets(const Napi::CallbackInfo& info);
  void dropSockets(const Napi::CallbackInfo& info);
  void updateListener(const Napi::CallbackInfo& info);
  void drainListener(const Napi::CallbackInfo& info);
  void removeListener(const Napi::CallbackInfo& info);
  void drainAll(const Napi::CallbackInfo& info);
  void setHealthFailed(const Napi::CallbackInfo& info);
  Napi::Value workerStats(const Napi::CallbackInfo& info);
  Napi::Value readStats(const Napi::CallbackInfo& info);
  Napi::Value clusterHosts(const Napi::CallbackInfo& info);
  Napi::Value takeOutlierEvents(const Napi::CallbackInfo& info);
  Napi::Value takeWantedHosts(const Napi::CallbackInfo& info);
  void refuseHosts(const Napi::CallbackInfo& info);
  Napi::Value takeUsedHosts(const Napi::CallbackInfo& info);
  Napi::Value waiting(const Napi::CallbackInfo& info);
  Napi::Value outlierWindow(const Napi::CallbackInfo& info);
  void resetOutliers(const Napi::CallbackInfo& info);
  Napi::Value connectionCount(const Napi::CallbackInfo& info);
  Napi::Value socketCount(const Napi::CallbackInfo& info);
  Napi::Value listenerConnections(const Napi::CallbackInfo& info);
  void resetCounters(const Napi::CallbackInfo&) { group_->resetCounters(); }

  std::unique_ptr<WorkerGroup> group_;
  Napi::FunctionReference onEvent_, onOutlier_, onHostsWanted_, onLogsWritten_;
  napi_threadsafe_function turn_ = nullptr;
  // Who waits for the workers, by number.
  std::map<uint64_t, JsPromise> published_;
  uint64_t nextPublished_ = 0;
  napi_env env_;
  EnvEnd end_;
};

}  // namespace millrace
