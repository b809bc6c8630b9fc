// What a tuning policy did window by window when the workload changes: read from what it describes of itself.
#pragma once

#include <string>
#include <vector>

#include "sweep.hpp"

namespace takt::tool {

struct TunerWindow {
  double alpha = 0, beta = 0;            // that were in force
  double cost = 0;                       // UXCost of the window
  double steps = 0;                      // of the tuner up to then: accepted moves and halvings
  double best_alpha = 1, best_beta = 1;  // the best point it knew then
};
struct TunerPath {
  std::string scenario;
  bool warm = false;  // began where the scenario before ended; else at (1, 1)
  std::vector<TunerWindow> windows;
  double best_alpha = 1, best_beta = 1, best_cost = 0;
};

// The number, from 1, of the window after which the tuner has made so many steps; 0: it has not.
[[nodiscard]] std::size_t window_of_step(const TunerPath& path, double steps);

// Plays a case with a tuning policy, as a sweep names it, that begins at these weights.
[[nodiscard]] tl::expected<TunerPath, std::string> follow_tuner(const sim::Case& scenario, const std::string& policy,
                                                                double alpha, double beta);

// Plays the scenarios one after the other on one system with `users` at load 1: each once from (1, 1) and, but for the
// first, once from the best point of the one before. `duration` each.
[[nodiscard]] tl::expected<std::vector<TunerPath>, std::string> follow_tuner(const SweepOptions& options,
                                                                             const std::string& system,
                                                                             Duration duration);

}  // namespace takt::tool
