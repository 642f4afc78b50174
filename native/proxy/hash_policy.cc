#include "proxy/hash_policy.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/ascii.h"
#include "net/address.h"
#include "proxy/query_matcher.h"
#include "proxy/stream_info.h"
#include "upstream/balancer/hash.h"

namespace millrace {

namespace {

using Kind = spec::HashPolicy::Kind;

std::string_view addressText(const Address& address, bool withPort, Arena& arena) {
  char* text = arena.array<char>(Address::kMaxText);
  return {text, address.format(text, withPort)};
}

std::string_view pseudoHeader(const RequestHead& head, std::string_view name) {
  if (name == ":path") return head.path;
  if (name == ":authority") return head.authority;
  return name == ":method" ? head.methodText : std::string_view();
}

}  // namespace

Result<HashPolicies> HashPolicies::compile(std::vector<spec::HashPolicy> specs,
                                           const std::string& where) {
  HashPolicies policies;
  for (size_t i = 0; i < specs.size(); i++) {
    spec::HashPolicy& spec = specs[i];
    Policy policy;
    policy.kind = spec.kind;
    policy.terminal = spec.terminal;
    policy.name = std::move(spec.name);
    if (spec.kind != Kind::kSourceIp && policy.name.empty()) {
      return Error{"ERR_MILLRACE_ROUTES",
                   where + "[" + std::to_string(i) + "].name: must not be empty"};
    }
    if (spec.kind == Kind::kHeader) policy.name = lowered(policy.name);
    if (spec.rewrite) {
      auto rewrite = RegexRewrite::compile(std::move(*spec.rewrite),
                                           where + "[" + std::to_string(i) + "].rewrite");
      if (!rewrite) return rewrite.error();
      policy.rewrite = std::move(*rewrite);
    }
    if (spec.ttl) {
      policy.makesCookie = true;
      policy.cookieTail = cookieTail(*spec.ttl, spec.path, spec.attributes);
    }
    policies.policies_.push_back(std::move(policy));
  }
  return policies;
}

std::optional<uint64_t> HashPolicies::hash(const RequestHead& head, const StreamInfo& info,
                                           Arena& arena, NewCookie*& cookies) const {
  std::optional<uint64_t> hash;
  for (const Policy& policy : policies_) {
    if (auto value = one(policy, head, info, arena, cookies)) {
      // Turned, so that two equal values do not cancel each other out.
      hash = (hash ? *hash << 1 | *hash >> 63 : 0) ^ *value;
    }
    if (policy.terminal && hash) break;
  }
  return hash;
}

std::optional<uint64_t> HashPolicies::one(const Policy& policy, const RequestHead& head,
                                          const StreamInfo& info, Arena& arena,
                                          NewCookie*& cookies) {
  switch (policy.kind) {
    case Kind::kHeader:
      return header(policy, head, arena);
    case Kind::kCookie:
      return cookie(policy, head, info, arena, cookies);
    case Kind::kSourceIp:
      if (info.downstreamRemote == nullptr || !info.downstreamRemote->isIp()) return {};
      return xxHash64(addressText(*info.downstreamRemote, false, arena));
    case Kind::kQuery: {
      size_t mark = head.path.find('?');
      std::string_view value;
      if (mark == std::string_view::npos ||
          !findParameter(head.path.substr(mark + 1), policy.name, value)) {
        return {};
      }
      return xxHash64(value);
    }
  }
  return {};
}

// The values of all fields of that name, in order of their bytes: how a client orders them says
// nothing.
std::optional<uint64_t> HashPolicies::header(const Policy& policy, const RequestHead& head,
                                             Arena& arena) {
  if (policy.name[0] == ':') {
    std::string_view value = pseudoHeader(head, policy.name);
    if (value.empty()) return {};
    if (policy.rewrite && !policy.rewrite->replaceAll(value, arena, value)) return {};
    return xxHash64(value);
  }
  size_t count = 0;
  for (const Header& h : head.headers) count += equalsIgnoreCase(h.name, policy.name);
  if (count == 0) return {};
  auto* values = arena.array<std::string_view>(count);
  count = 0;
  for (const Header& h : head.headers) {
    if (!equalsIgnoreCase(h.name, policy.name)) continue;
    values[count] = h.value;
    if (policy.rewrite && !policy.rewrite->replaceAll(h.value, arena, values[count])) return {};
    count++;
  }
  std::sort(values, values + count);
  uint64_t hash = 0;
  for (size_t i = 0; i < count; i++) hash = xxHash64(values[i], hash);
  return hash;
}

std::optional<uint64_t> HashPolicies::cookie(const Policy& policy, const RequestHead& head,
                                             const StreamInfo& info, Arena& arena,
                                             NewCookie*& cookies) {
  auto value = findCookie(head.headers, policy.name);
  if (value && !value->empty()) return xxHash64(*value);
  if (!policy.makesCookie) return {};
  // The same for all requests of one connection: streams that race agree on it.
  const Address* ends[] = {info.downstreamRemote, info.downstreamLocal};
  uint64_t number = 0;
  for (const Address* end : ends) {
    if (end != nullptr) number = xxHash64(addressText(*end, true, arena), number);
  }
  char digits[16];
  auto length = size_t(std::to_chars(digits, digits + sizeof digits, number, 16).ptr - digits);
  size_t size = policy.name.size() + 2 + length + 1 + policy.cookieTail.size();
  char* field = arena.array<char>(size);
  char* at = std::copy(policy.name.begin(), policy.name.end(), field);
  *at++ = '=';
  *at++ = '"';
  char* begin = at;
  at = std::copy(digits, digits + length, at);
  std::string_view made(begin, length);
  *at++ = '"';
  std::copy(policy.cookieTail.begin(), policy.cookieTail.end(), at);
  auto* added = arena.array<NewCookie>(1);
  *added = {{field, size}, cookies};
  cookies = added;
  return xxHash64(made);
}

std::optional<std::string_view> findCookie(const HeaderList& headers, std::string_view name) {
  auto trimmed = [](std::string_view s) {
    while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
    while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
    return s;
  };
  if (!headers.has(HeaderId::kCookie)) return {};
  for (const Header& h : headers) {
    if (h.id != HeaderId::kCookie) continue;
    for (std::string_view rest = h.value; !rest.empty();) {
      size_t end = rest.find(';');
      std::string_view pair = trimmed(rest.substr(0, end));
      rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
      size_t equals = pair.find('=');
      if (equals == std::string_view::npos || trimmed(pair.substr(0, equals)) != name) continue;
      std::string_view value = trimmed(pair.substr(equals + 1));
      if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
        value = value.substr(1, value.size() - 2);
      }
      return value;
    }
  }
  return {};
}

std::string cookieTail(uint64_t ttl, const std::string& path,
                       const std::vector<std::pair<std::string, std::string>>& attributes) {
  std::string tail;
  if (ttl != 0) tail += "; Max-Age=" + std::to_string(ttl);
  if (!path.empty()) tail += "; Path=" + path;
  for (const auto& [name, value] : attributes) {
    tail += "; " + name;
    if (!value.empty()) tail += "=" + value;
  }
  return tail + "; HttpOnly";
}

}  // namespace millrace
