// Variations of scenarios; see vary.hpp.
#include "vary.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace takt::tool {
namespace {

std::optional<double> share(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value >= 0 && value <= 1)) return std::nullopt;
  return value;
}

}  // namespace

tl::expected<files::Scenario, std::string> vary(const files::Scenario& scenario, const std::string& variation) {
  files::Scenario s = scenario;
  if (variation.empty()) return s;
  const std::size_t equals = std::min(variation.find('='), variation.size());
  const std::string key = variation.substr(0, equals);
  const std::string word = variation.substr(std::min(equals + 1, variation.size()));
  const std::optional<double> value = share(word);
  if (key == "late" && (word == "abort" || word == "finish")) {
    s.late = word == "abort" ? LateRule::abort : LateRule::finish;
  } else if (key == "probability" && value) {
    for (files::ScenarioTask& task : s.tasks)
      if (task.parent >= 0) task.probability = *value;
  } else if (key == "noise" && value) {
    for (files::ScenarioTask& task : s.tasks) task.noise = {.spread = *value};
  } else {
    return tl::unexpected("no variation '" + variation +
                          "'; there are: probability=0..1, noise=0..1, late=abort|finish");
  }
  s.name += '/' + variation;
  return s;
}

bool applies(const files::Scenario& scenario, const std::string& variation) {
  if (!variation.starts_with("probability=")) return true;
  return std::any_of(scenario.tasks.begin(), scenario.tasks.end(),
                     [](const files::ScenarioTask& t) { return t.parent >= 0; });
}

}  // namespace takt::tool
