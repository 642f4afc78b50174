// Slot tables as JavaScript reads them. See native_table.h.
#include <cstring>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "binding/native_table.h"

namespace millrace {

// Serialised bytes that are small and all there is go to the scratch; else memory of the version's
// own, which it keeps as long as JavaScript has it.
napi_value NativeTable::give(const NapiCall& call, const std::shared_ptr<const Blob>& blob) {
  exchange_[1] = double(blob->serialised());
  exchange_[2] = double(blob->partsOffset());
  exchange_[3] = double(blob->id());
  if (!blob->hasParts() && blob->size() <= scratch_.size()) {
    if (blob->size() > 0) std::memcpy(scratch_.data(), blob->data(), blob->size());
    return outcome(ReadOutcome::kCopied);
  }
  outcome(ReadOutcome::kPinned);
  using Held = std::shared_ptr<const Blob>;
  auto held = std::make_unique<Held>(blob);
  napi_value buffer = nullptr;
  napi_status status = napi_create_external_arraybuffer(
      call.env(), const_cast<uint8_t*>(blob->data()), blob->size(),
      [](napi_env, void*, void* hint) { std::unique_ptr<Held>(static_cast<Held*>(hint)).reset(); },
      held.get(), &buffer);
  if (status == napi_ok) {
    static_cast<void>(held.release());  // the finalizer's
    return buffer;
  }
  // A runtime that lets no memory in from outside.
  void* copy;
  if (status == napi_no_external_buffers_allowed &&
      napi_create_arraybuffer(call.env(), blob->size(), &copy, &buffer) == napi_ok) {
    std::memcpy(copy, blob->data(), blob->size());
  }
  return buffer;
}

// read(slot): see ReadOutcome.
napi_value NativeTable::read(NapiCall& call) {
  SlotId id;
  if (!slotArgument(call, false, id)) return nullptr;
  const SharedSnapshot* snapshot = member_->value(id);
  if (snapshot == nullptr) return outcome(ReadOutcome::kNothing);
  if (snapshot->kind() != SharedSnapshot::Kind::kValue) return outcome(ReadOutcome::kOtherKind);
  return give(call, static_cast<const ValueSnapshot*>(snapshot)->blob());
}

// As this thread sees it. Null: nothing there, or a value; the outcome says which.
const MapSnapshot* NativeTable::mapOf(SlotId id) const {
  const SharedSnapshot* snapshot = member_->value(id);
  outcome(snapshot == nullptr ? ReadOutcome::kNothing : ReadOutcome::kOtherKind);
  if (snapshot == nullptr || snapshot->kind() != SharedSnapshot::Kind::kMap) return nullptr;
  outcome(ReadOutcome::kCopied);
  return static_cast<const MapSnapshot*>(snapshot);
}

// readKey(slot, key, known): `known` is the blob that the caller has decoded already, or 0.
napi_value NativeTable::readKey(NapiCall& call) {
  SlotId id;
  std::string key;
  uint64_t known;
  if (!slotArgument(call, false, id)) return nullptr;
  if (!call.text(1, key) || !call.integer(2, known)) return call.failArgument("key: is wrong");
  const MapSnapshot* map = mapOf(id);
  if (map == nullptr) return nullptr;
  const MapSnapshot::Entry* entry = map->find(key);
  if (entry == nullptr) return outcome(ReadOutcome::kNothing);
  if (entry->blob->id() == known) return outcome(ReadOutcome::kSame);
  return give(call, entry->blob);
}

napi_value NativeTable::keys(NapiCall& call) {
  SlotId id;
  if (!slotArgument(call, false, id)) return nullptr;
  const MapSnapshot* map = mapOf(id);
  napi_value keys = nullptr;
  if (map == nullptr || napi_create_array_with_length(call.env(), map->size(), &keys) != napi_ok) {
    return nullptr;
  }
  uint32_t i = 0;
  for (const MapSnapshot::Entry* entry : map->entries()) {
    napi_set_element(call.env(), keys, i++, call.string(entry->key));
  }
  return keys;
}

napi_value NativeTable::size(NapiCall& call) {
  SlotId id;
  if (!slotArgument(call, false, id)) return nullptr;
  const MapSnapshot* map = mapOf(id);
  return call.number(map == nullptr ? 0 : double(map->size()));
}

napi_value NativeTable::readers(NapiCall& call) {
  if (!present(call)) return nullptr;
  napi_value readers = nullptr;
  if (napi_create_array(call.env(), &readers) != napi_ok) return nullptr;
  uint32_t i = 0;
  for (const SharedTable::ReaderState& state : table_->readers()) {
    napi_value reader = nullptr;
    napi_create_object(call.env(), &reader);
    call.set(reader, "threadId", call.number(double(state.identity.thread)));
    call.set(reader, "name", call.string(state.identity.name));
    call.set(reader, "taken", call.number(double(state.taken)));
    call.set(reader, "lag", call.number(double(state.lag)));
    call.set(reader, "behindMs", call.number(double(state.behindNs) / double(kNsPerMs)));
    call.set(reader, "parked", call.boolean(state.parked));
    if (reader != nullptr) napi_set_element(call.env(), readers, i++, reader);
  }
  return readers;
}

napi_value NativeTable::stats(NapiCall& call) {
  if (!present(call)) return nullptr;
  SlotTable::Stats stats = table_->stats();
  napi_value result = nullptr;
  napi_create_object(call.env(), &result);
  call.set(result, "slots", call.number(stats.slots));
  call.set(result, "readers", call.number(stats.readers));
  call.set(result, "published", call.number(double(stats.published)));
  call.set(result, "live", call.number(double(stats.live)));
  call.set(result, "retired", call.number(double(stats.retired)));
  call.set(result, "freed", call.number(double(stats.freed)));
  return result;
}

}  // namespace millrace
