#include "binding/flush_file.h"

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "binding/flush_rotation.h"
#include "binding/js_reader.h"
#include "binding/native_class.h"
#include "flush/process_end.h"
#include "flush/shared_file.h"

namespace millrace {

namespace {

struct OpenOptions {
  FlushOptions flush;
  bool waits = false;
};

void readFields(JsReader& in, OpenOptions& out) {
  FlushSink::Target& target = out.flush.target;
  in.optional("path", target.path);
  in.optional("fd", target.fd);
  in.field("append", target.append);
  in.field("mkdir", target.makeFolders);
  in.field("mode", target.mode);
  in.field("flushInterval", out.flush.intervalMs);
  in.field("fillMark", out.flush.fillMark);
  in.field("segmentBytes", out.flush.ringBytes);
  in.field("maxBytes", out.flush.maxBytes);
  in.field("fsync", out.flush.fsync);
  in.field("endDeadline", out.flush.endDeadlineMs);
  in.field("name", out.flush.name);
  in.field("waits", out.waits);
  in.optional("rotation", out.flush.rotation);
  out.flush.deferWake = true;
}

void throwError(Napi::Env env, const Error& error) {
  Napi::Error e = Napi::Error::New(env, error.message);
  e.Set("code", Napi::String::New(env, error.code));
  if (error.sysErrno != 0) e.Set("errno", Napi::Number::New(env, error.sysErrno));
  e.ThrowAsJavaScriptException();
}

// A notice fits into the pointer that a thread-safe function carries, so none is ever left behind.
void* packed(const FlushNotice& n) {
  return reinterpret_cast<void*>((n.ticket << 24) | (uint64_t(n.sysErrno & 0xffff) << 8) | n.kind);
}

// One thread's file: of the object, and of its write function, whichever lives longer.
class Handle : public std::enable_shared_from_this<Handle> {
 public:
  explicit Handle(Napi::Env env) : env_(env) {}
  ~Handle() { close(); }

  bool start(std::shared_ptr<SharedFlushFile> file, size_t maxBytes, bool waits,
             const Napi::Value& onNotice);
  // Nothing is written any more, and no notice comes. Idempotent.
  void close();
  // While something is awaited the process does not end by itself.
  void hold(bool held) {
    if (notify_ == nullptr) return;
    if (held) {
      napi_ref_threadsafe_function(env_, notify_);
    } else {
      napi_unref_threadsafe_function(env_, notify_);
    }
  }
  FlushWriter* writer() { return writer_.get(); }

  static napi_value write(napi_env env, napi_callback_info info);

 private:
  // Most lines are shorter; a longer string is measured first.
  static constexpr size_t kScratchBytes = 16 * 1024;
  // A UTF-8 sequence that does not fit is left out whole, and the terminator takes a byte.
  static constexpr size_t kScratchSlack = 8;

  bool text(napi_value value, std::string_view& line);

