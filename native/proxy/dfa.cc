#include "proxy/dfa.h"

#include <algorithm>

namespace millrace {
namespace {

Error bad(const std::string& where, const char* what) {
  return Error{"ERR_MILLRACE_DFA", where + ": " + what};
}

}  // namespace

Result<Dfa> Dfa::compile(spec::Dfa spec, const std::string& where) {
  size_t states = spec.accepting.size();
  if (spec.classes.size() != 256) return bad(where + ".classes", "must have 256 entries");
  if (spec.classCount == 0 || spec.classCount > 256) {
    return bad(where + ".classCount", "must be from 1 to 256");
  }
  for (uint8_t c : spec.classes) {
    if (c >= spec.classCount) return bad(where + ".classes", "names a class beyond classCount");
  }
  if (states == 0 || spec.next.size() != states * spec.classCount) {
    return bad(where + ".next", "must have classCount entries for each state of accepting");
  }
  if (spec.start >= states) return bad(where + ".start", "is not a state");
  for (uint16_t s : spec.next) {
    if (s >= states) return bad(where + ".next", "leads to a state that is not there");
  }
  auto deadRow = spec.next.begin();
  if (spec.accepting[0] != 0 ||
      std::any_of(deadRow, deadRow + spec.classCount, [](uint16_t s) { return s != 0; })) {
    return bad(where, "state 0 must be dead");
  }
  Dfa dfa;
  dfa.classCount_ = spec.classCount;
  dfa.classes_ = std::make_unique<uint8_t[]>(256);
  std::copy(spec.classes.begin(), spec.classes.end(), dfa.classes_.get());
  dfa.accepting_ = std::move(spec.accepting);
  dfa.next_.reserve(spec.next.size());
  for (uint16_t s : spec.next) dfa.next_.push_back(s * spec.classCount);
  dfa.start_ = spec.start * spec.classCount;
  return dfa;
}

bool Dfa::matches(std::string_view input) const {
  if (next_.empty()) return false;
  const uint8_t* classes = classes_.get();
  const uint32_t* next = next_.data();
  uint32_t state = start_;
  const auto* p = reinterpret_cast<const uint8_t*>(input.data());
  const auto* end = p + input.size();
  // The dead state leads to itself, so four steps may pass before it is noticed.
  for (; end - p >= 4; p += 4) {
    state = next[state + classes[p[0]]];
    state = next[state + classes[p[1]]];
    state = next[state + classes[p[2]]];
    state = next[state + classes[p[3]]];
    if (state == 0) return false;
  }
  for (; p != end; p++) state = next[state + classes[*p]];
  return accepting_[state / classCount_] != 0;
}

std::string Dfa::literalPrefix() const {
  std::string prefix;
  if (next_.empty()) return prefix;
  uint32_t state = start_;
  // As long as exactly one byte leads on. A cycle of such states has no end and so no match; the
  // bound is its end here.
  while (accepting_[state / classCount_] == 0 && prefix.size() < accepting_.size()) {
    int only = -1;
    for (int byte = 0; byte < 256 && only != -2; byte++) {
      if (next_[state + classes_[byte]] != 0) only = only == -1 ? byte : -2;
    }
    if (only < 0) break;
    prefix.push_back(char(only));
    state = next_[state + classes_[only]];
  }
  return prefix;
}

}  // namespace millrace
