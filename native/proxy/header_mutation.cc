#include "proxy/header_mutation.h"

#include <utility>

#include "base/ascii.h"
#include "base/scan.h"
#include "proxy/formatter.h"

namespace millrace {
namespace {

using Action = spec::HeaderValue::Action;

// Written by the codec alone: the framing of a message and what concerns one hop.
constexpr HeaderId kCodecOwned[] = {HeaderId::kContentLength,   HeaderId::kTransferEncoding,
                                    HeaderId::kConnection,      HeaderId::kKeepAlive,
                                    HeaderId::kProxyConnection, HeaderId::kUpgrade};

bool isValue(std::string_view text) {
  return scanValue(text.data(), text.data() + text.size()) == text.data() + text.size();
}

Status checkName(std::string_view name, HeaderId id, bool adds, const std::string& where) {
  auto bad = [&](const char* why) {
    return Error{"ERR_MILLRACE_HEADER", where + ": \"" + std::string(name) + "\" " + why};
  };
  if (name.starts_with(':') || id == HeaderId::kHost) {
    return bad("cannot be changed: pseudo headers and host have rewrites of their own");
  }
  if (name.empty() ||
      scanToken(name.data(), name.data() + name.size()) != name.data() + name.size()) {
    return bad("is no name of a header");
  }
  for (HeaderId owned : kCodecOwned) {
    // Removing a hop-by-hop field asks for what happens anyway; a body cannot do without its
    // length.
    if (id == owned && (adds || id == HeaderId::kContentLength)) {
      return bad("cannot be changed: it belongs to the framing of the message");
    }
  }
  return Status();
}

const Header* findField(const HeaderList& headers, std::string_view name, HeaderId id) {
  return id != HeaderId::kOther ? headers.find(id) : headers.find(name);
}

}  // namespace

HeaderMutations::HeaderMutations() = default;
HeaderMutations::~HeaderMutations() = default;
HeaderMutations::HeaderMutations(HeaderMutations&&) noexcept = default;
HeaderMutations& HeaderMutations::operator=(HeaderMutations&&) noexcept = default;

Result<HeaderMutations> HeaderMutations::compile(spec::HeaderMutations spec,
                                                 const std::string& where) {
  HeaderMutations mutations;
  for (size_t i = 0; i < spec.remove.size(); i++) {
    Name name{lowered(spec.remove[i]), headerId(spec.remove[i])};
    Status status =
        checkName(name.text, name.id, false, where + ".remove[" + std::to_string(i) + "]");
    if (!status) return status.error();
    mutations.remove_.push_back(std::move(name));
  }
  for (size_t i = 0; i < spec.add.size(); i++) {
    Result<Value> value =
        compileValue(std::move(spec.add[i]), where + ".add[" + std::to_string(i) + "]");
    if (!value) return value.error();
    // An empty literal that is not to be kept never does anything.
    if (value->format == nullptr && value->literal.empty() && !value->keepEmpty) continue;
    mutations.add_.push_back(std::move(*value));
  }
  return mutations;
}

Result<HeaderMutations::Value> HeaderMutations::compileValue(spec::HeaderValue spec,
                                                             const std::string& where) {
  Value value;
  value.name = Name{lowered(spec.name), headerId(spec.name)};
  value.action = spec.action;
  value.keepEmpty = spec.keepEmpty;
  Status status = checkName(value.name.text, value.name.id, true, where + ".name");
  if (!status) return status.error();
  bool isLiteral = true;
  for (const spec::FormatOp& op : spec.value) {
    const std::string* literal = std::get_if<std::string>(&op);
    isLiteral = isLiteral && literal != nullptr;
    if (literal == nullptr) continue;
    if (!isValue(*literal)) {
      return Error{"ERR_MILLRACE_HEADER", where + ".value: control bytes cannot be sent"};
    }
    value.literal += *literal;
  }
  if (isLiteral) return value;
  value.literal.clear();
  Result<FormatProgram> format = FormatProgram::compileValue(spec.value, where + ".value");
  if (!format) return format.error();
  value.format = std::make_unique<FormatProgram>(std::move(*format));
  return value;
}

std::string_view HeaderMutations::textOf(const Value& value, const StreamInfo& info, Arena& arena) {
  if (value.format == nullptr) return value.literal;
  char text[FormatProgram::kMaxLineBytes];
  std::string_view made(text, value.format->run(info, text, sizeof text));
  // Decoded from a query it may hold line ends, which would begin another field. It counts as empty
  // then.
  return isValue(made) ? arena.copy(made) : std::string_view();
}

void HeaderMutations::apply(HeaderList& headers, const StreamInfo& info) const {
  for (const Name& name : remove_) {
    if (name.id != HeaderId::kOther) {
      headers.remove(name.id);
    } else {
      headers.remove(name.text);
    }
  }
  if (add_.empty()) return;
  // What is to be set, made before anything is: formats see the fields as they came.
  struct Made {
    const Value* value;
    std::string_view text;
  };
  Made* made = headers.arena().array<Made>(add_.size());
  size_t count = 0;
  for (const Value& value : add_) {
    std::string_view text = textOf(value, info, headers.arena());
    if (text.empty() && !value.keepEmpty) continue;
    bool onlyIfAbsent = value.action == Action::kAddIfAbsent;
    bool onlyIfPresent = value.action == Action::kOverwriteIfExists;
    if (onlyIfAbsent || onlyIfPresent) {
      bool present = findField(headers, value.name.text, value.name.id) != nullptr;
      if (present == onlyIfAbsent) continue;
    }
    made[count++] = {&value, text};
  }
  auto overwrites = [](const Made& m) {
    return m.value->action == Action::kOverwrite || m.value->action == Action::kOverwriteIfExists;
  };
  for (size_t i = 0; i < count; i++) {
    if (overwrites(made[i])) headers.set(made[i].value->name.text, made[i].text);
  }
  for (size_t i = 0; i < count; i++) {
    const Name& name = made[i].value->name;
    if (!overwrites(made[i])) headers.add(name.text, made[i].text, name.id);
  }
}

}  // namespace millrace
