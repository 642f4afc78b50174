#include "binding/core.h"

#include <span>
#include <utility>

#include "binding/core_class.h"
#include "binding/flush_rotation.h"
#include "binding/native_class.h"

namespace millrace {

std::span<const napi_property_descriptor> Core::methods() {
  using Class = NativeClass<Core>;
  static const napi_property_descriptor kMethods[] = {
      Class::method<&Core::start>("start"),
      Class::method<&Core::beginStop>("beginStop"),
      Class::method<&Core::stop>("stop"),
      Class::method<&Core::published>("published"),
      Class::method<&Core::hold>("hold"),
      Class::method<&Core::resume>("resume"),
      Class::method<&Core::allocateSlot>("allocateSlot"),
      Class::method<&Core::releaseSlot>("releaseSlot"),
      Class::method<&Core::publishRoutes>("publishRoutes"),
      Class::method<&Core::publishCluster>("publishCluster"),
      Class::method<&Core::updateHosts>("updateHosts"),
      Class::method<&Core::addressProblem>("addressProblem"),
      Class::method<&Core::reweigh>("reweigh"),
      Class::method<&Core::setLocalCluster>("setLocalCluster"),
      Class::method<&Core::withdrawCluster>("withdrawCluster"),
      Class::method<&Core::publishDirectory>("publishDirectory"),
      Class::method<&Core::publishRuntime>("publishRuntime"),
      Class::method<&Core::publishDate>("publishDate"),
      Class::method<&Core::openLog>("openLog"),
      Class::method<&Core::closeLog>("closeLog"),
      Class::method<&Core::rotateLog>("rotateLog"),
      Class::method<&Core::reopenLogs>("reopenLogs"),
      Class::method<&Core::logStats>("logStats"),
      Class::method<&Core::addListener>("addListener"),
      Class::method<&Core::bindSockets>("bindSockets"),
      Class::method<&Core::useSockets>("useSockets"),
      Class::method<&Core::dropSockets>("dropSockets"),
      Class::method<&Core::updateListener>("updateListener"),
      Class::method<&Core::drainListener>("drainListener"),
      Class::method<&Core::removeListener>("removeListener"),
      Class::method<&Core::drainAll>("drainAll"),
      Class::method<&Core::setHealthFailed>("setHealthFailed"),
      Class::method<&Core::workerStats>("workerStats"),
      Class::method<&Core::readStats>("readStats"),
      Class::method<&Core::clusterHosts>("clusterHosts"),
      Class::method<&Core::takeOutlierEvents>("takeOutlierEvents"),
      Class::method<&Core::takeWantedHosts>("takeWantedHosts"),
      Class::method<&Core::refuseHosts>("refuseHosts"),
      Class::method<&Core::takeUsedHosts>("takeUsedHosts"),
      Class::method<&Core::waiting>("waiting"),
      Class::method<&Core::outlierWindow>("outlierWindow"),
      Class::method<&Core::resetOutliers>("resetOutliers"),
      Class::method<&Core::connectionCount>("connectionCount"),
      Class::method<&Core::socketCount>("socketCount"),
      Class::method<&Core::listenerConnections>("listenerConnections"),
      Class::method<&Core::resetCounters>("resetCounters"),
  };
  return kMethods;
}

namespace {

struct CoreOptions {
  uint32_t concurrency = 0;
  bool sharePorts = false;
};

void readFields(JsReader& in, CoreOptions& out) {
  in.field("concurrency", out.concurrency);
  in.optional("sharePorts", out.sharePorts);
  if (in.ok() && (out.concurrency == 0 || out.concurrency > 1024)) {
    in.fail("concurrency: 1 to 1024 is wanted");
  }
}

}  // namespace

// False: an error is thrown, or the environment ends.
bool Core::begin(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  CoreOptions options;
  if (!argument(info, 0, options)) return false;
  JsReader in(env);
  const std::pair<const char*, Napi::FunctionReference*> listeners[] = {
      {"onEvent", &onEvent_}, {"onOutlier", &onOutlier_}, {"onHostsWanted", &onHostsWanted_}};
  for (auto [name, kept] : listeners) {
    Napi::Value given = in.get(info[0].As<Napi::Object>(), name);
    if (!in.ok()) return false;
    if (given.IsFunction()) *kept = Napi::Persistent(given.As<Napi::Function>());
  }
  napi_status made = napi_create_threadsafe_function(
      env, nullptr, nullptr, Napi::String::New(env, "millrace"), 0, 1, nullptr, nullptr, this,
      [](napi_env env, napi_value, void* context, void*) {
        if (env == nullptr) return;  // released: the queue is emptied, and the core is gone
        auto* core = static_cast<Core*>(context);
        if (core->group_ != nullptr) core->group_->turn();
      },
      &turn_);
  if (made != napi_ok) {
    turn_ = nullptr;
    throwError(env, {"ERR_MILLRACE_NATIVE", "cannot make a thread-safe function", 0});
    return false;
  }
  // It does not keep the process alive: whoever embeds a proxy decides that.
  napi_unref_threadsafe_function(env, turn_);
  auto group = WorkerGroup::create(
      {.concurrency = options.concurrency,
       .wakeMain =
           [turn = turn_] { napi_call_threadsafe_function(turn, nullptr, napi_tsfn_nonblocking); },
       .onEvent = [this](const WorkerGroup::Options::Event& event) { report(event); },
       .onOutlier = [this] { tell(onOutlier_); },
       .onHostsWanted = [this] { tell(onHostsWanted_); },
       .onLogsWritten = [this] { tell(onLogsWritten_); },
       .sharePorts = options.sharePorts});
  if (!group) {
    throwError(env, group.error());
    return false;
  }
  group_ = std::move(*group);
  end_.set(env, [this] { release(); });
  return true;
}

// Runs no JavaScript: it may be the end of the environment, or a finalizer.
void Core::release() {
  end_.forget();
  onEvent_.Reset();
  onOutlier_.Reset();
  onHostsWanted_.Reset();
  onLogsWritten_.Reset();
  published_.clear();
  group_.reset();
  if (turn_ != nullptr) napi_release_threadsafe_function(turn_, napi_tsfn_abort);
  turn_ = nullptr;
}

void Core::report(const WorkerGroup::Options::Event& event) {
  if (onEvent_.IsEmpty()) return;
  Napi::Env env = onEvent_.Env();
  Napi::HandleScope scope(env);
  static constexpr const char* kKinds[] = {"log-failing", "log-recovered", "log-reopen-failed",
                                           "log-rotate-failed", "accept-paused"};
  Napi::Object e = Napi::Object::New(env);
  e.Set("kind", kKinds[int(event.kind)]);
  e.Set("subject", event.subject);
  e.Set("message", event.message);
  onEvent_.MakeCallback(env.Global(), {e});
}

// There is something to be taken.
void Core::tell(Napi::FunctionReference& listener) {
  if (listener.IsEmpty()) return;
  Napi::HandleScope scope(listener.Env());
  listener.MakeCallback(listener.Env().Global(), {});
}

Napi::Value Core::stoppedError(Napi::Env env) {
  Napi::Error stopped = Napi::Error::New(env, "the workers were stopped");
  stopped.Set("code", Napi::String::New(env, "ERR_MILLRACE_CLOSED"));
  return stopped.Value();
}

void Core::beginStop(const Napi::CallbackInfo& info) {
  uint32_t deadline = 0;
  if (!argument(info, 0, deadline)) return;
  if (info[1].IsFunction()) onLogsWritten_ = Napi::Persistent(info[1].As<Napi::Function>());
  group_->beginStop(deadline);
  for (auto& [id, waiting] : std::exchange(published_, {})) {
    waiting.reject(stoppedError(info.Env()));
  }
}

Napi::Value Core::stop(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  uint32_t deadline = 0;
  if (!argument(info, 0, deadline)) return env.Undefined();
  WorkerGroup::StopReport report = group_->stop(deadline);
  Napi::Object result = Napi::Object::New(env);
  result.Set("connectionsCut", number(env, report.connectionsCut));
  Napi::Array lost = Napi::Array::New(env);
  for (size_t i = 0; i < report.logsLost.size(); i++) {
    Napi::Object log = Napi::Object::New(env);
    log.Set("target", report.logsLost[i].target);
    log.Set("lines", number(env, double(report.logsLost[i].lines)));
    log.Set("bytes", number(env, double(report.logsLost[i].bytes)));
    lost.Set(uint32_t(i), log);
  }
  result.Set("logsLost", lost);
  for (auto& [id, waiting] : std::exchange(published_, {})) {
    waiting.reject(stoppedError(env));
  }
  napi_unref_threadsafe_function(env, turn_);
  // It holds whoever holds this object: without it, both can be collected.
  onEvent_.Reset();
  onOutlier_.Reset();
  onHostsWanted_.Reset();
  onLogsWritten_.Reset();
  JsPromise promise(env);
  promise.resolve(result);
  return promise.promise();
}

Napi::Value Core::published(const Napi::CallbackInfo& info) {
  if (group_->stopped()) {
    JsPromise refused(info.Env());
    refused.reject(stoppedError(info.Env()));
    return refused.promise();
  }
  uint64_t id = nextPublished_++;
  // Whoever waits is told, even if nothing else keeps the process alive.
  napi_ref_threadsafe_function(env_, turn_);
  auto [entry, added] = published_.emplace(id, JsPromise(info.Env()));
  Napi::Value promise = entry->second.promise();
  group_->whenTaken([this, id] {
    auto waiting = published_.extract(id);
    if (waiting.empty()) return;
    if (published_.empty()) napi_unref_threadsafe_function(env_, turn_);
    Napi::Env env(env_);
    Napi::HandleScope scope(env);
    waiting.mapped().resolve(env.Undefined());
  });
  return promise;
}

// ---- Snapshots ----------------------------------------------------------------------------------

Napi::Value Core::allocateSlot(const Napi::CallbackInfo& info) {
  std::string name;
  if (!argument(info, 0, name)) return info.Env().Undefined();
  auto slot = group_->allocateSlot(name);
  if (!slot) {
    throwError(info.Env(), slot.error());
    return info.Env().Undefined();
  }
  return number(info.Env(), *slot);
}

void Core::releaseSlot(const Napi::CallbackInfo& info) {
  SlotId slot = kNoSlot;
  if (argument(info, 0, slot)) done(info.Env(), group_->releaseSlot(slot));
}

void Core::hold(const Napi::CallbackInfo&) {
  group_->hold();
}

void Core::resume(const Napi::CallbackInfo&) {
  group_->resume();
}

void Core::publishRoutes(const Napi::CallbackInfo& info) {
  SlotId slot = kNoSlot;
  spec::RouteTable table;
  if (!argument(info, 0, slot) || !argument(info, 1, table)) return;
  done(info.Env(), group_->publishRoutes(slot, std::move(table)));
}

void Core::publishCluster(const Napi::CallbackInfo& info) {
  SlotId slot = kNoSlot;
  spec::Cluster cluster;
  if (!argument(info, 0, slot) || !argument(info, 1, cluster)) return;
  done(info.Env(), group_->publishCluster(slot, cluster));
}

void Core::updateHosts(const Napi::CallbackInfo& info) {
  SlotId slot = kNoSlot;
  spec::HostDelta delta;
  if (!argument(info, 0, slot) || !argument(info, 1, delta)) return;
  done(info.Env(), group_->updateHosts(slot, delta));
}

void Core::reweigh(const Napi::CallbackInfo& info) {
  SlotId slot = kNoSlot;
  if (argument(info, 0, slot)) done(info.Env(), group_->reweigh(slot));
}

void Core::setLocalCluster(const Napi::CallbackInfo& info) {
  spec::LocalCluster local;
  if (argument(info, 0, local)) group_->setLocalCluster(local);
}

void Core::withdrawCluster(const Napi::CallbackInfo& info) {
  SlotId slot = kNoSlot;
  if (argument(info, 0, slot)) done(info.Env(), group_->withdrawCluster(slot));
}

void Core::publishDirectory(const Napi::CallbackInfo& info) {
  std::vector<std::pair<std::string, SlotId>> names;
  JsReader in(info.Env());
  bool name = true;
  in.elements(info[0], [&](const Napi::Value& value) {
    if (name) {
      in.read(value, names.emplace_back().first);
    } else {
      in.read(value, names.back().second);
    }
    name = !name;
  });
  if (in.ok() && !name) in.fail("a slot after each name is wanted");
  if (!in.ok()) return in.throwIt();
  group_->publishDirectory(std::move(names));
}

namespace spec {

static void readFields(JsReader& in, RuntimeValue& out) {
  out.set = true;
  in.field("value", out.value);
  in.field("denominator", out.denominator);
}

}  // namespace spec

static void readFields(JsReader& in, WorkerGroup::LogOptions& out) {
  if (in.isNumber("target")) {
    in.field("target", out.target.fd);
    out.name = out.target.fd == 2 ? "stderr" : "stdout";
    if (in.ok() && out.target.fd != 1 && out.target.fd != 2) {
      in.fail("target: 1, 2 or a path is wanted");
    }
  } else {
    in.field("target", out.target.path);
    out.name = out.target.path;
  }
  in.field("flushInterval", out.intervalMs);
  in.field("ringBytes", out.ringBytes);
  in.optional("rotation", out.rotation);
}

void Core::publishRuntime(const Napi::CallbackInfo& info) {
  std::vector<spec::RuntimeValue> values;
  JsReader in(info.Env());
  in.elements(info[0], [&](const Napi::Value& value) {
    spec::RuntimeValue& read = values.emplace_back();
    if (!value.IsNull()) in.read(value, read);
  });
  if (!in.ok()) return in.throwIt();
  group_->publishRuntime(std::move(values));
}

void Core::publishDate(const Napi::CallbackInfo& info) {
  std::string text;
  if (argument(info, 0, text)) group_->publishDate(std::move(text));
}

// ---- Logs ---------------------------------------------------------------------------------------

Napi::Value Core::openLog(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  WorkerGroup::LogOptions options;
  if (!argument(info, 0, options)) return env.Undefined();
  auto log = group_->openLog(options);
  if (!log) {
    throwError(env, log.error());
    return env.Undefined();
  }
  return number(env, *log);
}

void Core::closeLog(const Napi::CallbackInfo& info) {
  uint32_t log = 0;
  if (argument(info, 0, log)) group_->closeLog(log);
}

void Core::rotateLog(const Napi::CallbackInfo& info) {
  uint32_t log = 0;
  FlushRotation rotation;
  if (!argument(info, 0, log) || !argument(info, 1, rotation)) return;
  if (Status s = group_->rotateLog(log, rotation); !s.ok()) throwError(info.Env(), s.error());
}

Napi::Value Core::reopenLogs(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Array result = Napi::Array::New(env);
  uint32_t i = 0;
  for (const auto& error : group_->reopenLogs()) {
    Napi::Object e = Napi::Object::New(env);
    e.Set("target", error.target);
    e.Set("message", error.message);
    result.Set(i++, e);
  }
  return result;
}

Napi::Value Core::logStats(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Array result = Napi::Array::New(env);
  uint32_t i = 0;
  for (const auto& [target, stats] : group_->logStats()) {
    Napi::Object s = Napi::Object::New(env);
    s.Set("target", target);
    s.Set("lines", number(env, double(stats.writtenLines)));
    s.Set("bytes", number(env, double(stats.writtenBytes)));
    s.Set("droppedLines", number(env, double(stats.droppedLines)));
    s.Set("bufferedBytes", number(env, double(stats.bufferedBytes)));
    s.Set("writeErrors", number(env, double(stats.writeErrors)));
    s.Set("reopens", number(env, double(stats.reopens)));
    s.Set("rotations", number(env, double(stats.rotations)));
    s.Set("rotateErrors", number(env, double(stats.rotateErrors)));
    s.Set("lastError", stats.failing ? strerror(stats.lastErrno) : "");
    result.Set(i++, s);
  }
  return result;
}

// ---- Listeners ----------------------------------------------------------------------------------

Napi::Value Core::addListener(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  spec::Listener listener;
  if (!argument(info, 0, listener)) return env.Undefined();
  return texts(env, group_->addListener(std::move(listener)));
}

Napi::Value Core::bindSockets(const Napi::CallbackInfo& info) {
  spec::Listener listener;
  if (!argument(info, 0, listener)) return info.Env().Undefined();
  return texts(info.Env(), group_->bindSockets(listener));
}

Napi::Value Core::texts(Napi::Env env, Result<std::vector<std::string>> list) {
  if (!list) {
    throwError(env, list.error());
    return env.Undefined();
  }
  Napi::Array result = Napi::Array::New(env);
  for (size_t i = 0; i < list->size(); i++) result.Set(uint32_t(i), (*list)[i]);
  return result;
}

void Core::useSockets(const Napi::CallbackInfo& info) {
  std::string name;
  if (argument(info, 0, name)) group_->useSockets(name);
}

void Core::dropSockets(const Napi::CallbackInfo& info) {
  std::string name;
  if (argument(info, 0, name)) group_->dropSockets(name);
}

void Core::updateListener(const Napi::CallbackInfo& info) {
  spec::Listener listener;
  if (argument(info, 0, listener)) done(info.Env(), group_->updateListener(std::move(listener)));
}

void Core::drainListener(const Napi::CallbackInfo& info) {
  std::string name;
  if (argument(info, 0, name)) done(info.Env(), group_->drainListener(name));
}

void Core::removeListener(const Napi::CallbackInfo& info) {
  std::string name;
  uint32_t spreadMs = 0, graceMs = 0;
  if (!argument(info, 0, name) || !argument(info, 1, spreadMs) || !argument(info, 2, graceMs)) {
    return;
  }
  done(info.Env(), group_->removeListener(name, spreadMs, graceMs));
}

void Core::drainAll(const Napi::CallbackInfo& info) {
  uint32_t spreadMs = 0;
  if (argument(info, 0, spreadMs)) group_->drainAll(spreadMs);
}

void Core::setHealthFailed(const Napi::CallbackInfo& info) {
  bool failed = false;
  if (argument(info, 0, failed)) group_->setHealthFailed(failed);
}

Napi::Value createCore(const Napi::CallbackInfo& info) {
  auto core = std::make_unique<Core>(info.Env());
  if (!core->begin(info)) return {};
  return {info.Env(), NativeClass<Core>::make(info.Env(), std::move(core))};
}

}  // namespace millrace
