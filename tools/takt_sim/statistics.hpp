// The statistics of the report: means, the bootstrap over groups, the paired test, regret.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

namespace takt::tool {

struct Interval {
  double low = 0, high = 0;
};

[[nodiscard]] double mean(std::span<const double> values);            // 0 of none
[[nodiscard]] double geometric_mean(std::span<const double> values);  // values under 1e-12 count as that; 0 of none
[[nodiscard]] double median(std::vector<double> values);              // of the middle two, their mean; 0 of none

// Percentile interval of a statistic over groups: `statistic` gets group numbers in [0, groups), as many as there are
// groups, drawn with replacement. `coverage` 0.95: from the 2.5th to the 97.5th percentile. Equal arguments, equal
// interval.
[[nodiscard]] Interval bootstrap(std::size_t groups, std::size_t resamples, std::uint64_t seed,
                                 const std::function<double(std::span<const std::size_t>)>& statistic,
                                 double coverage = 0.95);

// 97.5th percentile of Student's t.
[[nodiscard]] double student_t975(std::size_t degrees_of_freedom);

// Mean of pairwise differences with its 95 % interval (Student's t); unbounded for fewer than two pairs.
struct Difference {
  double mean = 0;
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
};
[[nodiscard]] Difference paired_difference(std::span<const double> a, std::span<const double> b);

// How much worse than the best rival of each cell: max(0, own - least rival). Lower is better. `rivals` is by rival,
// then cell.
struct Regret {
  double mean = 0, worst = 0;
  std::size_t worst_cell = 0;
  double mean_difference = 0;  // not cut at 0
};
[[nodiscard]] Regret regret(std::span<const double> own, std::span<const std::vector<double>> rivals);

}  // namespace takt::tool
