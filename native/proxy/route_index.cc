#include "proxy/route_index.h"

#include <map>

#include "base/ascii.h"
#include "base/assert.h"
#include "http/headers.h"

namespace millrace {

using Kind = spec::RouteMatch::Kind;

// Lists by key, while they grow.
struct RouteIndex::Builder {
  using Lists = std::map<std::string, std::vector<Entry>>;
  Lists exact, exactFolded, prefixes, prefixesFolded;

  void add(const Route& route, uint32_t number) {
    const PathPattern& path = route.path;
    bool folded = !path.caseSensitive && path.kind != Kind::kRegex;
    std::string key = path.kind == Kind::kRegex ? path.dfa.literalPrefix() : path.value;
    if (folded) key = lowered(key);
    Entry entry{number, !route.unconditional(), path.kind == Kind::kRegex,
                path.kind == Kind::kSeparatedPrefix, uint32_t(key.size())};
    bool isExact = path.kind == Kind::kPath;
    Lists& lists = isExact ? (folded ? exactFolded : exact) : (folded ? prefixesFolded : prefixes);
    std::vector<Entry>& list = lists[std::move(key)];
    // Behind one that always matches nothing is ever reached.
    if (!list.empty()) {
      const Entry& last = list.back();
      if (!last.conditions && !last.expression && !last.separated) return;
    }
    list.push_back(entry);
  }
};

void RouteIndex::build(std::vector<Route>& routes) {
  MR_ASSERT(lists_.empty());
  for (Route& route : routes) {
    for (QueryMatcher& matcher : route.query) matcher.number(queryNames_);
  }
  if (!routes.empty()) {
    const PathPattern& path = routes[0].path;
    firstAlways_ = path.kind == Kind::kPrefix && path.caseSensitive && !path.value.empty() &&
                   path.value.find('?') == std::string::npos && routes[0].unconditional();
  }
  Builder builder;
  for (size_t i = 0; i < routes.size(); i++) builder.add(routes[i], uint32_t(i));
  auto keep = [this](const std::vector<Entry>& list) {
    Span span{uint32_t(entries_.size()), uint32_t(entries_.size() + list.size())};
    entries_.insert(entries_.end(), list.begin(), list.end());
    lists_.push_back(span);
    return uint32_t(lists_.size() - 1);
  };
  for (const auto& [key, list] : builder.exact) exact_.insert(key, keep(list));
  for (const auto& [key, list] : builder.exactFolded) exactFolded_.insert(key, keep(list));
  auto trie = [&keep](const Builder::Lists& lists, PrefixTrie& into, Fold fold) {
    std::vector<PrefixTrie::Key> keys;
    for (const auto& [key, list] : lists) keys.push_back({key, keep(list)});
    into.build(std::move(keys), fold);
  };
  trie(builder.prefixes, prefixes_, Fold::kNone);
  trie(builder.prefixesFolded, prefixesFolded_, Fold::kLower);
  mostLists_ = (exact_.empty() ? 0 : 1) + (exactFolded_.empty() ? 0 : 1) + prefixes_.depth() +
               prefixesFolded_.depth();
}

size_t RouteIndex::collect(std::string_view path, uint32_t* lists) const {
  size_t count = 0;
  uint32_t list = exact_.find(path);
  if (list != StringIndex::kNone) lists[count++] = list;
  list = exactFolded_.find(path);
  if (list != StringIndex::kNone) lists[count++] = list;
  count += prefixes_.find(path, lists + count);
  count += prefixesFolded_.find(path, lists + count);
  return count;
}

bool RouteIndex::accepts(const Entry& entry, const Route& route, std::string_view path,
                         const RouteRequest& request, QueryValues& query) {
  if (entry.separated && entry.boundary < path.size() && path[entry.boundary] != '/') return false;
  if (entry.expression && !route.path.dfa.matches(path)) return false;
  return !entry.conditions || route.conditionsMatch(request, query);
}

const Route* RouteIndex::find(const std::vector<Route>& routes, const RouteRequest& request) const {
  if (firstAlways_ && request.path.starts_with(routes[0].path.value)) return routes.data();
  SplitPath path = splitPath(request.path);
  if (path.path.empty()) return nullptr;  // CONNECT: no path, nothing to match by one
  QueryValues query(queryNames_, path.query, request.headers->arena());
  uint32_t fewLists[kFewLists];
  Span fewSpans[kFewLists];
  bool few = mostLists_ <= kFewLists;
  uint32_t* lists = few ? fewLists : request.headers->arena().array<uint32_t>(mostLists_);
  Span* spans = few ? fewSpans : request.headers->arena().array<Span>(mostLists_);
  size_t count = collect(path.path, lists);
  for (size_t i = 0; i < count; i++) spans[i] = lists_[lists[i]];
  while (count > 0) {
    size_t first = 0;
    for (size_t i = 1; i < count; i++) {
      if (entries_[spans[i].begin].route < entries_[spans[first].begin].route) first = i;
    }
    const Entry& entry = entries_[spans[first].begin];
    const Route& route = routes[entry.route];
    if (accepts(entry, route, path.path, request, query)) return &route;
    if (++spans[first].begin == spans[first].end) spans[first] = spans[--count];
  }
  return nullptr;
}

}  // namespace millrace
