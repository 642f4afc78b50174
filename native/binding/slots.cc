#include "binding/slots.h"

#include <array>
#include <limits>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "binding/native_class.h"
#include "binding/native_table.h"

namespace millrace {

namespace {

// The one thing of this process that every thread's copy of the module must find. Never destroyed:
// at exit() other threads may still be about to leave their tables. Empty, it owns no memory.
TableRegistry& registry() {
  alignas(TableRegistry) static unsigned char place[sizeof(TableRegistry)];
  static TableRegistry* made = ::new (place) TableRegistry;
  return *made;
}

}  // namespace

auto NativeTable::methods() {
  using Class = NativeClass<NativeTable>;
  return std::array{
      Class::method<&NativeTable::handle>("handle"),
      Class::method<&NativeTable::setBuffers>("setBuffers"),
      Class::method<&NativeTable::onNews>("onNews"),
      Class::method<&NativeTable::keepAlive>("keepAlive"),
      Class::method<&NativeTable::allocate>("allocate"),
      Class::method<&NativeTable::find>("find"),
      Class::method<&NativeTable::set>("set"),
      Class::method<&NativeTable::setKey>("setKey"),
      Class::method<&NativeTable::draftKey>("draftKey"),
      Class::method<&NativeTable::stageDraft>("stageDraft"),
      Class::method<&NativeTable::dropDraft>("dropDraft"),
      Class::method<&NativeTable::deleteKey>("deleteKey"),
      Class::method<&NativeTable::clearMap>("clearMap"),
      Class::method<&NativeTable::commit>("commit"),
      Class::method<&NativeTable::refresh>("refresh"),
      Class::method<&NativeTable::park>("park"),
      Class::method<&NativeTable::awaitTaken>("awaitTaken"),
      Class::method<&NativeTable::read>("read"),
      Class::method<&NativeTable::readKey>("readKey"),
      Class::method<&NativeTable::keys>("keys"),
      Class::method<&NativeTable::size>("size"),
      Class::method<&NativeTable::readers>("readers"),
      Class::method<&NativeTable::stats>("stats"),
      Class::method<&NativeTable::closed>("closed"),
      Class::method<&NativeTable::forget>("forget"),
      Class::method<&NativeTable::close>("close"),
  };
}

napi_value NativeTable::make(NapiCall& call, std::unique_ptr<NativeTable> table,
                             SharedTable::Member::Identity identity) {
  if (!table->begin(call.env(), std::move(identity))) return nullptr;
  return NativeClass<NativeTable>::make(call.env(), std::move(table));
}

bool NativeTable::begin(napi_env env, SharedTable::Member::Identity identity) {
  napi_value name;
  // Its queue is unbounded, but holds one entry: the table wakes once, until the news is taken.
  if (napi_create_string_utf8(env, "millrace.slots", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this,
                                      onWake, &wake_) != napi_ok) {
    wake_ = nullptr;
    return false;
  }
  napi_unref_threadsafe_function(env, wake_);
  member_ = std::make_unique<SharedTable::Member>(table_, std::move(identity), wake, this);
  end_.set(env, [this] { leave(); });
  return true;
}

// The end of this thread's part; the owner's is the end of the table. Runs no JavaScript.
void NativeTable::leave() {
  if (table_ == nullptr) return;
  end_.forget();
  if (owner_) {
    table_->commit();  // whoever reads on reads what was set last
    table_->close();
  }
  member_.reset();
  table_.reset();
  registry().dropGone();
  onNews_.drop();
  stopWaking();
}

void NativeTable::stopWaking() {
  if (wake_ != nullptr) napi_release_threadsafe_function(wake_, napi_tsfn_abort);
  wake_ = nullptr;
}

// Any thread, under the table's lock, while the member exists.
void NativeTable::wake(void* self) {
  napi_threadsafe_function wake = static_cast<NativeTable*>(self)->wake_;
  if (wake != nullptr) napi_call_threadsafe_function(wake, nullptr, napi_tsfn_nonblocking);
}

void NativeTable::onWake(napi_env env, napi_value, void* self, void*) {
  if (env == nullptr) return;  // released: the queue is emptied, and this object may be gone
  static_cast<NativeTable*>(self)->turn(env);
}

// True: there was news.
bool NativeTable::takeNews() {
  bool parked = member_->parked();
  bool news = member_->quiesce(
      [](void* words, uint32_t index, uint64_t version) {
        auto& all = *static_cast<std::span<double>*>(words);
        if (index < all.size()) all[index] = double(version);
      },
      &words_);
  if (parked) writeWords();
  return news;
}

// Between two turns of the thread's event loop.
void NativeTable::turn(napi_env env) {
  if (table_ == nullptr) return;
  takeNews();
  napi_value listener = onNews_.get();
  napi_value global;
  if (listener == nullptr || napi_get_global(env, &global) != napi_ok) return;
  napi_call_function(env, global, listener, 0, nullptr, nullptr);
}

bool NativeTable::present(const NapiCall& call) const {
  if (table_ != nullptr && !exchange_.empty()) return true;
  call.fail({"ERR_MILLRACE_TABLE_CLOSED", "the table was closed in this thread", 0});
  return false;
}

// Reads argument 0. False: an error is thrown.
bool NativeTable::slotArgument(const NapiCall& call, bool toChange, SlotId& id) const {
  if (!present(call)) return false;
  uint64_t number;
  if (!call.integer(0, number) || number > UINT32_MAX) {
    call.failArgument("slot: a number is wanted");
    return false;
  }
  id = SlotId(number);
  if (!toChange || (owner_ && table_->allocated(id))) return true;
  call.failArgument("slot: none that this thread owns");
  return false;
}

// Serialised bytes, which nobody else uses, and an array of Uint8Array. Null: an error is thrown.
std::shared_ptr<const Blob> NativeTable::blobArgument(const NapiCall& call, size_t index) {
  napi_env env = call.env();
  std::span<uint8_t> serialised;
  uint32_t count;
  if (!NapiCall::view(env, call[index], napi_uint8_array, serialised) ||
      call[index + 1] == nullptr ||
      napi_get_array_length(env, call[index + 1], &count) != napi_ok) {
    call.failArgument("value: bytes and an array of parts are wanted");
    return nullptr;
  }
  std::vector<Blob::Part> parts(count);
  for (uint32_t i = 0; i < count; i++) {
    napi_value part;
    std::span<uint8_t> bytes;
    if (napi_get_element(env, call[index + 1], i, &part) != napi_ok ||
        !NapiCall::view(env, part, napi_uint8_array, bytes)) {
      call.failArgument("value: a part is a Uint8Array");
      return nullptr;
    }
    parts[i] = bytes;
  }
  std::shared_ptr<const Blob> blob = Blob::make(table_->nextBlob(), serialised, parts);
  if (blob == nullptr) {
    call.fail({"ERR_MILLRACE_OUT_OF_MEMORY", "no memory for the value", 0});
    return nullptr;
  }
  // Else its memory stays until the garbage collector comes by.
  constexpr size_t kWorthwhile = 64 * 1024;
  napi_value buffer;
  if (serialised.size() >= kWorthwhile &&
      napi_get_typedarray_info(env, call[index], nullptr, nullptr, nullptr, &buffer, nullptr) ==
          napi_ok) {
    napi_detach_arraybuffer(env, buffer);
  }
  return blob;
}

napi_value NativeTable::handle(NapiCall& call) {
  napi_value handle = nullptr;
  napi_create_object(call.env(), &handle);
  call.set(handle, "id", call.number(double(handle_.id)));
  call.set(handle, "key", call.number(double(handle_.key)));
  return handle;
}

// setBuffers(words: Float64Array, exchange: Float64Array, scratch: Uint8Array)
napi_value NativeTable::setBuffers(NapiCall& call) {
  if (table_ == nullptr) return nullptr;
  napi_env env = call.env();
  std::span<double> words, exchange;
  std::span<uint8_t> scratch;
  constexpr size_t kExchangeNumbers = 4;
  if (!NapiCall::view(env, call[0], napi_float64_array, words) ||
      !NapiCall::view(env, call[1], napi_float64_array, exchange) ||
      !NapiCall::view(env, call[2], napi_uint8_array, scratch) ||
      exchange.size() < kExchangeNumbers) {
    return call.failArgument("two arrays of doubles and one of bytes are wanted");
  }
  wordsKept_.keep(env, call[0]);
  exchangeKept_.keep(env, call[1]);
  scratchKept_.keep(env, call[2]);
  words_ = words;
  exchange_ = exchange;
  scratch_ = scratch;
  if (member_->parked()) {
    takeNews();
  } else {
    writeWords();
  }
  return nullptr;
}

void NativeTable::writeWords() {
  for (uint32_t index = 0; index < words_.size(); index++) {
    words_[index] = double(member_->version(kFirstUse | index));
  }
}

// onNews(f | undefined): called between two turns, when there may be news.
napi_value NativeTable::onNews(NapiCall& call) {
  onNews_.drop();
  if (table_ != nullptr && call.is(0, napi_function)) onNews_.keep(call.env(), call[0]);
  return nullptr;
}

napi_value NativeTable::keepAlive(NapiCall& call) {
  bool on = false;
  if (wake_ == nullptr || call[0] == nullptr) return nullptr;
  napi_get_value_bool(call.env(), call[0], &on);
  if (on) {
    napi_ref_threadsafe_function(call.env(), wake_);
  } else {
    napi_unref_threadsafe_function(call.env(), wake_);
  }
  return nullptr;
}

napi_value NativeTable::allocate(NapiCall& call) {
  std::string name;
  if (!present(call)) return nullptr;
  if (!owner_ || !call.text(0, name)) return call.failArgument("name: a string is wanted");
  Result<SlotId> id = table_->allocate(name);
  return id ? call.number(*id) : call.fail(id.error());
}

napi_value NativeTable::find(NapiCall& call) {
  std::string name;
  if (!present(call)) return nullptr;
  if (!call.text(0, name)) return call.failArgument("name: a string is wanted");
  return call.number(table_->find(name));
}

// What the slot holds, if anything, is of that kind.
bool NativeTable::kindArgument(const NapiCall& call, SlotId id, SharedSnapshot::Kind kind) const {
  const SharedSnapshot* latest = table_->latest(id);
  if (latest == nullptr || latest->kind() == kind) return true;
  call.failArgument("slot: holds a map, or a value, and not what is set");
  return false;
}

// set(slot, bytes, parts): the version that it will be.
napi_value NativeTable::set(NapiCall& call) {
  SlotId id;
  if (!slotArgument(call, true, id)) return nullptr;
  if (!kindArgument(call, id, SharedSnapshot::Kind::kValue)) return nullptr;
  std::shared_ptr<const Blob> blob = blobArgument(call, 1);
  if (blob == nullptr) return nullptr;
  return call.number(double(table_->stage(id, std::make_unique<ValueSnapshot>(std::move(blob)))));
}

// setKey(slot, bytes, parts, key): the version that it will be.
napi_value NativeTable::setKey(NapiCall& call) {
  SlotId id;
  std::string key;
  if (!slotArgument(call, true, id)) return nullptr;
  if (!kindArgument(call, id, SharedSnapshot::Kind::kMap)) return nullptr;
  if (!call.text(3, key)) return call.failArgument("key: a string is wanted");
  std::shared_ptr<const Blob> blob = blobArgument(call, 1);
  if (blob == nullptr) return nullptr;
  table_->stageMap(id).set(key, std::move(blob));
  return call.number(double(table_->latestVersion(id)));
}

// draftKey(draft, bytes, parts, key): a key of a map that is being prepared over several turns; the
// first makes the draft, under whatever number.
napi_value NativeTable::draftKey(NapiCall& call) {
  uint64_t draft;
  std::string key;
  if (!present(call)) return nullptr;
  if (!owner_ || !call.integer(0, draft)) return call.failArgument("draft: a number is wanted");
  if (!call.text(3, key)) return call.failArgument("key: a string is wanted");
  std::shared_ptr<const Blob> blob = blobArgument(call, 1);
  if (blob == nullptr) return nullptr;
  std::unique_ptr<MapSnapshot>& map = drafts_[draft];
  if (map == nullptr) map = std::make_unique<MapSnapshot>();
  map->set(key, std::move(blob));
  return nullptr;
}

// stageDraft(slot, draft): sets all keys of the draft; the version that it will be.
napi_value NativeTable::stageDraft(NapiCall& call) {
  SlotId id;
  uint64_t draft;
  if (!slotArgument(call, true, id)) return nullptr;
  if (!kindArgument(call, id, SharedSnapshot::Kind::kMap)) return nullptr;
  if (!call.integer(1, draft)) return call.failArgument("draft: a number is wanted");
  MapSnapshot& map = table_->stageMap(id);
  if (auto made = drafts_.extract(draft)) map.setAll(*made.mapped());
  return call.number(double(table_->latestVersion(id)));
}

napi_value NativeTable::dropDraft(NapiCall& call) {
  uint64_t draft;
  if (call.integer(0, draft)) drafts_.erase(draft);
  return nullptr;
}

// deleteKey(slot, key): the version that it will be; 0: there was no such key.
napi_value NativeTable::deleteKey(NapiCall& call) {
  SlotId id;
  std::string key;
  if (!slotArgument(call, true, id)) return nullptr;
  if (!kindArgument(call, id, SharedSnapshot::Kind::kMap)) return nullptr;
  if (!call.text(1, key)) return call.failArgument("key: a string is wanted");
  auto* latest = static_cast<const MapSnapshot*>(table_->latest(id));
  if (latest == nullptr || latest->find(key) == nullptr) return call.number(0);
  table_->stageMap(id).erase(key);
  return call.number(double(table_->latestVersion(id)));
}

napi_value NativeTable::clearMap(NapiCall& call) {
  SlotId id;
  if (!slotArgument(call, true, id)) return nullptr;
  if (!kindArgument(call, id, SharedSnapshot::Kind::kMap)) return nullptr;
  return call.number(double(table_->stage(id, std::make_unique<MapSnapshot>())));
}

napi_value NativeTable::commit(NapiCall& call) {
  if (!present(call)) return nullptr;
  if (!owner_) return call.failArgument("only the owner publishes");
  return call.number(double(table_->commit()));
}

// refresh(): takes the news within a turn. True: there was some.
napi_value NativeTable::refresh(NapiCall& call) {
  if (!present(call)) return nullptr;
  return call.boolean(takeNews());
}

// park(): until the thread takes news again nobody waits for it, and each word is NaN.
napi_value NativeTable::park(NapiCall& call) {
  if (!present(call)) return nullptr;
  member_->park();
  for (double& word : words_) word = std::numeric_limits<double>::quiet_NaN();
  return nullptr;
}

// awaitTaken(generation): true, or this thread is woken once every thread has taken it.
napi_value NativeTable::awaitTaken(NapiCall& call) {
  uint64_t generation;
  if (!present(call)) return nullptr;
  if (!call.integer(0, generation)) return call.failArgument("generation: a number is wanted");
  return call.boolean(table_->awaitTaken(generation, *member_));
}

napi_value NativeTable::closed(NapiCall& call) {
  return call.boolean(table_ == nullptr || table_->closed());
}

// forget(memory): what a read returned is not used any more, and need not wait for the garbage
// collector.
napi_value NativeTable::forget(NapiCall& call) {
  if (call[0] != nullptr) napi_detach_arraybuffer(call.env(), call[0]);
  return nullptr;
}

// A reader's end. The owner reads on, as all readers do, until its object is collected; it shows
// what was set last.
napi_value NativeTable::close(NapiCall&) {
  if (table_ == nullptr) return nullptr;
  if (!owner_) {
    leave();
    return nullptr;
  }
  table_->commit();
  table_->close();
  takeNews();
  onNews_.drop();
  stopWaking();  // nobody wakes the owner of a closed table
  return nullptr;
}

namespace {

bool identityArguments(const NapiCall& call, size_t index, SharedTable::Member::Identity& out) {
  if (call.integer(index, out.thread) && call.text(index + 1, out.name)) return true;
  call.failArgument("a thread's number and name are wanted");
  return false;
}

}  // namespace

napi_value createSlotTable(napi_env env, napi_callback_info info) {
  NapiCall call(env, info);
  SharedTable::Member::Identity identity;
  if (!identityArguments(call, 0, identity)) return nullptr;
  auto table = std::make_shared<SharedTable>(monotonicNs);
  TableRegistry::Handle handle = registry().add(table);
  return NativeTable::make(call, std::make_unique<NativeTable>(std::move(table), handle, true),
                           std::move(identity));
}

napi_value attachSlotTable(napi_env env, napi_callback_info info) {
  NapiCall call(env, info);
  TableRegistry::Handle handle;
  SharedTable::Member::Identity identity;
  if (!call.integer(0, handle.id) || !call.integer(1, handle.key)) {
    return call.failArgument("handle: two numbers are wanted");
  }
  if (!identityArguments(call, 2, identity)) return nullptr;
  if (!registry().genuine(handle)) {
    return call.fail({"ERR_MILLRACE_HANDLE_INVALID", "this process gave no such handle", 0});
  }
  std::shared_ptr<SharedTable> table = registry().find(handle);
  if (table == nullptr) {
    return call.fail({"ERR_MILLRACE_TABLE_CLOSED", "its owner has closed the table", 0});
  }
  return NativeTable::make(call, std::make_unique<NativeTable>(std::move(table), handle, false),
                           std::move(identity));
}

}  // namespace millrace
