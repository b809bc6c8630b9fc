// The report of `reproduce sdrm3`: sections over the rows of its plan.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "document.hpp"
#include "plan.hpp"
#include "results.hpp"
#include "search.hpp"
#include "tuner_path.hpp"

namespace takt::tool {

// Everything that the report says something about.
struct Evidence {
  Plan plan;
  Duration duration{};
  unsigned jobs = 1;
  std::optional<SearchResult> search;  // none: the recorded winners
  Rows rows;
  std::vector<TunerPath> tuner;
  double seconds = 0;  // that this call took

  // Of the main comparison: one policy's, or all policies'.
  [[nodiscard]] Rows main(const std::string& policy) const;
  [[nodiscard]] Rows main() const;
  // Of one policy with a variation of the scenarios, or none: in the cells that `like` has, where it has any.
  [[nodiscard]] Rows side(const std::string& policy, std::string_view variation, const Rows& like) const;
};

[[nodiscard]] Document report_of(const Evidence& evidence);
// Its opening, targets, main table and what was published, without figures: the text to keep.
[[nodiscard]] Document summary_of(const Evidence& evidence);
// The main table as plain text.
[[nodiscard]] std::string headline(const Evidence& evidence);

// Sections, in their order; each is its heading and what follows.
using Section = std::vector<Block>;
template <class... Blocks>
[[nodiscard]] Section section(Blocks&&... blocks) {
  Section s;
  (s.emplace_back(std::forward<Blocks>(blocks)), ...);
  return s;
}
[[nodiscard]] Section targets_section(const Evidence& evidence);
[[nodiscard]] Section main_section(const Evidence& evidence);
[[nodiscard]] Section levels_section(const Evidence& evidence);
[[nodiscard]] Section systems_section(const Evidence& evidence);
[[nodiscard]] Section rivals_section(const Evidence& evidence);
[[nodiscard]] Section published_section(const Evidence& evidence);
[[nodiscard]] Section search_section(const Evidence& evidence);
[[nodiscard]] Section ablation_section(const Evidence& evidence);
[[nodiscard]] Section sensitivity_section(const Evidence& evidence);
[[nodiscard]] Section tuner_section(const Evidence& evidence);

// Numbers as the report writes them.
[[nodiscard]] std::string fixed(double value, int digits);
[[nodiscard]] std::string percent(double share, int digits = 2);  // 0.0123: 1.23
[[nodiscard]] std::string between(const Interval& interval, int digits = 2);
// Of a policy wherever it is drawn.
[[nodiscard]] int colour_of(const Plan& plan, const std::string& policy);

}  // namespace takt::tool
