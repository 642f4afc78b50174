#include "proxy/regex_kit.h"

#include <functional>
#include <map>
#include <set>

#include "base/assert.h"

namespace millrace::test {

using NodePtr = std::shared_ptr<Node>;
struct Node {
  enum Kind { kEmpty, kBytes, kConcat, kAlternate, kRepeat, kGroup, kBegin, kEnd } kind = kEmpty;
  std::set<uint8_t> bytes;     // kBytes
  std::vector<NodePtr> parts;  // kConcat, kAlternate; one part of kRepeat and kGroup
  int min = 0, max = -1;       // kRepeat; only ?, *, + are made
  bool greedy = true;
  uint32_t group = 0;  // kGroup
};

namespace {

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}
  NodePtr run() {
    NodePtr node = alternate();
    MR_ASSERT(at_ == text_.size());
    return node;
  }
  uint32_t groups() const { return groups_; }

 private:
  bool more(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool take(char c) { return more(c) ? (at_++, true) : false; }
  NodePtr alternate() {
    auto node = std::make_shared<Node>();
    node->kind = Node::kAlternate;
    do node->parts.push_back(concat());
    while (take('|'));
    return node->parts.size() == 1 ? node->parts[0] : node;
  }
  NodePtr concat() {
    auto node = std::make_shared<Node>();
    node->kind = Node::kConcat;
    while (at_ < text_.size() && !more('|') && !more(')')) node->parts.push_back(repeat());
    return node;
  }
  NodePtr repeat() {
    NodePtr atom = this->atom();
    while (more('*') || more('+') || more('?')) {
      char op = text_[at_++];
      auto node = std::make_shared<Node>();
      node->kind = Node::kRepeat;
      node->min = op == '+' ? 1 : 0;
      node->max = op == '?' ? 1 : -1;
      node->greedy = !take('?');
      node->parts = {atom};
      atom = node;
    }
    return atom;
  }
  NodePtr atom() {
    auto node = std::make_shared<Node>();
    node->kind = Node::kBytes;
    if (take('(')) {
      node->kind = Node::kGroup;
      node->group = groups_++;
      node->parts = {alternate()};
      MR_ASSERT(take(')'));
    } else if (take('[')) {
      bool negated = take('^');
      while (!take(']')) {
        uint8_t from = uint8_t(text_[at_++]);
        uint8_t to = take('-') ? uint8_t(text_[at_++]) : from;
        for (int c = from; c <= to; c++) node->bytes.insert(uint8_t(c));
      }
      if (negated) node->bytes = complement(node->bytes);
    } else if (take('^')) {
      node->kind = Node::kBegin;
    } else if (take('$')) {
      node->kind = Node::kEnd;
    } else if (take('.')) {
      node->bytes = complement({'\n'});
    } else if (take('\\')) {
      char c = text_[at_++];
      if (c != 'd') node->bytes = {uint8_t(c)};
      for (char d = '0'; c == 'd' && d <= '9'; d++) node->bytes.insert(uint8_t(d));
    } else {
      node->bytes = {uint8_t(text_[at_++])};
    }
    return node;
  }
  static std::set<uint8_t> complement(const std::set<uint8_t>& bytes) {
    std::set<uint8_t> out;
    for (int c = 0; c < 256; c++) {
      if (bytes.count(uint8_t(c)) == 0) out.insert(uint8_t(c));
    }
    return out;
  }
  std::string_view text_;
  size_t at_ = 0;
  uint32_t groups_ = 1;
};

}  // namespace

Regex::Regex(std::string_view text) {
  Parser parser(text);
  root = parser.run();
  groups = parser.groups();
}

// ---- The naive matcher ------------------------------------------------------------------------

namespace {

class Backtracker {
 public:
  Backtracker(const Regex& regex, std::string_view input) : regex_(regex), input_(input) {}

  // The leftmost match at `from` or later, preferring what Perl prefers.
  bool search(size_t from, Captures& out) {
    for (size_t begin = from; begin <= input_.size(); begin++) {
      captures_.assign(2 * regex_.groups, -1);
      bool found = match(*regex_.root, begin, [&](size_t end) {
        captures_[0] = int(begin);
        captures_[1] = int(end);
        out = captures_;
        return true;
      });
      if (found) return true;
    }
    return false;
  }
  bool matchesAll() {
    captures_.assign(2 * regex_.groups, -1);
    return match(*regex_.root, 0, [&](size_t end) { return end == input_.size(); });
  }

