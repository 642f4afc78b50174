// Normalising the path of a request before anything is decided by it: escaped slashes, RFC 3986 dot
// segments, runs of slashes. Only the path is touched, never the query.
//
// Thread rule: pure functions; new text lies in the given arena.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/arena.h"
#include "proxy/spec.h"

namespace millrace {

struct PathRules {
  bool normalize = false;
  bool mergeSlashes = false;
  spec::HttpManager::EscapedSlashes escapedSlashes = spec::HttpManager::EscapedSlashes::kKeep;

  static PathRules of(const spec::HttpManager& spec) {
    return {spec.normalizePath, spec.mergeSlashes, spec.escapedSlashes};
  }
};

enum class PathVerdict : uint8_t {
  kAsIs,
  kChanged,
  kReject,    // 400
  kRedirect,  // 307 with the path, which was changed, as its location
};

// Applies the rules in Envoy's order (ConnectionManagerUtility::maybeNormalizePath): escaped
// slashes (%2F %2f %5C %5c), then normalisation, then merging. `path` carries the query and is
// replaced by the result. What does not begin with '/'
// ("*", CONNECT's empty path) is left alone.
//
// Normalisation does what Chromium's URL library, which Envoy uses, does to the path of an http
// URL:
//  - "." and ".." segments are removed (RFC 3986 §5.2.4), also where a dot is written %2e; '\'
//  counts as '/';
//  - %XX is decoded where it stands for a letter, a digit, '-', '_' or '~' (with '.', RFC 3986's
//  unreserved); other
//    escapes stay, in the case they came in; a '%' without two hex digits stays, but is escaped
//    where decoding would have made it the beginning of a new escape;
//  - control bytes, space, '"', '#', '<', '>', '^', '`', '{', '|', '}', DEL and bytes above 0x7f
//  are escaped;
//  - an escaped or a plain NUL is rejected.
PathVerdict normalizePath(const PathRules& rules, std::string_view& path, Arena& arena);

}  // namespace millrace
