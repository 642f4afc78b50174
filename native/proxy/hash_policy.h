// What of a request decides which host it goes to, where a cluster's balancer hashes: the
// `hash_policy` of a route (route_components.proto).
//
// Built on the main thread; then immutable, read by every worker.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "base/result.h"
#include "http/headers.h"
#include "proxy/regex_rewrite.h"
#include "proxy/spec.h"

namespace millrace {

struct StreamInfo;

// A Set-Cookie field that the response will carry. In the stream's arena.
struct NewCookie {
  std::string_view field;
  NewCookie* next;
};

class HashPolicies {
 public:
  // `where`: their path in the configuration, for errors.
  static Result<HashPolicies> compile(std::vector<spec::HashPolicy> spec, const std::string& where);

  bool empty() const { return policies_.empty(); }
  // The hash of everything that is there; absent when nothing is. A cookie that is missing and may
  // be made is added to `cookies`.
  std::optional<uint64_t> hash(const RequestHead& head, const StreamInfo& info, Arena& arena,
                               NewCookie*& cookies) const;

 private:
  struct Policy {
    spec::HashPolicy::Kind kind = spec::HashPolicy::Kind::kHeader;
    bool terminal = false;
    std::string name;  // header (lower case), cookie, query parameter
    std::optional<RegexRewrite> rewrite;
    bool makesCookie = false;
    std::string cookieTail;  // what follows the value in Set-Cookie
  };
  static std::optional<uint64_t> one(const Policy& policy, const RequestHead& head,
                                     const StreamInfo& info, Arena& arena, NewCookie*& cookies);
  static std::optional<uint64_t> header(const Policy& policy, const RequestHead& head,
                                        Arena& arena);
  static std::optional<uint64_t> cookie(const Policy& policy, const RequestHead& head,
                                        const StreamInfo& info, Arena& arena, NewCookie*& cookies);

  std::vector<Policy> policies_;
};

// The value of the first cookie of that name, without quotes; nothing when there is none.
std::optional<std::string_view> findCookie(const HeaderList& headers, std::string_view name);
// "; Max-Age=…; Path=…; …; HttpOnly": what follows the value of a cookie. `ttl`: seconds, 0: none.
std::string cookieTail(uint64_t ttl, const std::string& path,
                       const std::vector<std::pair<std::string, std::string>>& attributes);

}  // namespace millrace
