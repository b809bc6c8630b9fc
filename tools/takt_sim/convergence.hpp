// How soon a tuner of weights is where it should be: the grid it is held against, and the count of its steps.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "policies/support/pattern_search.hpp"
#include "tuner_path.hpp"

namespace takt::tool {

// A tuner has converged at a point that costs at most this share more than the best of the grid.
inline constexpr double kTolerance = 0.05;
inline constexpr std::size_t kStepsAllowed = 5;

// [0, 2]^2 in steps of 0.25: 81 points.
[[nodiscard]] std::vector<Weights> weight_grid();

// The best point the tuner knew after 0, 1, ... `steps` steps; it stays where it is if it made fewer. Empty for a path
// without windows.
[[nodiscard]] std::vector<Weights> points_by_step(const TunerPath& path, std::size_t steps);

// `costs` of the points after 0, 1, ... steps. The least number of steps after which it is within the tolerance of
// `best` and is not seen to leave it again; none if the last one is not.
[[nodiscard]] std::optional<std::size_t> steps_needed(std::span<const double> costs, double best);

}  // namespace takt::tool
