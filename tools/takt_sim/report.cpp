// The report's frame: what was run, the order of sections; see report.hpp.
#include "report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace takt::tool {
namespace {

std::string list_of(const std::vector<double>& values) {
  std::string out;
  for (const double v : values) out += (out.empty() ? "" : ", ") + text_of(v);
  return out;
}

std::string list_of(const std::vector<std::uint64_t>& values) {
  std::string out;
  for (const std::uint64_t v : values) out += (out.empty() ? "" : ", ") + std::to_string(v);
  return out;
}

// What the report is of, and how long it took.
Section opening(const Evidence& e) {
  double simulated_ms = 0;
  for (const Row& r : e.rows) simulated_ms += r.wall_ms;
  const Summary own = summarise(e.main(e.plan.own));
  return section(
      Paragraph{"`" + e.plan.own +
                "` beside its rivals on the scenarios of SDRM3 (arXiv 2212.03414), in virtual time: " +
                std::to_string(own.runs) + " runs a policy of " +
                fixed(std::chrono::duration<double>(e.duration).count(), 1) +
                " s, late frames as the scenario files say; chain levels " +
                list_of(e.plan.levels(sim::Family::chain, false)) + ", user levels " +
                list_of(e.plan.levels(sim::Family::users, false)) + ", seeds " + list_of(e.plan.main_seeds()) +
                ". Chain: one user, the longest chain of tasks takes that share of its deadline. Users: as many users "
                "as every "
                "chain allows, the level is the load."},
      Paragraph{"Violations are frames late, dropped or aborted over frames released. UXCost is the sum over models of "
                "violation "
                "rates times the sum over models of relative energies; it rewards giving up and knows no accuracy, so "
                "it is never "
                "quoted here without the violation rate. Less is better in both."},
      Paragraph{std::to_string(e.rows.size()) + " runs hold " + fixed(simulated_ms / 60'000, 1) +
                " minutes of one core; this call took " + fixed(e.seconds / 60, 1) + " minutes with " +
                std::to_string(e.jobs) + " at a time, what was there already not run again."});
}

void append(Document& d, Section section) {
  d.blocks.insert(d.blocks.end(), section.begin(), section.end());
}

}  // namespace

Rows Evidence::main(const std::string& policy) const {
  return filter(rows, [&](const Row& r) { return r.cell.policy == policy && r.cell.variation().empty(); });
}

Rows Evidence::main() const {
  std::vector<std::string> names = plan.opponents();
  names.push_back(plan.own);
  return filter(rows, [&](const Row& r) {
    return r.cell.variation().empty() && std::find(names.begin(), names.end(), r.cell.policy) != names.end();
  });
}

Rows Evidence::side(const std::string& policy, std::string_view variation, const Rows& like) const {
  const Rows all =
      filter(rows, [&](const Row& r) { return r.cell.policy == policy && r.cell.variation() == variation; });
  if (like.empty()) return all;
  Rows common;
  for (const auto& [row, other] : match(all, like)) common.push_back(*row);
  return common;
}

Document report_of(const Evidence& e) {
  Document d{.title = "SDRM3, its rivals and " + e.plan.own, .blocks = opening(e)};
  append(d, targets_section(e));
  append(d, main_section(e));
  append(d, levels_section(e));
  append(d, rivals_section(e));
  append(d, published_section(e));
  append(d, search_section(e));
  append(d, ablation_section(e));
  append(d, sensitivity_section(e));
  append(d, tuner_section(e));
  append(d, systems_section(e));
  return d;
}

Document summary_of(const Evidence& e) {
  Document d{.title = "SDRM3, its rivals and " + e.plan.own, .blocks = opening(e)};
  for (Section s : {targets_section(e), main_section(e), published_section(e), search_section(e)})
    for (Block& b : s)
      if (!std::holds_alternative<Figure>(b)) d.blocks.push_back(std::move(b));
  return d;
}

std::string headline(const Evidence& e) {
  return table(e.main());
}

std::string fixed(double value, int digits) {
  if (!std::isfinite(value)) return "-";
  char text[48];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string percent(double share, int digits) {
  return fixed(100 * share, digits);
}

std::string between(const Interval& i, int digits) {
  return fixed(i.low, digits) + " to " + fixed(i.high, digits);
}

int colour_of(const Plan& plan, const std::string& policy) {
  if (policy == plan.own) return 0;
  if (policy == "edf+drop") return 1;
  if (policy == plan.sdrm3_by_uxcost) return 2;
  if (policy == plan.sdrm3_by_violations) return 5;
  if (policy == "terastal") return 3;
  if (policy == "veltair+drop") return 4;
  return 6;
}

}  // namespace takt::tool
