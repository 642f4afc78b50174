#include "binding/native_class.h"

namespace millrace {

bool AddonState::begin(napi_env env) {
  auto state = std::make_unique<std::shared_ptr<AddonState>>(std::make_shared<AddonState>());
  auto destroy = [](napi_env env, void* data, void*) {
    std::unique_ptr<std::shared_ptr<AddonState>> state(
        static_cast<std::shared_ptr<AddonState>*>(data));
    // Node frees no reference that the addon made.
    for (auto& [id, reference] : (*state)->constructors_) napi_delete_reference(env, reference);
    (*state)->constructors_.clear();
  };
  if (napi_set_instance_data(env, state.get(), destroy, nullptr) != napi_ok) return false;
  static_cast<void>(state.release());  // the environment's
  return true;
}

std::shared_ptr<AddonState>* AddonState::of(napi_env env) {
  void* state = nullptr;
  if (napi_get_instance_data(env, &state) != napi_ok) return nullptr;
  return static_cast<std::shared_ptr<AddonState>*>(state);
}

}  // namespace millrace
