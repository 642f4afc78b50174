// Parsing one input in every way it can arrive, with one result for all of them. For the tests of
// http/.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "http/http1_parser.h"
#include "support/guarded.h"

namespace millrace::test {

inline void appendFields(std::string& out, const HeaderList& fields) {
  for (const Header& h : fields) {
    out += std::string(h.name) + "=" + std::string(h.value) + "\n";
    CHECK(h.id == headerId(h.name));
  }
}

// A head as text, to compare.
inline std::string describe(const RequestHead& h) {
  std::string out = std::string(h.methodText) + " " + std::string(h.scheme) + "|" +
                    std::string(h.authority) + "|" + std::string(h.path) + " " +
                    std::to_string(h.version) + " framing " + std::to_string(int(h.framing)) + " " +
                    std::to_string(h.contentLength) + (h.keepAlive ? " keep" : " close") +
                    (h.expectContinue ? " expect" : "") + "\n";
  appendFields(out, h.headers);
  return out;
}
inline std::string describe(const ResponseHead& h) {
  std::string out = std::to_string(h.status) + " " + std::string(h.reason) + " " +
                    std::to_string(h.version) + " framing " + std::to_string(int(h.framing)) + " " +
                    std::to_string(h.contentLength) + (h.keepAlive ? " keep" : " close") + "\n";
  appendFields(out, h.headers);
  return out;
}
inline std::string describe(const ParseResult& r) {
  if (r.state == ParseState::kPartial) return "partial";
  if (r.state == ParseState::kDone) return "done " + std::to_string(r.consumed);
  return "error " + std::to_string(r.status) + " " + r.detail;
}

struct Outcome {
  ParseResult result;
  std::string text;  // of result and head
};

// Parses a copy of `bytes` that ends at an unmapped page, going on from `progress`.
template <typename Head, typename Parse>
Outcome parseOnce(std::string_view bytes, ParseProgress& progress, const Parse& parse) {
  Guarded memory(bytes);
  ChunkPool pool;
  Arena arena(pool);
  Head head(arena);
  Outcome out;
  out.result = parse(memory.view(), progress, head);
  out.text = describe(out.result);
  if (out.result.state == ParseState::kDone) {
    CHECK(head.raw == memory.view().substr(0, out.result.consumed));
    out.text += "\n" + describe(head);
    head.own();
    std::memset(memory.data(), '?', bytes.size());
    CHECK(out.text == describe(out.result) + "\n" + describe(head));  // own() copied everything
  } else {
    CHECK(head.headers.empty());
  }
  return out;
}

// Parses `bytes` whole, split in two at each place, and byte by byte: the result must be the same.
// Every prefix is parsed both from nothing and from what was known before it.
template <typename Head, typename Parse>
Outcome parseEveryWay(std::string_view bytes, const Parse& parse) {
  ParseProgress fresh;
  Outcome whole = parseOnce<Head>(bytes, fresh, parse);
  bool same = true;
  ParseProgress slow;
  bool slowOver = false;
  // Long inputs: splits around the beginning and the end.
  for (size_t n = 0; n <= bytes.size() && same; n++) {
    if (n > 600 && n + 300 < bytes.size()) continue;
    std::string_view prefix = bytes.substr(0, n);
    ParseProgress progress;
    Outcome first = parseOnce<Head>(prefix, progress, parse);
    if (!slowOver) {
      Outcome step = parseOnce<Head>(prefix, slow, parse);
      same = same && step.text == first.text;
      if (!same) MESSAGE("at byte " << n << " slow: " << step.text << " at once: " << first.text);
      slowOver = step.result.state != ParseState::kPartial;
    }
    Outcome second = first;
    if (first.result.state == ParseState::kPartial) {
      second = parseOnce<Head>(bytes, progress, parse);
    }
    if (second.text != whole.text) {
      MESSAGE("split at " << n << ": " << second.text << " whole: " << whole.text);
      same = false;
    }
  }
  CHECK(same);
  return whole;
}

inline Outcome parseRequest(std::string_view bytes, const ParseOptions& options = {}) {
  return parseEveryWay<RequestHead>(
      bytes, [&](std::string_view b, ParseProgress& progress, RequestHead& head) {
        return parseRequestHead(b, options, progress, head);
      });
}
inline Outcome parseResponse(std::string_view bytes, Method method = Method::kGet,
                             ParseLimits limits = {ParseLimits::kResponseHeadBytes, 100}) {
  return parseEveryWay<ResponseHead>(
      bytes, [&](std::string_view b, ParseProgress& progress, ResponseHead& head) {
        return parseResponseHead(b, limits, method, progress, head);
      });
}

}  // namespace millrace::test