  const Napi::Env env_;
  napi_threadsafe_function notify_ = nullptr;
  std::unique_ptr<FlushWriter> writer_;
  bool waits_ = false;
  std::array<char, kScratchBytes> scratch_;
  std::vector<char> long_;
};

void onEnvironmentEnd(void* handle) {
  static_cast<Handle*>(handle)->close();
}

void callNotice(napi_env env, napi_value onNotice, void*, void* data) {
  if (env == nullptr) return;  // the environment ends
  const auto bits = reinterpret_cast<uint64_t>(data);
  const double fields[] = {double(bits & 0xff), double(bits >> 24), double((bits >> 8) & 0xffff)};
  napi_value args[3], self;
  for (int i = 0; i < 3; i++) napi_create_double(env, fields[i], &args[i]);
  napi_get_undefined(env, &self);
  napi_call_function(env, self, onNotice, 3, args, nullptr);
}

bool Handle::start(std::shared_ptr<SharedFlushFile> file, size_t maxBytes, bool waits,
                   const Napi::Value& onNotice) {
  waits_ = waits;
  if (napi_create_threadsafe_function(env_, onNotice, nullptr,
                                      Napi::String::New(env_, "millrace.FlushFile"), 0, 1, nullptr,
                                      nullptr, nullptr, callNotice, &notify_) != napi_ok) {
    return false;
  }
  napi_unref_threadsafe_function(env_, notify_);
  napi_add_env_cleanup_hook(env_, onEnvironmentEnd, this);
  writer_ = std::make_unique<FlushWriter>(
      std::move(file), maxBytes, [notify = notify_](const FlushNotice& notice) {
        napi_call_threadsafe_function(notify, packed(notice), napi_tsfn_nonblocking);
      });
  return true;
}

void Handle::close() {
  if (notify_ == nullptr) return;
  writer_.reset();
  napi_remove_env_cleanup_hook(env_, onEnvironmentEnd, this);
  napi_release_threadsafe_function(notify_, napi_tsfn_abort);
  notify_ = nullptr;
}

// The bytes of a string or of a view; false when it is neither. One call of Node-API where it can
// be: this is the path of every line.
bool Handle::text(napi_value value, std::string_view& line) {
  size_t size = 0;
  if (napi_get_value_string_utf8(env_, value, scratch_.data(), scratch_.size(), &size) == napi_ok) {
    line = {scratch_.data(), size};
    if (size + kScratchSlack <= scratch_.size()) [[likely]]
      return true;
    napi_get_value_string_utf8(env_, value, nullptr, 0, &size);
    long_.resize(size + 1);
    napi_get_value_string_utf8(env_, value, long_.data(), long_.size(), &size);
    line = {long_.data(), size};
    return true;
  }
  bool isView = false;
  napi_is_typedarray(env_, value, &isView);
  if (!isView) return false;
  napi_typedarray_type type;
  void* data = nullptr;
  napi_get_typedarray_info(env_, value, &type, &size, &data, nullptr, nullptr);
  if (type != napi_uint8_array) return false;
  line = {static_cast<const char*>(data), size};
  return true;
}

// write(line): undefined when it was taken and all is well, else what FlushWriter::write() said.
// -1: neither a string nor bytes.
napi_value Handle::write(napi_env env, napi_callback_info info) {
  napi_value arg, result = nullptr;
  size_t count = 1;
  void* data = nullptr;
  napi_get_cb_info(env, info, &count, &arg, nullptr, &data);
  Handle& self = *static_cast<Handle*>(data);
  std::string_view line;
  if (count < 1 || !self.text(arg, line)) {
    napi_create_int32(env, -1, &result);
    return result;
  }
  const uint32_t how =
      self.writer_ == nullptr ? FlushWriter::kEnded : self.writer_->write(line, self.waits_);
  if (self.long_.capacity() > kScratchBytes) std::vector<char>().swap(self.long_);
  if (how == FlushWriter::kTaken) [[likely]]
    return nullptr;
  napi_create_uint32(env, how, &result);
  return result;
}

class FlushFileObject final {
 public:
  static constexpr const char* kName = "NativeFlushFile";
  static auto methods() {
    using Self = FlushFileObject;
    using Class = NativeClass<Self>;
    return std::array{
        Class::method<&Self::wake>("wake"),
        Class::method<&Self::flush>("flush"),
        Class::method<&Self::flushSync>("flushSync"),
        Class::method<&Self::reopen>("reopen"),
        Class::method<&Self::end>("end"),
        Class::method<&Self::finish>("finish"),
        Class::method<&Self::detach>("detach"),
        Class::method<&Self::hold>("hold"),
        Class::method<&Self::stats>("stats"),
    };
  }
  explicit FlushFileObject(Napi::Env env) : handle_(std::make_shared<Handle>(env)) {}

  // `object`: its own.
  bool start(Napi::Object object, const std::shared_ptr<SharedFlushFile>& file, size_t maxBytes,
             bool waits, const Napi::Value& onNotice) {
    Napi::Env env = object.Env();
    if (!handle_->start(file, maxBytes, waits, onNotice)) {
      throwError(env, {"ERR_MILLRACE_INTERNAL", "no thread-safe function", 0});
      return false;
    }
    napi_value function;
    auto kept = std::make_unique<std::shared_ptr<Handle>>(handle_);
    bool made = napi_create_function(env, "write", NAPI_AUTO_LENGTH, Handle::write, handle_.get(),
                                     &function) == napi_ok &&
                napi_add_finalizer(
                    env, function, kept.get(),
                    [](napi_env, void* data, void*) {
                      std::unique_ptr<std::shared_ptr<Handle>> owned(
                          static_cast<std::shared_ptr<Handle>*>(data));
                    },
                    nullptr, nullptr) == napi_ok;
    if (!made) return false;
    kept.release();
    object.Set("write", Napi::Value(env, function));
    object.Set("number", double(file->number()));
    return true;
  }

 private:
  // What can be asked of a file that this object has left: nothing.
  SharedFlushFile* file() {
    return handle_->writer() == nullptr ? nullptr : &handle_->writer()->file();
  }
  static uint32_t milliseconds(const Napi::CallbackInfo& info) {
    return info[0].IsNumber() ? info[0].As<Napi::Number>().Uint32Value() : 0;
  }
  static Napi::Value number(const Napi::CallbackInfo& info, uint64_t value) {
    return Napi::Number::New(info.Env(), double(value));
  }

