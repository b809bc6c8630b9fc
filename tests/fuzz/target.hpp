// What a fuzz target gives: libFuzzer's entry point, and good inputs and words to start from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "takt/result.hpp"

// Runs one input; aborts (TAKT_CHECK, sanitizers) on what must never be. Always returns 0.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace takt::fuzz {

// Good inputs, for mutation. At least one.
[[nodiscard]] std::vector<std::string> seeds();
// Pieces that a mutation puts in; may be empty.
[[nodiscard]] std::vector<std::string> words();

// A file of the source tree.
[[nodiscard]] inline std::string source_file(const std::string& name) {
  std::ifstream in(std::string(TAKT_SOURCE_DIR "/") + name, std::ios::binary);
  TAKT_CHECK(in.good());
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

[[nodiscard]] inline std::string_view as_text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A refusal must say where and what.
template <class T>
void check_refusal(const Parsed<T>& parsed) {
  TAKT_CHECK(!parsed.error().file.empty() && parsed.error().line > 0 && !parsed.error().text.empty());
}

// Values that numbers, units and names are mistaken for.
[[nodiscard]] inline std::vector<std::string> xml_words() {
  return {"\"0\"",    "\"-1\"",    "\"1\"",        "\"99999999999999999999\"",
          "\"nan\"",  "\"1e999\"", "\"12abc\"",    "\"8ms\"",
          "\"0.5\"",  "\"8KiB\"",  "\"\"",         "\"../x\"",
          "\"true\"", "&#0;",      "&#x110000;",   "&amp;",
          "<!--",     "-->",       "<![CDATA[",    "]]>",
          "<?",       "?>",        "</",           "/>",
          "<a>",      " x=\"1\"",  "\xef\xbb\xbf", "\xff",
          "0.25 0.5"};
}

}  // namespace takt::fuzz
