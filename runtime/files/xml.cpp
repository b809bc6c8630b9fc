// Strict reading of XML over tinyxml2, whose own number conversions accept "12abc" and wrap "-1": only its text is
// used.
#include "files/xml.hpp"

#include <tinyxml2.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <limits>

namespace takt::files {
namespace {

bool printable(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

std::string joined(std::span<const std::string_view> words) {
  std::string all;
  for (const std::string_view word : words) {
    if (!all.empty()) all += ", ";
    all += word;
  }
  return all;
}

// What a message shows of a value: enough to find it, never a screenful.
std::string shown(std::string_view value) {
  constexpr std::size_t kMost = 60;
  std::string text = "'";
  for (const char c : value.substr(0, kMost)) text += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return text + (value.size() > kMost ? "...'" : "'");
}

std::string plain(double value) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}

struct TimeUnit {
  std::string_view name;
  std::uint64_t ns;
};
constexpr std::array<TimeUnit, 4> kTimeUnits{{{"s", 1'000'000'000}, {"ms", 1'000'000}, {"us", 1'000}, {"ns", 1}}};

struct SizeUnit {
  std::string_view name;
  int shift;
};
constexpr std::array<SizeUnit, 3> kSizeUnits{{{"GiB", 30}, {"MiB", 20}, {"KiB", 10}}};

bool digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// `number` is digits with at most one point; whole multiples of 1/unit only.
std::optional<std::uint64_t> scaled(std::string_view number, std::uint64_t unit) {
  const std::size_t point = number.find('.');
  const std::string_view whole_text = number.substr(0, point);
  const auto whole = digits(whole_text) ? parse_number<std::uint64_t>(whole_text) : std::nullopt;
  std::uint64_t total = 0;
  if (!whole || __builtin_mul_overflow(*whole, unit, &total)) return std::nullopt;
  if (point == std::string_view::npos) return total;
  const std::string_view fraction = number.substr(point + 1);
  if (!digits(fraction)) return std::nullopt;
  for (const char c : fraction) {
    if (unit % 10 != 0) return std::nullopt;
    unit /= 10;
    if (__builtin_add_overflow(total, static_cast<std::uint64_t>(c - '0') * unit, &total)) return std::nullopt;
  }
  return total;
}

}  // namespace

Parsed<std::string> read_text(const std::filesystem::path& path) {
  const auto refuse = [&](std::string text) {
    return tl::unexpected<InputError>(InputError{path.string(), 0, "", std::move(text)});
  };
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) return refuse("does not exist or cannot be reached");
  if (!std::filesystem::is_regular_file(status)) return refuse("is not a regular file");
  std::ifstream in(path, std::ios::binary);
  if (!in) return refuse("cannot be opened: check its permissions");
  std::string text;
  std::array<char, 65536> block;
  while (in.read(block.data(), block.size()), in.gcount() > 0) {
    text.append(block.data(), static_cast<std::size_t>(in.gcount()));
    if (text.size() > kMaxFileBytes) return refuse("is over 16 MiB");
  }
  if (in.bad()) return refuse("could not be read to its end");
  return text;
}

std::optional<Duration> parse_duration(std::string_view text) {
  if (text == "0") return Duration{0};
  const std::size_t end = text.find_first_not_of("0123456789.");
  if (end == std::string_view::npos) return std::nullopt;
  for (const TimeUnit& unit : kTimeUnits) {
    if (text.substr(end) != unit.name) continue;
    const auto ns = scaled(text.substr(0, end), unit.ns);
    if (!ns || *ns > static_cast<std::uint64_t>(kForever.count())) return std::nullopt;
    return Duration{static_cast<Duration::rep>(*ns)};
  }
  return std::nullopt;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  if (text == "0") return 0;
  for (const SizeUnit& unit : kSizeUnits) {
    if (!text.ends_with(unit.name)) continue;
    return scaled(text.substr(0, text.size() - unit.name.size()), std::uint64_t{1} << unit.shift);
  }
  return std::nullopt;
}

