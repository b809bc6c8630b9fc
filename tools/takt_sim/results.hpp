// What the rows of a sweep say: a policy's summary, two policies compared cell by cell.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "cells.hpp"
#include "statistics.hpp"

namespace takt::tool {

using Rows = std::vector<Row>;

struct Summary {
  std::size_t runs = 0;
  double uxcost = 0, median = 0;  // geometric mean, median
  double best_uxcost = 0;         // of one run
  double violation_rate = 0, relative_energy = 0;
  double accuracy = 0;  // over runs where there is a choice of subnets; 0: in none
  double segments_per_s = 0;
};
[[nodiscard]] Summary summarise(const Rows& rows);

// Policies in the order of their first rows.
[[nodiscard]] std::vector<std::pair<std::string, Rows>> by_policy(const Rows& rows);

[[nodiscard]] Rows filter(const Rows& rows, const std::function<bool(const Row&)>& keep);
// Of one policy.
[[nodiscard]] Rows of_policy(const Rows& rows, const std::string& policy);

// Rows of a and b that differ in policy, and in the variation of the scenario, only.
[[nodiscard]] std::vector<std::pair<const Row*, const Row*>> match(const Rows& a, const Rows& b);

// a over b. Intervals are 95 % of a bootstrap over groups of scenario and system.
struct Comparison {
  std::size_t runs = 0, groups = 0;
  double uxcost = 0,
         violations = 0;  // ratio of geometric means of UXCost, of mean violation rates; no violation in b: infinite
  Interval uxcost_95, violations_95;
  double best_uxcost = 0;  // of one group of scenario and system: the least ratio
  double accuracy = 0;     // difference of means in points, over runs where there is a choice
};
inline constexpr std::size_t kResamples = 4000;
[[nodiscard]] Comparison compare(const Rows& a, const Rows& b);

// Violation points of a minus b in each cell, paired over seeds.
struct CellDifference {
  Cell cell;
  Difference points;
};
[[nodiscard]] std::vector<CellDifference> differences(const Rows& a, const Rows& b);

// Violation points by cell, mean over seeds, in the order of the cells of `own`; then the regret to the best rival of
// each. `cells` gets their names. Rivals that lack a cell are an error of the caller.
[[nodiscard]] Regret regret_of(const Rows& own, const std::vector<Rows>& rivals, std::vector<Cell>& cells);

}  // namespace takt::tool