  void wake(const Napi::CallbackInfo&) {
    if (handle_->writer() != nullptr) handle_->writer()->wake();
  }
  Napi::Value flush(const Napi::CallbackInfo& info) {
    return number(info, file() == nullptr ? 0 : file()->file().askFlush());
  }
  Napi::Value flushSync(const Napi::CallbackInfo& info) {
    const bool done = file() == nullptr || file()->file().flush(milliseconds(info));
    return Napi::Boolean::New(info.Env(), done);
  }
  Napi::Value reopen(const Napi::CallbackInfo& info) {
    return number(info, file() == nullptr ? 0 : file()->file().askReopen());
  }
  void end(const Napi::CallbackInfo& info) {
    if (file() != nullptr) file()->end(milliseconds(info));
  }
  Napi::Value finish(const Napi::CallbackInfo& info) {
    FlushFile::StopReport report{true, 0, 0};
    if (file() != nullptr) report = file()->finish();
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("lines", number(info, report.lostLines));
    result.Set("bytes", number(info, report.lostBytes));
    return result;
  }
  void detach(const Napi::CallbackInfo&) { handle_->close(); }
  void hold(const Napi::CallbackInfo& info) {
    handle_->hold(info[0].IsBoolean() && info[0].As<Napi::Boolean>().Value());
  }
  Napi::Value stats(const Napi::CallbackInfo& info);

  const std::shared_ptr<Handle> handle_;
};

Napi::Value FlushFileObject::stats(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (file() == nullptr) return env.Undefined();
  const FlushStats s = file()->file().stats();
  const std::pair<const char*, uint64_t> figures[] = {
      {"lines", s.acceptedLines},         {"bytes", s.acceptedBytes},
      {"writtenLines", s.writtenLines},   {"writtenBytes", s.writtenBytes},
      {"bufferedLines", s.bufferedLines}, {"bufferedBytes", s.bufferedBytes},
      {"droppedLines", s.droppedLines},   {"droppedBytes", s.droppedBytes},
      {"lostLines", s.lostLines},         {"lostBytes", s.lostBytes},
      {"writeErrors", s.writeErrors},     {"reopens", s.reopens},
      {"reopenErrors", s.reopenErrors},   {"lastErrno", uint64_t(s.lastErrno)},
      {"rotations", s.rotations},         {"rotateErrors", s.rotateErrors},
  };
  Napi::Object result = Napi::Object::New(env);
  for (const auto& [name, value] : figures) result.Set(name, double(value));
  result.Set("failing", s.failing);
  return result;
}

Napi::Value make(Napi::Env env, const std::shared_ptr<SharedFlushFile>& file, size_t maxBytes,
                 bool waits, const Napi::Value& onNotice) {
  // In an environment that ends, every step may fail without an exception.
  Napi::EscapableHandleScope scope(env);
  auto made = std::make_unique<FlushFileObject>(env);
  FlushFileObject* self = made.get();
  napi_value object = NativeClass<FlushFileObject>::make(env, std::move(made));
  if (object == nullptr) return {};
  if (!self->start({env, object}, file, maxBytes, waits, onNotice)) return {};
  return scope.Escape(object);
}

}  // namespace

Napi::Value openFlushFile(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  OpenOptions options;
  JsReader in(env);
  in.read(info[0], options);
  if (in.ok() && !info[1].IsFunction()) in.fail("onNotice: a function is wanted");
  if (!in.ok()) {
    in.throwIt();
    return env.Undefined();
  }
  const size_t maxBytes = options.flush.maxBytes;
  auto file = SharedFlushFile::open(std::move(options.flush));
  if (!file) {
    throwError(env, file.error());
    return env.Undefined();
  }
  return make(env, *file, maxBytes, options.waits, info[1]);
}

Napi::Value attachFlushFile(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  uint64_t number = 0;
  size_t maxBytes = 0;
  bool waits = false;
  JsReader in(env);
  in.read(info[0], number);
  in.read(info[1], maxBytes);
  in.read(info[2], waits);
  if (in.ok() && !info[3].IsFunction()) in.fail("onNotice: a function is wanted");
  if (!in.ok()) {
    in.throwIt();
    return env.Undefined();
  }
  auto file = SharedFlushFile::find(number);
  if (file == nullptr || file->ended()) return env.Undefined();
  return make(env, file, maxBytes, waits, info[3]);
}

Napi::Value watchEndingSignals(const Napi::CallbackInfo& info) {
  ProcessEnd::watch();
  return info.Env().Undefined();
}

}  // namespace millrace
