// Grid and count; see convergence.hpp.
#include "convergence.hpp"

namespace takt::tool {

std::vector<Weights> weight_grid() {
  constexpr int kSide = 9;
  constexpr double kStep = 0.25;
  std::vector<Weights> grid;
  for (int a = 0; a < kSide; ++a)
    for (int b = 0; b < kSide; ++b) grid.push_back({kStep * a, kStep * b});
  return grid;
}

std::vector<Weights> points_by_step(const TunerPath& path, std::size_t steps) {
  std::vector<Weights> points;
  if (path.windows.empty()) return points;
  for (std::size_t k = 0; k <= steps; ++k) {
    // A window may bring several steps: a move first, then halvings, which stay.
    const std::size_t number = window_of_step(path, static_cast<double>(k));
    const TunerWindow& w = number > 0 ? path.windows[number - 1] : path.windows.back();
    points.push_back({w.best_alpha, w.best_beta});
  }
  return points;
}

std::optional<std::size_t> steps_needed(std::span<const double> costs, double best) {
  std::size_t k = costs.size();
  while (k > 0 && costs[k - 1] <= (1 + kTolerance) * best) --k;
  if (k == costs.size()) return std::nullopt;
  return k;
}

}  // namespace takt::tool
