// The cases of ../shared/h1-cases: bytes that other projects test their parsers with, and what an
// intermediary should do. Only as much JSON as those files have: an array of objects whose values
// are strings, booleans or objects of strings.
#pragma once

#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::test {

struct H1Case {
  std::string name, expect, raw;
};

namespace h1_cases {

// The string that starts behind the quote at `at`; moves `at` behind its end. Escapes other than
// \uXXXX stand for themselves or for the usual control characters; names are ASCII, so \u is
// replaced by '?'.
inline std::string jsonString(std::string_view text, size_t& at) {
  std::string out;
  for (at++; at < text.size() && text[at] != '"'; at++) {
    if (text[at] != '\\') {
      out += text[at];
      continue;
    }
    char c = text[++at];
    if (c == 'u') at += 4;
    out += c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c == 'u' ? '?' : c;
  }
  at++;
  return out;
}

inline std::string base64(std::string_view text) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0, have = 0;
  for (char c : text) {
    size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) break;
    bits = bits << 6 | uint32_t(digit);
    have += 6;
    if (have >= 8) out += char(bits >> (have -= 8) & 0xff);
  }
  return out;
}

}  // namespace h1_cases

// The folder is looked for beside the repository. Empty when it is not there.
inline std::vector<H1Case> loadH1Cases(const char* file) {
  std::string here = __FILE__;
  std::string root = here.substr(0, here.rfind("/test/native/"));
  std::ifstream in(root + "/../shared/h1-cases/" + file, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), {});
  std::vector<H1Case> cases;
  size_t at = 0;
  while ((at = text.find('"', at)) != std::string::npos) {
    std::string key = h1_cases::jsonString(text, at);
    size_t next = text.find_first_not_of(" \n\r\t", at);
    if (next == std::string::npos || text[next] != ':') continue;
    next = text.find_first_not_of(" \n\r\t", next + 1);
    if (next == std::string::npos || text[next] != '"') continue;
    at = next;
    std::string value = h1_cases::jsonString(text, at);
    if (key == "name") cases.push_back({value, {}, {}});
    if (cases.empty()) continue;
    if (key == "raw") cases.back().raw = h1_cases::base64(value);
    if (key == "expect") cases.back().expect = value;
  }
  return cases;
}

}  // namespace millrace::test
