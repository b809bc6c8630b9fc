// Strict reading of XML: every value is checked as a whole, and what nobody asked for is refused with its line.
#pragma once

#include <charconv>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "takt/result.hpp"
#include "takt/time.hpp"

namespace tinyxml2 {
class XMLElement;
}

namespace takt::files {

inline constexpr std::size_t kMaxFileBytes = std::size_t{16} << 20;

// The whole file, refused if it is missing, over kMaxFileBytes or not a regular file. Blocks on the disk.
[[nodiscard]] Parsed<std::string> read_text(const std::filesystem::path& path);

// Whole-string conversions: nothing if the text is anything but such a value.
template <class T>
[[nodiscard]] std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}
[[nodiscard]] std::optional<Duration> parse_duration(std::string_view text);   // 8ms, 0.5us, 250ns, 2s, 0
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);  // 64KiB, 1MiB, 2GiB, 0
[[nodiscard]] std::string format_duration(Duration duration);                  // in the largest unit that is exact
[[nodiscard]] std::vector<std::string> split_words(std::string_view text);
[[nodiscard]] bool is_name(std::string_view text);  // 1 to 63 of letters, digits and _ - . +, not starting with - or .

// The first thing that was wrong with a file; everything after it is not reported.
struct Refusal {
  std::string file;
  std::optional<InputError> first;
};

// One element while its reader runs. A value that is missing or wrong is noted once in the document's refusal; the call
// then returns a value within its bounds, so readers need no error paths. When the reader returns, attributes, children
// and text that it did not ask for are refused.
class Element {
 public:
  using Reader = std::function<void(Element&)>;
  template <class E>
  using Choices = std::span<const std::pair<std::string_view, E>>;

  Element(Refusal& refusal, const tinyxml2::XMLElement& xml) : refusal_(&refusal), xml_(&xml) {}

  [[nodiscard]] int line() const;
  [[nodiscard]] bool ok() const { return !refusal_->first; }
  [[nodiscard]] bool has(const char* key) const;
  // Notes that the value of `key` (the element itself if empty) is wrong; `text` says why and what is allowed.
  void refuse(std::string_view key, std::string text);

  // Without a fallback the attribute is required. Bounds are inclusive.
  [[nodiscard]] std::string text(const char* key, std::optional<std::string> fallback = {});  // printable, not empty
  [[nodiscard]] std::string name(const char* key, std::optional<std::string> fallback = {});  // see is_name()
  [[nodiscard]] std::int64_t integer(const char* key, std::int64_t least, std::int64_t most,
                                     std::optional<std::int64_t> fallback = {});
  [[nodiscard]] double real(const char* key, double least, double most, std::optional<double> fallback = {});
  [[nodiscard]] Duration duration(const char* key, Duration least, Duration most,
                                  std::optional<Duration> fallback = {});
  [[nodiscard]] std::uint64_t size(const char* key, std::uint64_t least, std::uint64_t most,
                                   std::optional<std::uint64_t> fallback = {});
  [[nodiscard]] bool boolean(const char* key, std::optional<bool> fallback = {});
  [[nodiscard]] std::vector<std::string> words(const char* key, std::size_t most, bool required = true);
  [[nodiscard]] std::vector<std::int64_t> integers(const char* key, std::size_t most_items, std::int64_t least,
                                                   std::int64_t most, bool required = true);
  [[nodiscard]] std::vector<double> reals(const char* key, std::size_t items, double least, double most);
  template <class E>
  [[nodiscard]] E choice(const char* key, Choices<E> choices, std::optional<E> fallback = {}) {
    std::vector<std::string_view> allowed;
    for (const auto& [word, value] : choices) allowed.push_back(word);
    const std::optional<std::size_t> found = pick(key, allowed, fallback.has_value());
    return found ? choices[*found].second : fallback.value_or(choices[0].second);
  }

  // Children in the order of the file. each() stops at the first wrong one.
  std::size_t each(const char* child, std::size_t least, std::size_t most, const Reader& reader);
  bool at_most_one(const char* child, const Reader& reader) { return each(child, 0, 1, reader) == 1; }
  void one(const char* child, const Reader& reader) { each(child, 1, 1, reader); }
  [[nodiscard]] std::string body();  // the text between the tags

  // Refuses `value` of `key` if it is in `taken`, else puts it there.
  void unique(std::set<std::string>& taken, std::string_view key, const std::string& value);

 private:
  friend Parsed<void> read_document(std::string_view, const std::string&, const char*, const Reader&);
  [[nodiscard]] std::optional<std::string_view> ask(const char* key, bool optional);
  [[nodiscard]] std::optional<std::size_t> pick(const char* key, std::span<const std::string_view> allowed,
                                                bool optional);
  void close();

  Refusal* refusal_;
  const tinyxml2::XMLElement* xml_;
  std::vector<std::string_view> asked_, children_;
  bool body_asked_ = false;
};

// Reads a document whose only element is `root`. `file` is for messages. Never throws; returns the first refusal.
[[nodiscard]] Parsed<void> read_document(std::string_view xml, const std::string& file, const char* root,
                                         const Element::Reader& reader);

}  // namespace takt::files
