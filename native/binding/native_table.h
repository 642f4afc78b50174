// One thread's part in a shared slot table, as the object that src/native/slots.ts describes. Its
// life and what changes the table is in slots.cc, what reads it in slots_read.cc.
#pragma once

#include <napi.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>

#include "binding/env_end.h"
#include "binding/napi_call.h"
#include "rcu/shared_table.h"
#include "rcu/table_registry.h"

namespace millrace {

// How a read went; the first number of the exchange.
enum class ReadOutcome : int { kNothing = 0, kCopied = 1, kPinned = 2, kSame = 3, kOtherKind = -1 };

// A JavaScript value that is kept from the garbage collector.
class Kept {
 public:
  ~Kept() { drop(); }
  void keep(napi_env env, napi_value value) {
    drop();
    if (napi_create_reference(env, value, 1, &reference_) == napi_ok) env_ = env;
  }
  void drop() {
    if (env_ != nullptr) napi_delete_reference(env_, reference_);
    env_ = nullptr;
  }
  // Null: none.
  napi_value get() const {
    napi_value value = nullptr;
    if (env_ != nullptr) napi_get_reference_value(env_, reference_, &value);
    return value;
  }

 private:
  napi_env env_ = nullptr;  // null: keeps nothing
  napi_ref reference_ = nullptr;
};

class NativeTable {
 public:
  NativeTable(std::shared_ptr<SharedTable> table, TableRegistry::Handle handle, bool owner)
      : table_(std::move(table)), handle_(handle), owner_(owner) {}
  ~NativeTable() { leave(); }
  NativeTable(const NativeTable&) = delete;
  NativeTable& operator=(const NativeTable&) = delete;

  static constexpr const char* kName = "NativeTable";
  static auto methods();
  // The JavaScript object, which owns it; null: the environment ends.
  static napi_value make(NapiCall& call, std::unique_ptr<NativeTable> table,
                         SharedTable::Member::Identity identity);

 private:
  bool begin(napi_env env, SharedTable::Member::Identity identity);
  static void wake(void* self);
  static void onWake(napi_env env, napi_value, void* self, void*);
  void leave();
  void stopWaking();
  bool takeNews();
  void writeWords();
  void turn(napi_env env);
  bool present(const NapiCall& call) const;
  bool slotArgument(const NapiCall& call, bool toChange, SlotId& id) const;
  std::shared_ptr<const Blob> blobArgument(const NapiCall& call, size_t index);
  bool kindArgument(const NapiCall& call, SlotId id, SharedSnapshot::Kind kind) const;
  const MapSnapshot* mapOf(SlotId id) const;
  napi_value give(const NapiCall& call, const std::shared_ptr<const Blob>& blob);
  napi_value outcome(ReadOutcome outcome) const {
    exchange_[0] = double(int(outcome));
    return nullptr;
  }

  napi_value handle(NapiCall& call);
  napi_value setBuffers(NapiCall& call);
  napi_value onNews(NapiCall& call);
  napi_value keepAlive(NapiCall& call);
  napi_value allocate(NapiCall& call);
  napi_value find(NapiCall& call);
  napi_value set(NapiCall& call);
  napi_value setKey(NapiCall& call);
  napi_value draftKey(NapiCall& call);
  napi_value stageDraft(NapiCall& call);
  napi_value dropDraft(NapiCall& call);
  napi_value deleteKey(NapiCall& call);
  napi_value clearMap(NapiCall& call);
  napi_value commit(NapiCall& call);
  napi_value refresh(NapiCall& call);
  napi_value park(NapiCall& call);
  napi_value awaitTaken(NapiCall& call);
  napi_value read(NapiCall& call);
  napi_value readKey(NapiCall& call);
  napi_value keys(NapiCall& call);
  napi_value size(NapiCall& call);
  napi_value readers(NapiCall& call);
  napi_value stats(NapiCall& call);
  napi_value closed(NapiCall& call);
  napi_value forget(NapiCall& call);
  napi_value close(NapiCall& call);

  std::shared_ptr<SharedTable> table_;  // null: left
  std::unique_ptr<SharedTable::Member> member_;
  const TableRegistry::Handle handle_;
  const bool owner_;
  napi_threadsafe_function wake_ = nullptr;  // null: nothing will be told
  EnvEnd end_;
  std::map<uint64_t, std::unique_ptr<MapSnapshot>> drafts_;
  Kept onNews_;  // nothing: nobody listens
  // Memory of JavaScript's: a version for each slot, numbers that answer a read, and room for small
  // values.
  Kept wordsKept_, exchangeKept_, scratchKept_;
  std::span<double> words_;
  std::span<double> exchange_;
  std::span<uint8_t> scratch_;
};

}  // namespace millrace
