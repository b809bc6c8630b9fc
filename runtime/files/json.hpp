// Writes JSON: objects of numbers, texts and what was written before.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace takt::files {

// Reads back as the same double.
[[nodiscard]] inline std::string json_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

[[nodiscard]] inline std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(c));
      out += code;
    } else {
      out += c;
    }
  }
  return out + '"';
}

// `write` gives the JSON of one item.
template <class Items, class Write>
[[nodiscard]] std::string json_list(const Items& items, Write write, const char* between = ",") {
  std::string out = "[";
  for (const auto& item : items) out += (out.size() > 1 ? between : "") + write(item);
  return out + ']';
}

class JsonObject {
 public:
  JsonObject& raw(std::string_view key, std::string_view json) {
    if (out_.size() > 1) out_ += ',';
    out_ += json_text(key);
    out_ += ':';
    out_ += json;
    return *this;
  }
  JsonObject& text(std::string_view key, std::string_view value) { return raw(key, json_text(value)); }
  JsonObject& real(std::string_view key, double value) { return raw(key, json_number(value)); }
  template <class T>
  JsonObject& whole(std::string_view key, T value) {
    return raw(key, std::to_string(value));
  }
  [[nodiscard]] std::string end() const { return out_ + '}'; }

 private:
  std::string out_ = "{";
};

}  // namespace takt::files
