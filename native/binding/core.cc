#include "binding/core.h"

#include <utility>

#include "binding/core_class.h"

namespace millrace {

Napi::Function Core::define(Napi::Env env) {
  return DefineClass(env, "NativeCore",
                     {InstanceMethod<&Core::start>("start"),
                      InstanceMethod<&Core::stop>("stop"),
                      InstanceMethod<&Core::published>("published"),
                      InstanceMethod<&Core::hold>("hold"),
                      InstanceMethod<&Core::resume>("resume"),
                      InstanceMethod<&Core::allocateSlot>("allocateSlot"),
                      InstanceMethod<&Core::releaseSlot>("releaseSlot"),
                      InstanceMethod<&Core::publishRoutes>("publishRoutes"),
                      InstanceMethod<&Core::publishCluster>("publishCluster"),
                      InstanceMethod<&Core::updateHosts>("updateHosts"),
                      InstanceMethod<&Core::addressProblem>("addressProblem"),
                      InstanceMethod<&Core::reweigh>("reweigh"),
                      InstanceMethod<&Core::setLocalCluster>("setLocalCluster"),
                      InstanceMethod<&Core::withdrawCluster>("withdrawCluster"),
                      InstanceMethod<&Core::publishDirectory>("publishDirectory"),
                      InstanceMethod<&Core::publishRuntime>("publishRuntime"),
                      InstanceMethod<&Core::publishDate>("publishDate"),
                      InstanceMethod<&Core::openLog>("openLog"),
                      InstanceMethod<&Core::closeLog>("closeLog"),
                      InstanceMethod<&Core::reopenLogs>("reopenLogs"),
                      InstanceMethod<&Core::logStats>("logStats"),
                      InstanceMethod<&Core::addListener>("addListener"),
                      InstanceMethod<&Core::updateListener>("updateListener"),
                      InstanceMethod<&Core::drainListener>("drainListener"),
                      InstanceMethod<&Core::removeListener>("removeListener"),
                      InstanceMethod<&Core::drainAll>("drainAll"),
                      InstanceMethod<&Core::setHealthFailed>("setHealthFailed"),
                      InstanceMethod<&Core::workerStats>("workerStats"),
                      InstanceMethod<&Core::readStats>("readStats"),
                      InstanceMethod<&Core::clusterHosts>("clusterHosts"),
                      InstanceMethod<&Core::takeOutlierEvents>("takeOutlierEvents"),
                      InstanceMethod<&Core::takeWantedHosts>("takeWantedHosts"),
                      InstanceMethod<&Core::refuseHosts>("refuseHosts"),
                      InstanceMethod<&Core::takeUsedHosts>("takeUsedHosts"),
                      InstanceMethod<&Core::waiting>("waiting"),
                      InstanceMethod<&Core::outlierWindow>("outlierWindow"),
                      InstanceMethod<&Core::resetOutliers>("resetOutliers"),
                      InstanceMethod<&Core::connectionCount>("connectionCount"),
                      InstanceMethod<&Core::listenerConnections>("listenerConnections"),
                      InstanceMethod<&Core::resetCounters>("resetCounters")});
}

Core::Core(const Napi::CallbackInfo& info) : ObjectWrap(info), env_(info.Env()) {
  Napi::Env env = info.Env();
  if (IsEmpty()) return;  // the environment ends, and nobody would own this
  uint32_t concurrency = 0;
  if (!info[0].IsObject()) {
    throwArgument(env, "options: an object is wanted");
    return;
  }
  Napi::Object options = info[0].As<Napi::Object>();
  JsReader in(env);
  in.read(options.Get("concurrency"), concurrency);
  if (!in.ok() || concurrency == 0 || concurrency > 1024) {
    throwArgument(env, "concurrency: 1 to 1024 is wanted");
    return;
  }
  const std::pair<const char*, Napi::FunctionReference*> listeners[] = {
      {"onEvent", &onEvent_}, {"onOutlier", &onOutlier_}, {"onHostsWanted", &onHostsWanted_}};
  for (auto [name, kept] : listeners) {
    Napi::Value given = options.Get(name);
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
    return;
  }
  // It does not keep the process alive: whoever embeds a proxy decides that.
  napi_unref_threadsafe_function(env, turn_);
  auto group = WorkerGroup::create(
      {.concurrency = concurrency,
       .wakeMain =
           [turn = turn_] { napi_call_threadsafe_function(turn, nullptr, napi_tsfn_nonblocking); },
       .onEvent = [this](const WorkerGroup::Options::Event& event) { report(event); },
       .onOutlier = [this] { tell(onOutlier_); },
       .onHostsWanted = [this] { tell(onHostsWanted_); }});
  if (!group) {
    throwError(env, group.error());
    return;
  }
  group_ = std::move(*group);
  end_.set(env, [this] { release(); });
}

// Runs no JavaScript: it may be the end of the environment, or a finalizer.
void Core::release() {
  end_.forget();
  onEvent_.Reset();
  onOutlier_.Reset();
  onHostsWanted_.Reset();
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
                                           "accept-paused"};
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
    Napi::Error stopped = Napi::Error::New(env, "the workers were stopped");
    stopped.Set("code", Napi::String::New(env, "ERR_MILLRACE_CLOSED"));
    waiting.reject(stopped.Value());
  }
  napi_unref_threadsafe_function(env, turn_);
  // It holds whoever holds this object: without it, both can be collected.
  onEvent_.Reset();
  onOutlier_.Reset();
  onHostsWanted_.Reset();
  JsPromise promise(env);
  promise.resolve(result);
  return promise.promise();
}