 private:
  using Then = std::function<bool(size_t)>;
  bool match(const Node& node, size_t at, const Then& then) {
    switch (node.kind) {
      case Node::kEmpty:
        return then(at);
      case Node::kBytes:
        return at < input_.size() && node.bytes.count(uint8_t(input_[at])) > 0 && then(at + 1);
      case Node::kBegin:
        return at == 0 && then(at);
      case Node::kEnd:
        return at == input_.size() && then(at);
      case Node::kConcat:
        return concat(node, 0, at, then);
      case Node::kAlternate:
        for (const NodePtr& part : node.parts) {
          if (match(*part, at, then)) return true;
        }
        return false;
      case Node::kRepeat:
        return repeat(node, 0, at, then);
      case Node::kGroup: {
        int begin = captures_[2 * node.group], end = captures_[2 * node.group + 1];
        bool found = match(*node.parts[0], at, [&](size_t stop) {
          int b = captures_[2 * node.group], e = captures_[2 * node.group + 1];
          captures_[2 * node.group] = int(at);
          captures_[2 * node.group + 1] = int(stop);
          if (then(stop)) return true;
          captures_[2 * node.group] = b;
          captures_[2 * node.group + 1] = e;
          return false;
        });
        if (!found) {
          captures_[2 * node.group] = begin;
          captures_[2 * node.group + 1] = end;
        }
        return found;
      }
    }
    return false;
  }
  bool concat(const Node& node, size_t index, size_t at, const Then& then) {
    if (index == node.parts.size()) return then(at);
    return match(*node.parts[index], at,
                 [&, index](size_t next) { return concat(node, index + 1, next, then); });
  }
  bool repeat(const Node& node, int count, size_t at, const Then& then) {
    auto once = [&, count, at] {
      if (node.max >= 0 && count >= node.max) return false;
      return match(*node.parts[0], at, [&, count, at](size_t next) {
        return (next > at || count < node.min) && repeat(node, count + 1, next, then);
      });
    };
    if (count < node.min) return once();
    return node.greedy ? once() || then(at) : then(at) || once();
  }
  const Regex& regex_;
  std::string_view input_;
  Captures captures_;
};

}  // namespace

bool matchesAll(const Regex& regex, std::string_view input) {
  return Backtracker(regex, input).matchesAll();
}

bool search(const Regex& regex, std::string_view input, size_t from, Captures& out) {
  return Backtracker(regex, input).search(from, out);
}

// ---- Programs and automata --------------------------------------------------------------------

namespace {

class ProgramMaker {
 public:
  static spec::RegexProgram make(const Regex& regex) {
    ProgramMaker maker;
    maker.program_.groups = regex.groups;
    maker.emit(Op::kSave, 0);
    maker.add(*regex.root);
    maker.emit(Op::kSave, 1);
    maker.emit(Op::kMatch);
    return maker.program_;
  }

 private:
  using Op = spec::RegexProgram::Op;
  int32_t size() const { return int32_t(program_.code.size() / 3); }
  int32_t emit(Op op, int32_t x = 0, int32_t y = 0) {
    program_.code.insert(program_.code.end(), {op, x, y});
    return size() - 1;
  }
  void add(const Node& node) {
    switch (node.kind) {
      case Node::kEmpty:
        return;
      case Node::kBegin:
        emit(Op::kAssertBegin);
        return;
      case Node::kEnd:
        emit(Op::kAssertEnd);
        return;
      case Node::kBytes: {
        size_t set = program_.sets.size() / 32;
        program_.sets.resize(program_.sets.size() + 32);
        for (uint8_t c : node.bytes) program_.sets[set * 32 + c / 8] |= uint8_t(1 << (c % 8));
        emit(Op::kClass, int32_t(set));
        return;
      }
      case Node::kConcat:
        for (const NodePtr& part : node.parts) add(*part);
        return;
      case Node::kGroup:
        emit(Op::kSave, int32_t(2 * node.group));
        add(*node.parts[0]);
        emit(Op::kSave, int32_t(2 * node.group + 1));
        return;
      case Node::kAlternate:
        alternate(node, 0);
        return;
      case Node::kRepeat:
        repeat(node);
        return;
    }
  }
  void alternate(const Node& node, size_t index) {
    if (index + 1 == node.parts.size()) return add(*node.parts[index]);
    int32_t split = emit(Op::kSplit, size() + 1);
    add(*node.parts[index]);
    int32_t jump = emit(Op::kJump);
    program_.code[split * 3 + 2] = size();
    alternate(node, index + 1);
    program_.code[jump * 3 + 1] = size();
  }
  // Splits at `split` between the body and what follows.
  void branch(int32_t split, int32_t body, int32_t out, bool greedy) {
    program_.code[split * 3 + 1] = greedy ? body : out;
    program_.code[split * 3 + 2] = greedy ? out : body;
  }
  void repeat(const Node& node) {
    int32_t body = size();
    if (node.min == 1) {
      add(*node.parts[0]);
      int32_t split = emit(Op::kSplit);
      branch(split, body, size(), node.greedy);
      return;
    }
    int32_t split = emit(Op::kSplit);
    add(*node.parts[0]);
    if (node.max < 0) emit(Op::kJump, split);
    branch(split, split + 1, size(), node.greedy);
  }
  spec::RegexProgram program_;
};

}  // namespace

