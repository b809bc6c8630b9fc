// Reads "key=value" settings of a policy: every key must be asked for, every value read whole.
#pragma once

#include <charconv>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace takt {

class Settings {
 public:
  explicit Settings(std::span<const std::string> all) : all_(all), used_(all.size()) {}

  // A number from `least` to `most`; `value` stays as it is if nobody set it.
  void number(std::string_view key, double& value, double least, double most) {
    const std::optional<std::string_view> text = find(key);
    if (!text) return;
    double read = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), read);
    if (error != std::errc{} || end != text->data() + text->size() || !(read >= least && read <= most)) {
      refuse(std::string(key) + " must be a number from " + std::to_string(least) + " to " + std::to_string(most));
    } else {
      value = read;
    }
  }
  void flag(std::string_view key, bool& value) {
    double number_of = value ? 1 : 0;
    number(key, number_of, 0, 1);
    if (number_of != 0 && number_of != 1) refuse(std::string(key) + " must be 0 or 1");
    value = number_of != 0;
  }
  template <class E>
  void word(std::string_view key, E& value, std::span<const std::pair<std::string_view, E>> choices) {
    const std::optional<std::string_view> text = find(key);
    if (!text) return;
    std::string allowed;
    for (const auto& [name, choice] : choices) {
      if (name == *text) {
        value = choice;
        return;
      }
      allowed += (allowed.empty() ? "" : ", ") + std::string(name);
    }
    refuse(std::string(key) + " must be one of " + allowed);
  }
  // What was wrong first, or a setting that nobody asked for; empty if nothing.
  [[nodiscard]] std::string error() {
    for (std::size_t i = 0; i < all_.size(); ++i)
      if (!used_[i]) refuse("no setting " + all_[i]);
    return error_;
  }

 private:
  std::optional<std::string_view> find(std::string_view key) {
    std::optional<std::string_view> found;
    for (std::size_t i = 0; i < all_.size(); ++i) {
      const std::string_view text = all_[i];
      if (text.size() <= key.size() || !text.starts_with(key) || text[key.size()] != '=') continue;
      used_[i] = true;
      found = text.substr(key.size() + 1);
    }
    return found;
  }
  void refuse(std::string what) {
    if (error_.empty()) error_ = std::move(what);
  }

  std::span<const std::string> all_;
  std::vector<bool> used_;
  std::string error_;
};

}  // namespace takt
