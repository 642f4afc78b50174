#include "proxy/regex_rewrite.h"

#include <utility>

#include "base/arena_buffer.h"
#include "base/scan.h"

namespace millrace {
namespace {

// Bytes of the UTF-8 character at the front of `text` (RFC 3629 §4), 1 for anything malformed.
size_t characterSize(std::string_view text) {
  auto byte = [text](size_t i) { return uint8_t(text[i]); };
  uint8_t first = byte(0);
  size_t size = first < 0xc2 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 1;
  if (size > text.size()) return 1;
  for (size_t i = 1; i < size; i++) {
    if ((byte(i) & 0xc0) != 0x80) return 1;
  }
  bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  bool surrogate = first == 0xed && byte(1) >= 0xa0;
  bool beyond = first == 0xf4 && byte(1) >= 0x90;
  return overlong || surrogate || beyond ? 1 : size;
}

}  // namespace

Result<RegexRewrite> RegexRewrite::compile(spec::RegexRewrite spec, const std::string& where) {
  Result<RegexProgram> program = RegexProgram::compile(std::move(spec.program), where + ".program");
  if (!program) return program.error();
  RegexRewrite rewrite;
  rewrite.program_ = std::move(*program);
  for (size_t i = 0; i < spec.substitution.size(); i++) {
    Part part;
    if (auto* group = std::get_if<uint32_t>(&spec.substitution[i])) {
      if (*group >= rewrite.program_.groups()) {
        return Error{"ERR_MILLRACE_REGEX", where + ".substitution[" + std::to_string(i) +
                                               "]: names a group that is not there"};
      }
      part.group = *group;
      part.isGroup = true;
    } else {
      part.literal = std::move(std::get<std::string>(spec.substitution[i]));
      const char* end = part.literal.data() + part.literal.size();
      if (scanTarget(part.literal.data(), end) != end) {
        return Error{"ERR_MILLRACE_REGEX", where + ".substitution[" + std::to_string(i) +
                                               "]: holds bytes that a request line cannot"};
      }
    }
    rewrite.parts_.push_back(std::move(part));
  }
  return rewrite;
}

bool RegexRewrite::replaceAll(std::string_view text, Arena& arena, std::string_view& out) const {
  constexpr size_t kNever = size_t(-1);
  RegexProgram::Searcher searcher(program_, arena, kMaxSteps);
  bool matched = searcher.search(text, 0);
  if (searcher.exhausted()) return false;
  if (!matched) {
    out = text;
    return true;
  }
  ArenaBuffer result(arena, text.size() + 64);
  size_t at = 0;
  size_t lastEnd = kNever;
  while (matched) {
    size_t begin = searcher.matchBegin();
    result.append(text.substr(at, begin - at));
    if (begin == lastEnd && searcher.matchEnd() == begin) {
      // An empty match right behind the last one does not count; one character passes unchanged.
      at = begin;
      if (at == text.size()) break;
      size_t skip = characterSize(text.substr(at));
      result.append(text.substr(at, skip));
      at += skip;
    } else {
      for (const Part& part : parts_) {
        result.append(part.isGroup ? searcher.group(part.group) : std::string_view(part.literal));
      }
      at = lastEnd = searcher.matchEnd();
    }
    matched = searcher.search(text, at);
    if (searcher.exhausted()) return false;
  }
  result.append(text.substr(at));
  out = result.text();
  return true;
}

}  // namespace millrace