spec::RegexProgram programOf(const Regex& regex) {
  return ProgramMaker::make(regex);
}

// Subset construction over the program.
spec::Dfa dfaOf(const Regex& regex) {
  using Op = spec::RegexProgram::Op;
  spec::RegexProgram program = programOf(regex);
  auto op = [&](int32_t pc) { return program.code[size_t(pc) * 3]; };
  auto arg = [&](int32_t pc, int i) { return program.code[size_t(pc) * 3 + size_t(i)]; };
  using States = std::set<int32_t>;
  // At the end of the input $ holds, and only there; ^ only at the beginning.
  std::function<void(int32_t, bool, bool, States&)> close = [&](int32_t pc, bool begin, bool end,
                                                                States& out) {
    if (!out.insert(pc).second) return;
    if (op(pc) == Op::kJump) close(arg(pc, 1), begin, end, out);
    if (op(pc) == Op::kSplit) {
      close(arg(pc, 1), begin, end, out);
      close(arg(pc, 2), begin, end, out);
    }
    bool passes = op(pc) == Op::kSave || (op(pc) == Op::kAssertBegin && begin) ||
                  (op(pc) == Op::kAssertEnd && end);
    if (passes) close(pc + 1, begin, end, out);
  };
  std::map<std::pair<States, bool>, uint16_t>
      numbers;  // states before closing, and whether at the beginning
  std::vector<std::pair<States, bool>> todo;
  auto number = [&](const States& states, bool begin) {
    if (states.empty()) return uint16_t(0);
    auto [it, isNew] = numbers.insert({{states, begin}, uint16_t(numbers.size() + 1)});
    if (isNew) todo.push_back(it->first);
    return it->second;
  };
  spec::Dfa dfa;
  dfa.classCount = 256;
  for (int c = 0; c < 256; c++) dfa.classes.push_back(uint8_t(c));
  dfa.next.assign(256, 0);
  dfa.accepting = {0};
  dfa.start = number({0}, true);
  for (size_t i = 0; i < todo.size(); i++) {
    auto [states, begin] = todo[i];
    States open, atEnd;
    for (int32_t pc : states) close(pc, begin, false, open);
    for (int32_t pc : states) close(pc, begin, true, atEnd);
    bool accepts = false;
    for (int32_t pc : atEnd) accepts |= op(pc) == Op::kMatch;
    dfa.accepting.push_back(accepts);
    for (int c = 0; c < 256; c++) {
      States next;
      for (int32_t pc : open) {
        if (op(pc) == Op::kClass &&
            (program.sets[size_t(arg(pc, 1)) * 32 + size_t(c) / 8] >> (c % 8)) & 1) {
          next.insert(pc + 1);
        }
      }
      dfa.next.push_back(number(next, false));
    }
  }
  return dfa;
}

// ---- Random expressions -----------------------------------------------------------------------

std::string RandomRegex::alternate(int depth) {
  std::string out = concat(depth);
  while (roll(4) == 0) out += "|" + concat(depth);
  return out;
}

std::string RandomRegex::concat(int depth) {
  std::string out;
  for (int i = roll(4); i >= 0; i--) out += item(depth);
  return out;
}

std::string RandomRegex::item(int depth) {
  switch (roll(depth > 0 ? 9 : 6)) {
    case 0:
    case 1:
      return single();
    case 2:
      return single() + std::string(1, "*+?"[roll(3)]) + (roll(3) == 0 ? "?" : "");
    case 3:
      return roll(4) == 0 ? (roll(2) == 0 ? "^" : "$") : single();
    case 4:
      return single();
    case 5:
      return roll(6) == 0 ? "" : single();
    case 6:
      return "(" + alternate(depth - 1) + ")";
    default:  // begins with a byte, so it is not empty
      return "(" + single() + concat(depth - 1) + ")" + std::string(1, "*+?"[roll(3)]) +
             (roll(3) == 0 ? "?" : "");
  }
}

std::string RandomRegex::single() {
  switch (roll(5)) {
    case 0:
      return ".";
    case 1:
      return "[ab]";
    default:
      return std::string(1, "abc"[roll(3)]);
  }
}

}  // namespace millrace::test