std::string format_duration(Duration duration) {
  if (duration == Duration{0}) return "0";
  const auto ns = duration.count();
  for (const TimeUnit& unit : kTimeUnits) {
    const auto per = static_cast<Duration::rep>(unit.ns);
    if (ns % per == 0) return std::to_string(ns / per) + std::string(unit.name);
  }
  return std::to_string(ns) + "ns";
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at < text.size();) {
    if (space(text[at])) {
      ++at;
      continue;
    }
    const auto end = std::find_if(text.begin() + static_cast<std::ptrdiff_t>(at), text.end(), space);
    const auto length = static_cast<std::size_t>(end - text.begin()) - at;
    words.emplace_back(text.substr(at, length));
    at += length;
  }
  return words;
}

bool is_name(std::string_view text) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.' || c == '+';
  };
  return !text.empty() && text.size() <= 63 && text[0] != '-' && text[0] != '.' &&
         std::all_of(text.begin(), text.end(), allowed);
}

int Element::line() const {
  return xml_->GetLineNum();
}

bool Element::has(const char* key) const {
  return xml_->FindAttribute(key) != nullptr;
}

void Element::refuse(std::string_view key, std::string text) {
  if (!ok()) return;
  const auto* attribute = key.empty() ? nullptr : xml_->FindAttribute(std::string(key).c_str());
  std::string where = xml_->Name();
  if (!key.empty()) where += " " + std::string(key);
  refusal_->first = InputError{refusal_->file, attribute != nullptr ? attribute->GetLineNum() : line(), where, text};
}

std::optional<std::string_view> Element::ask(const char* key, bool optional) {
  asked_.emplace_back(key);
  if (const char* value = xml_->Attribute(key)) return value;
  if (!optional) refuse(key, "is missing");
  return std::nullopt;
}

std::optional<std::size_t> Element::pick(const char* key, std::span<const std::string_view> allowed, bool optional) {
  const auto value = ask(key, optional);
  if (!value) return std::nullopt;
  const auto found = std::find(allowed.begin(), allowed.end(), *value);
  if (found != allowed.end()) return static_cast<std::size_t>(found - allowed.begin());
  refuse(key, shown(*value) + " is none of " + joined(allowed));
  return std::nullopt;
}

std::string Element::text(const char* key, std::optional<std::string> fallback) {
  const auto value = ask(key, fallback.has_value());
  if (!value) return fallback.value_or("");
  if (value->empty() || value->size() > 1023 || !printable(*value))
    refuse(key, "must be 1 to 1023 bytes of text without control characters");
  return std::string(*value);
}

std::string Element::name(const char* key, std::optional<std::string> fallback) {
  const auto value = ask(key, fallback.has_value());
  if (!value) return fallback.value_or("");
  if (!is_name(*value))
    refuse(key,
           shown(*value) + " is no name: 1 to 63 letters, digits, '_', '-', '.', '+', not starting with '-' or '.'");
  return std::string(*value);
}

std::int64_t Element::integer(const char* key, std::int64_t least, std::int64_t most,
                              std::optional<std::int64_t> fallback) {
  const auto value = ask(key, fallback.has_value());
  if (!value) return fallback.value_or(least);
  const auto number = parse_number<std::int64_t>(*value);
  if (number && *number >= least && *number <= most) return *number;
  refuse(key, shown(*value) + " is no whole number from " + std::to_string(least) + " to " + std::to_string(most));
  return least;
}

double Element::real(const char* key, double least, double most, std::optional<double> fallback) {
  const auto value = ask(key, fallback.has_value());
  if (!value) return fallback.value_or(least);
  const auto number = parse_number<double>(*value);
  if (number && std::isfinite(*number) && *number >= least && *number <= most) return *number;
  refuse(key, shown(*value) + " is no number from " + plain(least) + " to " + plain(most));
  return least;
}