Napi::Value Core::published(const Napi::CallbackInfo& info) {
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

// ---- Snapshots
// -------------------------------------------------------------------------------------------------

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
  Napi::Env env = info.Env();
  if (!info[0].IsArray()) {
    throwArgument(env, "names: an array is wanted");
    return;
  }
  auto flat = info[0].As<Napi::Array>();
  std::vector<std::pair<std::string, SlotId>> names(flat.Length() / 2);
  JsReader in(env);
  for (uint32_t i = 0; i < names.size() && in.ok(); i++) {
    in.read(flat.Get(2 * i), names[i].first);
    in.read(flat.Get(2 * i + 1), names[i].second);
  }
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

void Core::publishRuntime(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsArray()) {
    throwArgument(env, "values: an array is wanted");
    return;
  }
  auto array = info[0].As<Napi::Array>();
  std::vector<spec::RuntimeValue> values(array.Length());
  JsReader in(env);
  for (uint32_t i = 0; i < values.size() && in.ok(); i++) {
    Napi::Value value = array.Get(i);
    if (!value.IsNull()) in.read(value, values[i]);
  }
  if (!in.ok()) return in.throwIt();
  group_->publishRuntime(std::move(values));
}

void Core::publishDate(const Napi::CallbackInfo& info) {
  std::string text;
  if (argument(info, 0, text)) group_->publishDate(std::move(text));
}

// ---- Logs
// -------------------------------------------------------------------------------------------------

Napi::Value Core::openLog(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  WorkerGroup::LogOptions options;
  JsReader in(env);
  if (!info[0].IsObject()) {
    throwArgument(env, "options: an object is wanted");
    return env.Undefined();
  }
  Napi::Object object = info[0].As<Napi::Object>();
  Napi::Value target = object.Get("target");
  if (target.IsNumber()) {
    in.read(target, options.target.fd);
    options.name = options.target.fd == 2 ? "stderr" : "stdout";
  } else {
    in.read(target, options.target.path);
    options.name = options.target.path;
  }
  in.read(object.Get("flushInterval"), options.intervalMs);
  in.read(object.Get("ringBytes"), options.ringBytes);
  if (!in.ok()) {
    in.throwIt();
    return env.Undefined();
  }
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
    s.Set("lastError", stats.failing ? strerror(stats.lastErrno) : "");
    result.Set(i++, s);
  }
  return result;
}

// ---- Listeners
// -------------------------------------------------------------------------------------------------

Napi::Value Core::addListener(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  spec::Listener listener;
  if (!argument(info, 0, listener)) return env.Undefined();
  auto addresses = group_->addListener(std::move(listener));
  if (!addresses) {
    throwError(env, addresses.error());
    return env.Undefined();
  }
  Napi::Array result = Napi::Array::New(env);
  for (size_t i = 0; i < addresses->size(); i++) result.Set(uint32_t(i), (*addresses)[i]);
  return result;
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
  uint32_t graceMs = 0;
  if (!argument(info, 0, name) || !argument(info, 1, graceMs)) return;
  done(info.Env(), group_->removeListener(name, graceMs));
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
  // In an environment that ends, every step may fail without an exception.
  Napi::Function type = Core::define(info.Env());
  if (type.IsEmpty()) return {};
  Napi::Object object = type.New({info[0]});
  Core* core = object.IsEmpty() ? nullptr : Core::Unwrap(object);
  if (core == nullptr || !core->running()) return {};
  return object;
}

}  // namespace millrace
