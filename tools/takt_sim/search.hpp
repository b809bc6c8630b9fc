// The search for the strongest sdrm3: over its switches and fixed weights, on seeds that nothing else is judged on.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "sweep.hpp"

namespace takt::tool {

inline constexpr std::array<std::uint64_t, 2> kSearchSeeds{101, 102};

// A setting of sdrm3.
struct Sdrm3Point {
  bool drop = true, supernet = true, tune = false, capped = true, drop_any = false;
  double alpha = 1, beta = 1, starvation_ceiling = 10;
  std::string late_rule = "cap";
  [[nodiscard]] std::string spec() const;  // as a sweep names the policy
};

// One look at a point: over the cells of a stage.
struct SearchStep {
  std::string stage, policy;
  std::size_t runs = 0;
  double violation_rate = 0, uxcost = 0;  // mean; geometric mean
};
struct SearchResult {
  std::string by_violations, by_uxcost;  // the best point by each criterion; may be the same
  std::vector<SearchStep> steps;
};

// For each criterion: (1) a grid of weights with drop and supernet, as by default, with urgency not capped, and with no
// ceiling of starvation, on one load of each family, four systems and one seed; (2) the best three of it on all
// systems, two loads of each family and both seeds; (3) from the best, one switch after the other, then weights by +-1,
// +-0.5 and
// +-0.25 as long as that is better by a thousandth, all of it twice. The best of all points of (2) and (3) wins,
// whichever criterion came by it. Resumable like any sweep.
[[nodiscard]] tl::expected<SearchResult, std::string> search_sdrm3(const SweepOptions& options,
                                                                   const std::vector<std::string>& systems);

}  // namespace takt::tool