Duration Element::duration(const char* key, Duration least, Duration most, std::optional<Duration> fallback) {
  const auto value = ask(key, fallback.has_value());
  if (!value) return fallback.value_or(least);
  const auto duration = parse_duration(*value);
  if (duration && *duration >= least && *duration <= most) return *duration;
  refuse(key, shown(*value) + " is no duration from " + format_duration(least) + " to " + format_duration(most) +
                  ": a number and ns, us, ms or s");
  return least;
}

std::uint64_t Element::size(const char* key, std::uint64_t least, std::uint64_t most,
                            std::optional<std::uint64_t> fallback) {
  const auto value = ask(key, fallback.has_value());
  if (!value) return fallback.value_or(least);
  const auto bytes = parse_size(*value);
  if (bytes && *bytes >= least && *bytes <= most) return *bytes;
  refuse(key, shown(*value) + " is no size from " + std::to_string(least) + " to " + std::to_string(most) +
                  " bytes: a whole number and KiB, MiB or GiB");
  return least;
}

bool Element::boolean(const char* key, std::optional<bool> fallback) {
  constexpr std::array<std::string_view, 2> kWords{"false", "true"};
  const auto found = pick(key, kWords, fallback.has_value());
  return found ? *found == 1 : fallback.value_or(false);
}

std::vector<std::string> Element::words(const char* key, std::size_t most, bool required) {
  const auto value = ask(key, !required);
  if (!value) return {};
  std::vector<std::string> list = split_words(*value);
  if (!list.empty() && list.size() <= most && printable(*value)) return list;
  refuse(key, "must be 1 to " + std::to_string(most) + " words with spaces between them");
  return {};
}

std::vector<std::int64_t> Element::integers(const char* key, std::size_t most_items, std::int64_t least,
                                            std::int64_t most, bool required) {
  std::vector<std::int64_t> numbers;
  for (const std::string& word : words(key, most_items, required)) {
    const auto number = parse_number<std::int64_t>(word);
    if (!number || *number < least || *number > most) {
      refuse(key, shown(word) + " is no whole number from " + std::to_string(least) + " to " + std::to_string(most));
      return {};
    }
    numbers.push_back(*number);
  }
  return numbers;
}

std::vector<double> Element::reals(const char* key, std::size_t items, double least, double most) {
  std::vector<double> numbers;
  for (const std::string& word : words(key, items)) {
    const auto number = parse_number<double>(word);
    if (!number || !std::isfinite(*number) || *number < least || *number > most)
      refuse(key, shown(word) + " is no number from " + plain(least) + " to " + plain(most));
    else
      numbers.push_back(*number);
  }
  if (numbers.size() != items) refuse(key, "must be " + std::to_string(items) + " numbers");
  numbers.resize(items, least);
  return numbers;
}

std::size_t Element::each(const char* child, std::size_t least, std::size_t most, const Reader& reader) {
  children_.emplace_back(child);
  std::size_t count = 0;
  for (const auto* xml = xml_->FirstChildElement(child); xml != nullptr && ok(); xml = xml->NextSiblingElement(child)) {
    Element element(*refusal_, *xml);
    if (++count > most) {
      element.refuse("", "there may be " + std::to_string(most) + " of it at most in <" + xml_->Name() + ">");
      break;
    }
    reader(element);
    element.close();
  }
  if (count < least)
    refuse("", "needs at least " + std::to_string(least) + " <" + child + ">, has " + std::to_string(count));
  return count;
}

std::string Element::body() {
  body_asked_ = true;
  std::string text;
  for (const auto* node = xml_->FirstChild(); node != nullptr; node = node->NextSibling())
    if (const auto* part = node->ToText()) text += part->Value();
  return text;
}

void Element::unique(std::set<std::string>& taken, std::string_view key, const std::string& value) {
  if (!taken.insert(value).second) refuse(key, shown(value) + " is there twice");
}

