// Regular expressions as deterministic automata: one table look-up for each byte of input, whatever
// the expression. The main thread compiles them; here they are checked and run.
//
// Built on the main thread; then immutable, read by every worker.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "proxy/match_spec.h"

namespace millrace {

class Dfa {
 public:
  Dfa() = default;  // matches nothing
  // `where`: its path in the configuration, for errors. Every index in the tables is checked, so
  // that matching need not.
  static Result<Dfa> compile(spec::Dfa spec, const std::string& where);

  // Whether the whole of `input` matches.
  bool matches(std::string_view input) const;
  // What every match begins with: lets a route table find regular expressions by prefix.
  std::string literalPrefix() const;

 private:
  // Rows are addressed by their offset in next_ (state * classCount), so that a step is an add and
  // a load.
  std::vector<uint32_t> next_;
  std::vector<uint8_t> accepting_;  // by state
  std::unique_ptr<uint8_t[]> classes_;
  uint32_t classCount_ = 1;
  uint32_t start_ = 0;  // offset
};

}  // namespace millrace
