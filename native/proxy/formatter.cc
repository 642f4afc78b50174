// Compiling formats to steps, and running them; see formatter.h.
#include "proxy/formatter.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "proxy/format_output.h"

namespace millrace {

// Turns a format into steps. Adjacent literals become one.
class FormatCompiler {
 public:
  FormatCompiler(FormatProgram& program, const std::string& where) : p_(program), where_(where) {}

  Status text(const std::vector<spec::FormatOp>& ops) {
    return each(ops, StepKind::kValue, [this](std::string_view s) { literal(s); });
  }

  Status json(const spec::Format& format) {
    omit_ = format.omitEmpty;
    if (Status s = node(format.root, 0); !s.ok()) return s;
    literal("\n");
    return {};
  }

  Status finish() {
    if (p_.literals_.size() > FormatProgram::kMaxLiteralBytes) {
      return error("has more than " + std::to_string(FormatProgram::kMaxLiteralBytes) +
                   " bytes of literal text");
    }
    if (p_.steps_.size() > FormatProgram::kMaxSteps) {
      return error("has more than " + std::to_string(FormatProgram::kMaxSteps) + " parts");
    }
    for (const FormatOp& op : p_.ops_) {
      p_.usesDownstreamLocal_ |= op.address() == &StreamInfo::downstreamLocal;
      p_.usesUpstreamLocal_ |= op.address() == &StreamInfo::upstreamLocal;
    }
    return {};
  }

 private:
  using StepKind = FormatProgram::StepKind;
  using Step = FormatProgram::Step;

  Error error(const std::string& what) const {
    return Error{"ERR_MILLRACE_FORMAT", where_ + ": " + what};
  }

  Step stepWithText(StepKind kind, std::string_view text) {
    Step step{kind};
    step.literalAt = uint32_t(p_.literals_.size());
    step.literalSize = uint32_t(text.size());
    p_.literals_ += text;
    return step;
  }

  void literal(std::string_view text) {
    if (text.empty()) return;
    if (!p_.steps_.empty() && p_.steps_.back().kind == StepKind::kLiteral) {
      p_.literals_ += text;
      p_.steps_.back().literalSize += uint32_t(text.size());
      return;
    }
    p_.steps_.push_back(stepWithText(StepKind::kLiteral, text));
  }

  void bracket(StepKind kind, char bracket) {
    Step step{kind};
    step.bracket = bracket;
    p_.steps_.push_back(step);
  }

  Status value(const spec::FormatOperator& op, StepKind kind) {
    auto compiled = FormatOp::compile(op, where_);
    if (!compiled) return compiled.error();
    Step step{kind};
    step.op = uint32_t(p_.ops_.size());
    p_.ops_.push_back(std::move(*compiled));
    p_.steps_.push_back(step);
    return {};
  }

  template <typename Literal>
  Status each(const std::vector<spec::FormatOp>& ops, StepKind kind, Literal onLiteral) {
    for (const spec::FormatOp& op : ops) {
      if (const auto* text = std::get_if<std::string>(&op)) {
        onLiteral(*text);
      } else if (Status s = value(*std::get_if<spec::FormatOperator>(&op), kind); !s.ok()) {
        return s;
      }
    }
    return {};
  }

  static std::string jsonEscaped(std::string_view text) {
    std::string out(text.size() * 6 + 1, '\0');
    FormatOutput o(out.data(), out.size());
    o.appendJson(text);
    out.resize(o.size());
    return out;
  }

  Status node(const spec::JsonNode& n, uint32_t depth) {
    if (depth > FormatProgram::kMaxDepth) return error("is nested too deeply");
    switch (n.kind) {
      case spec::JsonNode::Kind::kLiteral:
        literal(n.json);
        if (omit_) bracket(StepKind::kPresent, 0);
        return {};
      case spec::JsonNode::Kind::kValue:
        return jsonValue(n);
      case spec::JsonNode::Kind::kObject:
        return container(n.entries.size(), "{}", depth, [&](size_t i) -> const spec::JsonNode& {
          key("\"" + jsonEscaped(n.entries[i].first) + "\":");
          return n.entries[i].second;
        });
      case spec::JsonNode::Kind::kList:
        return container(n.items.size(), "[]", depth, [&](size_t i) -> const spec::JsonNode& {
          key("");
          return n.items[i];
        });
    }
    return {};
  }

  template <typename Member>
  Status container(size_t size, const char* brackets, uint32_t depth, Member member) {
    if (omit_) {
      bracket(StepKind::kOpen, brackets[0]);
    } else {
      literal({brackets, 1});
    }
    first_ = true;
    for (size_t i = 0; i < size; i++) {
      if (Status s = node(member(i), depth + 1); !s.ok()) return s;
      first_ = false;
    }
    if (omit_) {
      bracket(StepKind::kClose, brackets[1]);
    } else {
      literal({brackets + 1, 1});
    }
    return {};
  }

  // What stands before a member: a comma unless it is the first, and its key.
  void key(const std::string& text) {
    if (omit_) {
      p_.steps_.push_back(stepWithText(StepKind::kMember, text));
    } else {
      literal(first_ ? text : "," + text);
    }
  }

  // One operator alone keeps its type; anything else is a string.
  Status jsonValue(const spec::JsonNode& n) {
    if (n.ops.size() == 1 && std::holds_alternative<spec::FormatOperator>(n.ops[0])) {
      return value(*std::get_if<spec::FormatOperator>(&n.ops[0]),
                   omit_ ? StepKind::kOptional : StepKind::kJsonValue);
    }
    literal("\"");
    Status s = each(n.ops, StepKind::kJsonPart,
                    [this](std::string_view text) { literal(jsonEscaped(text)); });
    if (!s.ok()) return s;
    literal("\"");
    if (omit_) bracket(StepKind::kPresent, 0);
    return {};
  }

