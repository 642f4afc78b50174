#include "proxy/regex_program.h"

#include <cstring>
#include <utility>

namespace millrace {
namespace {

using Op = spec::RegexProgram::Op;

Error bad(const std::string& where, const std::string& what) {
  return Error{"ERR_MILLRACE_REGEX", where + ": " + what};
}

// What is wrong with one instruction, or null. `size`: instructions in the program.
const char* checkInstruction(int32_t op, int64_t x, int64_t y, size_t at, size_t size, size_t sets,
                             size_t slots) {
  auto isTarget = [size](int64_t pc) { return pc >= 0 && size_t(pc) < size; };
  bool fallsThrough = op != Op::kSplit && op != Op::kJump && op != Op::kMatch;
  if (fallsThrough && at + 1 >= size) return "runs past the end";
  switch (op) {
    case Op::kClass:
      return x >= 0 && size_t(x) < sets ? nullptr : "names a set that is not there";
    case Op::kSplit:
      return isTarget(x) && isTarget(y) ? nullptr : "leads out of the program";
    case Op::kJump:
      return isTarget(x) ? nullptr : "leads out of the program";
    case Op::kSave:
      return x >= 0 && size_t(x) < slots ? nullptr : "saves a group that is not there";
    case Op::kMatch:
    case Op::kAssertBegin:
    case Op::kAssertEnd:
      return nullptr;
    default:
      return "is no known instruction";
  }
}

}  // namespace

Result<RegexProgram> RegexProgram::compile(spec::RegexProgram spec, const std::string& where) {
  size_t size = spec.code.size() / 3;
  if (size == 0 || spec.code.size() % 3 != 0) return bad(where + ".code", "must be triples");
  if (size > kMaxInstructions) return bad(where + ".code", "is too long");
  if (spec.sets.size() % 32 != 0) return bad(where + ".sets", "must have 32 bytes for each set");
  if (spec.groups == 0 || spec.groups > 1000) return bad(where + ".groups", "must be 1 to 1000");
  RegexProgram program;
  program.groups_ = spec.groups;
  program.code_.reserve(size + 2);
  for (size_t i = 0; i < size; i++) {
    const int32_t* triple = &spec.code[i * 3];
    const char* wrong = checkInstruction(triple[0], triple[1], triple[2], i, size,
                                         spec.sets.size() / 32, 2 * size_t(spec.groups));
    if (wrong != nullptr) return bad(where + ".code[" + std::to_string(i * 3) + "]", wrong);
    program.code_.push_back({Op(triple[0]), uint32_t(triple[1]), uint32_t(triple[2])});
  }
  program.sets_ = std::move(spec.sets);
  return program;
}

RegexProgram::Searcher::Searcher(const RegexProgram& program, Arena& arena, uint64_t stepLimit)
    : program_(program), arena_(arena), stepLimit_(stepLimit) {
  size_t size = program.code_.size();
  lastRound_ = arena.array<uint32_t>(size);
  std::memset(lastRound_, 0, size * sizeof(uint32_t));
  stack_ = arena.array<Thread>(size + 1);
  lists_[0] = arena.array<Thread>(size);
  lists_[1] = arena.array<Thread>(size);
}

RegexProgram::Searcher::Captures* RegexProgram::Searcher::fresh() {
  size_t slots = 2 * size_t(program_.groups_);
  Captures* captures = free_;
  if (captures != nullptr) {
    free_ = captures->next;
  } else {
    size_t bytes = sizeof(Captures) + slots * sizeof(uint32_t);
    captures = static_cast<Captures*>(arena_.allocate(bytes, alignof(Captures)));
  }
  captures->refs = 1;
  std::memset(captures->at(), 0xff, slots * sizeof(uint32_t));
  return captures;
}

RegexProgram::Searcher::Captures* RegexProgram::Searcher::changed(Captures* captures, uint32_t slot,
                                                                  uint32_t value) {
  if (captures->refs > 1) {
    Captures* copy = fresh();
    std::memcpy(copy->at(), captures->at(), 2 * size_t(program_.groups_) * sizeof(uint32_t));
    captures->refs--;
    captures = copy;
  }
  captures->at()[slot] = value;
  return captures;
}

void RegexProgram::Searcher::release(Captures* captures) {
  if (--captures->refs > 0) return;
  captures->next = free_;
  free_ = captures;
}

// Follows everything that consumes no byte, the preferred branch first, and adds the instructions
// that are then reached. Each instruction is entered once a round, so the stack holds no more than
// one entry for each. Takes over a reference.
void RegexProgram::Searcher::addThread(List& list, uint32_t pc, Captures* captures, size_t at) {
  uint32_t depth = 0;
  for (;;) {
    bool stop = lastRound_[pc] == round_;
    if (!stop) {
      lastRound_[pc] = round_;
      steps_++;
      const Instruction& in = program_.code_[pc];
      switch (in.op) {
        case Op::kSplit:
          captures->refs++;
          stack_[depth++] = {in.y, captures};
          pc = in.x;
          continue;
        case Op::kJump:
          pc = in.x;
          continue;
        case Op::kSave:
          captures = changed(captures, in.x, uint32_t(at));
          pc++;
          continue;
        case Op::kAssertBegin:
          stop = at != 0;
          break;
        case Op::kAssertEnd:
          stop = at != input_.size();
          break;
        case Op::kClass:
        case Op::kMatch:
          list.threads[list.size++] = {pc, captures};
          captures = nullptr;
          stop = true;
      }
      if (!stop) {
        pc++;
        continue;
      }
    }
    if (captures != nullptr) release(captures);
    if (depth == 0) return;
    depth--;
    pc = stack_[depth].pc;
    captures = stack_[depth].captures;
  }
}

// One byte (or the end of the input) for all threads of `now`, in order of preference.
void RegexProgram::Searcher::step(List& now, List& next, size_t at) {
  next.size = 0;
  round_++;
  bool atEnd = at == input_.size();
  uint8_t byte = atEnd ? 0 : uint8_t(input_[at]);
  for (uint32_t i = 0; i < now.size; i++) {
    Thread& thread = now.threads[i];
    const Instruction& in = program_.code_[thread.pc];
    if (in.op == Op::kMatch) {
      if (best_ != nullptr) release(best_);
      best_ = changed(thread.captures, 1, uint32_t(at));
      // The threads after this one are less preferred, whatever they would find.
      for (i++; i < now.size; i++) release(now.threads[i].captures);
      return;
    }
    if (!atEnd && program_.hasByte(in.x, byte)) {
      addThread(next, thread.pc + 1, thread.captures, at + 1);
    } else {
      release(thread.captures);
    }
  }
}

bool RegexProgram::Searcher::search(std::string_view input, size_t from) {
  if (best_ != nullptr) {
    release(best_);
    best_ = nullptr;
  }
  input_ = input;
  List now{lists_[0], 0};
  List next{lists_[1], 0};
  round_++;
  for (size_t at = from; at <= input.size(); at++) {
    // A match that begins here is less preferred than those that began before.
    if (best_ == nullptr) addThread(now, 0, changed(fresh(), 0, uint32_t(at)), at);
    if (now.size == 0 && best_ != nullptr) break;
    steps_ += now.size;
    if (exhausted()) return false;
    step(now, next, at);
    std::swap(now, next);
  }
  for (uint32_t i = 0; i < now.size; i++) release(now.threads[i].captures);
  return best_ != nullptr;
}

std::string_view RegexProgram::Searcher::group(uint32_t index) const {
  uint32_t begin = best_->at()[2 * index];
  uint32_t end = best_->at()[2 * index + 1];
  if (begin == kUnset || end == kUnset) return {};
  return input_.substr(begin, end - begin);
}

}  // namespace millrace
