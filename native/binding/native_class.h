// Classes of the addon: made once for each Node environment, so that an object costs no class of
// its own, which nothing would ever give back.
//
// A method belongs to its class, not to its object: JavaScript can call it on anything. Each call
// looks whether `this` is an object of the class; if it is not, it throws.
//
//   struct Thing {
//     static constexpr const char* kName = "NativeThing";
//     static constexpr auto methods() {
//       return std::array{NativeClass<Thing>::method<&Thing::turn>("turn")};
//     }
//     Napi::Value turn(const Napi::CallbackInfo& info);     or napi_value turn(NapiCall& call)
//   };
//   Napi::Value object = NativeClass<Thing>::make(env, std::move(thing));
//
// Thread of the environment.
#pragma once

#include <napi.h>

#include <array>
#include <memory>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "binding/napi_call.h"

namespace millrace {

// What one environment has of the addon, from the module's start in it to its end. Objects share
// it: in which order an environment that ends lets go of all is its own matter.
class AddonState {
 public:
  // A number for each class, the same in all environments.
  using ClassId = const void*;

  // At the start of the module in an environment. False: it ends already.
  static bool begin(napi_env env);
  // Null: the environment ends.
  static std::shared_ptr<AddonState>* of(napi_env env);

  napi_ref& constructor(ClassId id) { return constructors_[id]; }
  void add(void* object, ClassId id) { objects_[object] = id; }
  void remove(void* object) { objects_.erase(object); }
  // What another addon has wrapped is never an object of ours.
  bool has(void* object, ClassId id) const {
    auto found = objects_.find(object);
    return found != objects_.end() && found->second == id;
  }

 private:
  std::unordered_map<ClassId, napi_ref> constructors_;
  std::unordered_map<void*, ClassId> objects_;
};

template <typename T>
class NativeClass {
 public:
  template <auto function>
  static constexpr napi_property_descriptor method(const char* name) {
    return {name, nullptr, call<function>, nullptr, nullptr, nullptr, napi_default, nullptr};
  }

  // The JavaScript object, which owns `native`; null: the environment ends.
  static napi_value make(napi_env env, std::unique_ptr<T> native) {
    std::shared_ptr<AddonState>* state = AddonState::of(env);
    napi_value type = state == nullptr ? nullptr : constructor(env, **state);
    napi_value object;
    if (type == nullptr || napi_new_instance(env, type, 0, nullptr, &object) != napi_ok) {
      return nullptr;
    }
    auto owner = std::make_unique<Owner>(Owner{*state, std::move(native)});
    if (napi_wrap(env, object, owner.get(), destroy, nullptr, nullptr) != napi_ok) return nullptr;
    (*state)->add(owner.get(), &kId);
    static_cast<void>(owner.release());  // the object's
    return object;
  }

 private:
  static constexpr char kId = 0;  // its address tells classes apart
  struct Owner {
    std::shared_ptr<AddonState> state;
    std::unique_ptr<T> native;
  };

  static napi_value constructor(napi_env env, AddonState& state) {
    napi_ref& kept = state.constructor(&kId);
    napi_value type = nullptr;
    if (kept != nullptr && napi_get_reference_value(env, kept, &type) == napi_ok) return type;
    // `new` from JavaScript makes an object that no method works on.
    auto nothing = [](napi_env, napi_callback_info) -> napi_value { return nullptr; };
    auto methods = T::methods();
    if (napi_define_class(env, T::kName, NAPI_AUTO_LENGTH, nothing, nullptr, methods.size(),
                          methods.data(), &type) != napi_ok ||
        napi_create_reference(env, type, 1, &kept) != napi_ok) {
      kept = nullptr;
      return nullptr;
    }
    return type;
  }

  static void destroy(napi_env, void* data, void*) {
    std::unique_ptr<Owner> owner(static_cast<Owner*>(data));
    owner->state->remove(data);
  }

  // Null: an error is thrown, or the environment ends.
  static T* self(napi_env env, napi_value object) {
    void* data = nullptr;
    std::shared_ptr<AddonState>* state = AddonState::of(env);
    if (state == nullptr) return nullptr;
    if (napi_unwrap(env, object, &data) == napi_ok && (*state)->has(data, &kId)) {
      return static_cast<Owner*>(data)->native.get();
    }
    std::string message = std::string("a method of ") + T::kName + " needs one as its this";
    napi_throw_type_error(env, "ERR_MILLRACE_NATIVE_ARGUMENT", message.c_str());
    return nullptr;
  }

  template <auto function>
  static napi_value call(napi_env env, napi_callback_info raw) {
    if constexpr (std::is_invocable_v<decltype(function), T&, NapiCall&>) {
      NapiCall info(env, raw);
      T* native = self(env, info.self());
      return native == nullptr ? nullptr : (native->*function)(info);
    } else {
      const Napi::CallbackInfo info(env, raw);
      T* native = self(env, info.This());
      if (native == nullptr) return nullptr;
      if constexpr (std::is_void_v<decltype((native->*function)(info))>) {
        (native->*function)(info);
        return nullptr;
      } else {
        return (native->*function)(info);
      }
    }
  }
};

}  // namespace millrace
