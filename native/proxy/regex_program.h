// Searching with captures, in time linear in the input: a Pike machine, which follows all threads
// of a program at once, ordered by preference. Leftmost-first, as RE2 and Perl choose. The main
// thread compiles the programs; here they are checked and run.
//
// Built on the main thread; then immutable, read by every worker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "base/result.h"
#include "proxy/match_spec.h"

namespace millrace {

class RegexProgram {
 public:
  // A program longer than this is refused.
  static constexpr size_t kMaxInstructions = 65'536;
  static constexpr uint32_t kUnset = UINT32_MAX;

  // `where`: its path in the configuration, for errors. Every index is checked, so that running
  // need not.
  static Result<RegexProgram> compile(spec::RegexProgram spec, const std::string& where);

  // The memory of searches, from an arena, for one program; good for any number of searches.
  // Programs of up to about 200 instructions fit into one chunk of the arena.
  class Searcher {
   public:
    // `stepLimit`: how many instructions all searches together may execute.
    Searcher(const RegexProgram& program, Arena& arena, uint64_t stepLimit);
    Searcher(const Searcher&) = delete;
    Searcher& operator=(const Searcher&) = delete;

    // The leftmost match that begins at `from` or later; "begin" and "end" mean those of the whole
    // `input`.
    bool search(std::string_view input, size_t from);
    // After a match: the text of a group (0: all of the match); empty for one that took no part.
    std::string_view group(uint32_t index) const;
    size_t matchBegin() const { return best_->at()[0]; }
    size_t matchEnd() const { return best_->at()[1]; }
    // The steps ran out; the search that saw it reported no match.
    bool exhausted() const { return steps_ > stepLimit_; }

   private:
    // Where the groups of one thread begin and end: 2 * groups positions behind this header, shared
    // by threads until one of them changes it.
    struct Captures {
      uint32_t refs;
      Captures* next;  // on the free list
      uint32_t* at() { return reinterpret_cast<uint32_t*>(this + 1); }
    };
    struct Thread {
      uint32_t pc;
      Captures* captures;
    };
    struct List {
      Thread* threads;
      uint32_t size;
    };
    Captures* fresh();
    Captures* changed(Captures* captures, uint32_t slot, uint32_t value);
    void release(Captures* captures);
    void addThread(List& list, uint32_t pc, Captures* captures, size_t at);
    void step(List& now, List& next, size_t at);

    const RegexProgram& program_;
    Arena& arena_;
    const uint64_t stepLimit_;
    uint64_t steps_ = 0;
    uint32_t round_ = 0;   // counts the lists that were filled
    uint32_t* lastRound_;  // by instruction: the list it was last added to
    Thread* stack_;        // branches that wait while a preferred one is followed
    Thread* lists_[2];
    Captures* free_ = nullptr;
    Captures* best_ = nullptr;
    std::string_view input_;
  };

  uint32_t groups() const { return groups_; }

 private:
  struct Instruction {
    spec::RegexProgram::Op op;
    uint32_t x = 0, y = 0;
  };
  bool hasByte(uint32_t set, uint8_t byte) const {
    return (sets_[set * 32 + byte / 8] >> (byte % 8)) & 1;
  }
  std::vector<Instruction> code_;
  std::vector<uint8_t> sets_;
  uint32_t groups_ = 1;
};

}  // namespace millrace