// Whatever the reader did not ask for is a mistake of the writer: most often a misspelt optional attribute.
void Element::close() {
  for (const auto* attribute = xml_->FirstAttribute(); attribute != nullptr && ok(); attribute = attribute->Next()) {
    if (std::find(asked_.begin(), asked_.end(), attribute->Name()) != asked_.end()) continue;
    refuse(attribute->Name(), "is unknown; known attributes are " + joined(asked_));
  }
  for (const auto* node = xml_->FirstChild(); node != nullptr && ok(); node = node->NextSibling()) {
    if (node->ToComment() != nullptr || (body_asked_ && node->ToText() != nullptr)) continue;
    const auto* child = node->ToElement();
    if (child != nullptr && std::find(children_.begin(), children_.end(), child->Name()) != children_.end()) continue;
    const std::string known = children_.empty() ? "it has no children" : "its children are " + joined(children_);
    const std::string what = child != nullptr ? "<" + std::string(child->Name()) + ">" : "text or markup";
    refusal_->first = InputError{refusal_->file, node->GetLineNum(), xml_->Name(), what + " is unknown here; " + known};
  }
}

namespace {

// Where a zero byte is written, as itself or as a character reference: what follows it would be invisible to tinyxml2's
// callers, who see zero-terminated text.
std::optional<std::ptrdiff_t> find_zero(std::string_view xml) {
  std::size_t at = xml.find('\0');
  for (std::size_t i = xml.find("&#"); i < at; i = xml.find("&#", i + 2)) {
    std::size_t end = i + 2;
    if (end < xml.size() && xml[end] == 'x') ++end;
    end = std::min(xml.find_first_not_of('0', end), xml.size());
    if (end < xml.size() && xml[end] == ';' && xml[end - 1] == '0') at = i;
  }
  if (at == std::string_view::npos) return std::nullopt;
  return static_cast<std::ptrdiff_t>(at);
}

// The one element of a document that has nothing but comments and a declaration beside it.
const tinyxml2::XMLElement* only_root(const tinyxml2::XMLDocument& document, const char* root, Refusal& refusal) {
  const tinyxml2::XMLElement* found = nullptr;
  for (const auto* node = document.FirstChild(); node != nullptr; node = node->NextSibling()) {
    if (node->ToComment() != nullptr || node->ToDeclaration() != nullptr) continue;
    const auto* element = node->ToElement();
    if (element != nullptr && found == nullptr && element->Name() == std::string_view(root)) {
      found = element;
      continue;
    }
    refusal.first = InputError{refusal.file, std::max(1, node->GetLineNum()), "",
                               "the file must be one <" + std::string(root) + "> and nothing else"};
    return nullptr;
  }
  if (found == nullptr) refusal.first = InputError{refusal.file, 1, "", "there is no <" + std::string(root) + ">"};
  return found;
}

}  // namespace

Parsed<void> read_document(std::string_view xml, const std::string& file, const char* root,
                           const Element::Reader& reader) {
  Refusal refusal{file, std::nullopt};
  const auto refuse = [&](int line, std::string text) {
    return tl::unexpected<InputError>(InputError{file, std::max(1, line), "", std::move(text)});
  };
  if (xml.size() > kMaxFileBytes) return refuse(1, "is over 16 MiB");
  if (const auto zero = find_zero(xml))
    return refuse(1 + static_cast<int>(std::count(xml.begin(), xml.begin() + *zero, '\n')), "there is a zero byte");
  tinyxml2::XMLDocument document;
  if (document.Parse(xml.data(), xml.size()) != tinyxml2::XML_SUCCESS)
    return refuse(document.ErrorLineNum(), std::string("is not well-formed XML: ") + document.ErrorName());
  if (const auto* element = only_root(document, root, refusal)) {
    Element top(refusal, *element);
    reader(top);
    for (const char* editors : {"xmlns:xsi", "xsi:noNamespaceSchemaLocation"}) top.asked_.emplace_back(editors);
    top.close();
  }
  if (refusal.first) return tl::unexpected<InputError>(*refusal.first);
  return {};
}

}  // namespace takt::files
