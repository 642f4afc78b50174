// Methods of NativeCore about single hosts: whether they can be had, and those that on-demand
// clusters add as requests name them.
#include "binding/core_class.h"

namespace millrace {

Napi::Value Core::addressProblem(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  spec::Address address;
  if (!argument(info, 0, address)) return env.Undefined();
  Status usable = HostSet::check(address);
  if (usable.ok()) return env.Undefined();
  return Napi::String::New(env, usable.error().message);
}

Napi::Value Core::takeWantedHosts(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Array result = Napi::Array::New(env);
  uint32_t i = 0;
  for (const WorkerGroup::WantedHost& wanted : group_->takeWantedHosts()) {
    Napi::HandleScope scope(env);
    Napi::Object w = Napi::Object::New(env);
    w.Set("slot", number(env, wanted.slot));
    w.Set("key", wanted.key);
    result.Set(i++, w);
  }
  return result;
}

void Core::refuseHosts(const Napi::CallbackInfo& info) {
  SlotId slot = kNoSlot;
  std::vector<std::string> keys;
  std::string why;
  if (!argument(info, 0, slot) || !argument(info, 1, keys) || !argument(info, 2, why)) return;
  if (why != "unresolved" && why != "full") {
    throwArgument(info.Env(), "why: \"unresolved\" or \"full\" is wanted");
    return;
  }
  group_->refuseHosts(slot, std::move(keys),
                      why == "full" ? HostRefusal::kFull : HostRefusal::kUnresolved);
}

Napi::Value Core::takeUsedHosts(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SlotId slot = kNoSlot;
  bool orConnected = false;
  if (!argument(info, 0, slot) || !argument(info, 1, orConnected)) return env.Undefined();
  Napi::Array result = Napi::Array::New(env);
  uint32_t i = 0;
  for (uint64_t host : group_->takeUsedHosts(slot, orConnected)) {
    Napi::HandleScope scope(env);
    result.Set(i++, number(env, double(host)));
  }
  return result;
}

Napi::Value Core::waiting(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SlotId slot = kNoSlot;
  if (!argument(info, 0, slot)) return env.Undefined();
  WorkerGroup::Waiting waiting = group_->waiting(slot);
  Napi::Object result = Napi::Object::New(env);
  result.Set("now", number(env, waiting.now));
  result.Set("overflows", number(env, double(waiting.overflows)));
  return result;
}

}  // namespace millrace
