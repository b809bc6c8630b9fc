// What `reproduce sdrm3` runs: the policies, and the grids of cells of each section of the report.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "sweep.hpp"

namespace takt::tool {

// The policy that is compared with the rivals.
inline constexpr std::string_view kOwn = "takt";

// The strongest sdrm3, by violations and by UXCost, as the search of a full `takt-sim reproduce sdrm3` found them.
inline constexpr std::string_view kSdrm3ByViolations =
    "sdrm3:drop+supernet+tune/alpha=4.5/beta=0.5/starv=10/capped=1/late_rule=cap/drop_any=1";
inline constexpr std::string_view kSdrm3ByUxcost =
    "sdrm3:drop+supernet/alpha=0/beta=10/starv=10/capped=1/late_rule=cap/drop_any=0";

// Rivals as published where nothing else is said; those that gain from dropping what cannot be in time have that too.
inline constexpr std::array<std::string_view, 16> kRivals{
    "fcfs",         "edf",         "llf",           "sjf",           "edf+drop",
    "static",       "herald+drop", "planaria",      "planaria+drop", "veltair",
    "veltair+drop", "terastal",    "terastal:drop", "sdrm3",         "sdrm3:drop+supernet",
    "sdrm3:full"};

struct Plan {
  std::string own{kOwn};
  std::string sdrm3_by_violations{kSdrm3ByViolations}, sdrm3_by_uxcost{kSdrm3ByUxcost};
  bool quick = false;
  std::vector<std::string> systems;  // empty: all
  std::vector<std::uint64_t> seeds;  // empty: 1, or 1 to 5 in full
  std::vector<std::string> rivals;   // more of them

  // The strongest sdrm3, once or twice.
  [[nodiscard]] std::vector<std::string> strongest_sdrm3() const;
  // Whom `own` is compared with: kRivals, `rivals`, the strongest sdrm3.
  [[nodiscard]] std::vector<std::string> opponents() const;
  // Short name for tables and plots.
  [[nodiscard]] std::string label(const std::string& policy) const;
  [[nodiscard]] std::vector<std::uint64_t> main_seeds() const;
  // Of ablations and sensitivity: the same, but at most two.
  [[nodiscard]] std::vector<std::uint64_t> side_seeds() const;
  [[nodiscard]] std::vector<std::string> side_systems() const;
  [[nodiscard]] std::vector<double> levels(sim::Family family, bool side) const;

  [[nodiscard]] std::vector<Grid> main_grids() const;
  [[nodiscard]] std::vector<Grid> ablation_grids() const;
  [[nodiscard]] std::vector<Grid> sensitivity_grids() const;
  [[nodiscard]] std::vector<Grid> all() const;
};

// Ablations of sdrm3 at weights of (1, 1): what each switch adds, the ceiling of starvation; the late-job rule where
// late jobs run on, as with late="abort" none waits past its deadline.
[[nodiscard]] std::vector<std::string> switch_ablation();
[[nodiscard]] std::vector<std::string> ceiling_ablation();
[[nodiscard]] std::vector<std::string> late_rule_ablation();
inline constexpr std::string_view kLateFinish = "late=finish";

// Sensitivity: each of them beside the scenario as it is.
inline constexpr std::array<std::string_view, 5> kVariations{"probability=0.9", "probability=0.99", "noise=0.05",
                                                             "noise=0.2", kLateFinish};
// Who is asked.
[[nodiscard]] std::vector<std::string> sensitive(const Plan& plan);

}  // namespace takt::tool
