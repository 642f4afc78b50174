// Finds the first route that matches without trying all of them. Exact paths are in hash tables;
// prefixes, and the literal beginnings of regular expressions, in tries. Each gives a list of
// routes in their configured order; the lists are merged, and only those candidates have their
// other conditions checked.
//
// Built on the main thread; then immutable, read by every worker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/string_index.h"
#include "proxy/prefix_trie.h"
#include "proxy/route.h"

namespace millrace {

class RouteIndex {
 public:
  // Numbers the query parameters that `routes` ask for.
  void build(std::vector<Route>& routes);

  // The first of `routes` (those it was built from) that matches, or null. Uses the arena of
  // request.headers only for tables with more than kFewLists prefixes nested in one another, and
  // for the values of many query parameters.
  const Route* find(const std::vector<Route>& routes, const RouteRequest& request) const;

 private:
  static constexpr size_t kFewLists = 8;

  // What is left to check when the path led to a route.
  struct Entry {
    uint32_t route;
    bool conditions;  // headers, query, fraction
    bool expression;  // its DFA
    bool separated;   // the path must end, or go on with '/', at `boundary`
    uint32_t boundary;
  };
  struct Span {
    uint32_t begin, end;  // in entries_, ordered by route
  };
  struct Builder;
  static bool accepts(const Entry& entry, const Route& route, std::string_view path,
                      const RouteRequest& request, QueryValues& query);
  size_t collect(std::string_view path, uint32_t* lists) const;

  // The first route is a prefix and nothing more: it is tried before everything else. Many tables
  // have only that one.
  bool firstAlways_ = false;
  std::vector<Entry> entries_;
  std::vector<Span> lists_;
  StringIndex exact_{Fold::kNone};
  StringIndex exactFolded_{Fold::kLower};
  PrefixTrie prefixes_;
  PrefixTrie prefixesFolded_;
  StringIndex queryNames_{Fold::kNone};
  size_t mostLists_ = 0;  // that one path can meet
};

}  // namespace millrace