  FormatProgram& p_;
  const std::string& where_;
  bool omit_ = false;
  bool first_ = true;
};

Result<FormatProgram> FormatProgram::compile(const spec::Format& format, const std::string& where) {
  FormatProgram program;
  FormatCompiler compiler(program, where);
  program.absent_ = format.omitEmpty ? "" : "-";
  const bool json = format.mode == spec::Format::Mode::kJson;
  if (Status s = json ? compiler.json(format) : compiler.text(format.ops); !s.ok()) {
    return s.error();
  }
  if (Status s = compiler.finish(); !s.ok()) return s.error();
  return program;
}

Result<FormatProgram> FormatProgram::compileValue(const std::vector<spec::FormatOp>& ops,
                                                  const std::string& where) {
  FormatProgram program;
  FormatCompiler compiler(program, where);
  program.absent_ = "";
  program.escapes_ = false;
  if (Status s = compiler.text(ops); !s.ok()) return s.error();
  if (Status s = compiler.finish(); !s.ok()) return s.error();
  return program;
}

// One execution: the output, and where the containers that are open began.
struct FormatProgram::Run {
  struct Container {
    size_t memberAt;  // where the member began that this container is the value of
    uint32_t members;
  };

  const FormatProgram& program;
  const StreamInfo& info;
  FormatOutput out;
  size_t share = SIZE_MAX;  // values are cut to so many bytes
  FormatValue value;
  Container open[kMaxDepth + 2];  // [0] is what the outermost value belongs to
  uint32_t depth = 0;

  Run(const FormatProgram& p, const StreamInfo& i, const FormatOutput& o)
      : program(p), info(i), out(o) {
    open[0] = {0, 0};
  }

  void evaluate(const Step& step) {
    const FormatOp& op = program.ops_[step.op];
    op.evaluate(info, value);
    if (value.kind == FormatValue::Kind::kText) {
      value.text = value.text.substr(0, std::min<size_t>(op.maxBytes(), share));
    }
  }

  void plain(const Step& step) {
    evaluate(step);
    switch (value.kind) {
      case FormatValue::Kind::kAbsent:
        return out.append(program.absent_);
      case FormatValue::Kind::kNumber:
        return out.appendDecimal(value.number);
      case FormatValue::Kind::kText:
        if (value.foreign && program.escapes_) return out.appendEscaped(value.text);
        return out.append(value.text);
    }
  }

  void jsonPart(const Step& step) {
    evaluate(step);
    switch (value.kind) {
      case FormatValue::Kind::kAbsent:
        return out.append(program.absent_);
      case FormatValue::Kind::kNumber:
        return out.appendDecimal(value.number);
      case FormatValue::Kind::kText:
        return out.appendJson(value.text);
    }
  }

  // False: absent, nothing was written.
  bool typed(const Step& step) {
    evaluate(step);
    if (value.kind == FormatValue::Kind::kAbsent) return false;
    if (value.kind == FormatValue::Kind::kNumber) {
      out.appendDecimal(value.number);
      return true;
    }
    out.append('"');
    out.appendJson(value.text);
    out.append('"');
    return true;
  }

  // The steps of omitEmpty. memberAt of the innermost container is where its current member began.
  void openContainer(char bracket) {
    open[++depth] = {0, 0};
    out.append(bracket);
  }
  void member(std::string_view key) {
    Container& c = open[depth];
    c.memberAt = out.size();
    if (c.members != 0) out.append(',');
    out.append(key);
  }
  void settle(bool present) {
    Container& c = open[depth];
    if (present) {
      c.members++;
    } else {
      out.rewind(c.memberAt);
    }
  }
  void closeContainer(char bracket) {
    const bool empty = open[depth].members == 0;
    depth--;
    if (!empty || depth == 0) out.append(bracket);  // the outermost one is always there
    settle(!empty || depth == 0);
  }
};

void FormatProgram::execute(Run& run) const {
  for (const Step& step : steps_) {
    const std::string_view text(literals_.data() + step.literalAt, step.literalSize);
    switch (step.kind) {
      case StepKind::kLiteral:
        run.out.append(text);
        break;
      case StepKind::kValue:
        run.plain(step);
        break;
      case StepKind::kJsonValue:
        if (!run.typed(step)) run.out.append("null");
        break;
      case StepKind::kJsonPart:
        run.jsonPart(step);
        break;
      case StepKind::kOpen:
        run.openContainer(step.bracket);
        break;
      case StepKind::kMember:
        run.member(text);
        break;
      case StepKind::kOptional:
        run.settle(run.typed(step));
        break;
      case StepKind::kPresent:
        run.settle(true);
        break;
      case StepKind::kClose:
        run.closeContainer(step.bracket);
        break;
    }
  }
}

size_t FormatProgram::run(const StreamInfo& info, char* out, size_t cap) const {
  Run run(*this, info, FormatOutput(out, cap));
  execute(run);
  if (!run.out.overflowed()) return run.out.size();
  // Again, with values so short that all of them fit: an escape makes six bytes of one at the most,
  // and what is around a value (quotes, a comma, "null", a number) is shorter than kPerStep.
  constexpr size_t kPerStep = 32;
  const size_t fixed = literals_.size() + steps_.size() * kPerStep;
  const size_t left = cap > fixed ? cap - fixed : 0;
  run.out = FormatOutput(out, cap);
  run.share = left / (6 * std::max<size_t>(ops_.size(), 1));
  run.depth = 0;
  run.open[0] = {0, 0};
  execute(run);
  return run.out.size();
}

}  // namespace millrace
