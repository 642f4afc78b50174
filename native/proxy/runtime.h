// Runtime flags as workers read them: a snapshot of values by index. The main thread resolves the
// keys of all layers to indexes when a configuration is compiled.
//
// Thread rule: immutable once published; any thread.
#pragma once

#include <utility>
#include <vector>

#include "proxy/match_spec.h"
#include "rcu/snapshot.h"

namespace millrace {

class RuntimeSnapshot final : public Snapshot {
 public:
  explicit RuntimeSnapshot(std::vector<spec::RuntimeValue> values) : values_(std::move(values)) {}

  // Null when there is no such key (or no flag at all).
  const spec::RuntimeValue* find(spec::RuntimeIndex flag) const {
    if (flag < 0 || size_t(flag) >= values_.size() || !values_[size_t(flag)].set) return nullptr;
    return &values_[size_t(flag)];
  }

 private:
  std::vector<spec::RuntimeValue> values_;
};

// The flag's number, or `fallback` when it is not set. `runtime` may be null: nothing published.
inline double runtimeNumber(const RuntimeSnapshot* runtime, spec::RuntimeIndex flag,
                            double fallback) {
  const spec::RuntimeValue* value = runtime == nullptr ? nullptr : runtime->find(flag);
  return value == nullptr ? fallback : value->value;
}

// Whether a request with this random value falls under the fraction. A flag that is a plain number
// counts in percent, and above 100 is always true, as in Envoy
// (source/common/runtime/runtime_impl.cc, featureEnabled).
inline bool inFraction(const spec::Fraction& fraction, const RuntimeSnapshot* runtime,
                       uint64_t random) {
  const spec::RuntimeValue* value = runtime == nullptr ? nullptr : runtime->find(fraction.flag);
  if (value == nullptr) return random % fraction.denominator < fraction.numerator;
  uint32_t denominator = value->denominator == 0 ? 100 : value->denominator;
  if (value->value >= denominator) return true;
  return double(random % denominator) < value->value;
}

}  // namespace millrace
