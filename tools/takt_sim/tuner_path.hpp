// What a tuning policy did window by window when the workload changes: read from what it describes of itself.
#pragma once

#include <string>
#include <vector>

#include "sweep.hpp"

namespace takt::tool {

struct TunerWindow {
  double alpha = 0, beta = 0;  // that were in force
  double cost = 0;             // UXCost of the window
  double steps = 0;            // of the tuner up to then: accepted moves and halvings
};
struct TunerPath {
  std::string scenario;
  bool warm = false;  // began where the scenario before ended; else at (1, 1)
  std::vector<TunerWindow> windows;
  double best_alpha = 1, best_beta = 1, best_cost = 0;
};

// Plays the scenarios one after the other on one system with `users` at load 1: each once from (1, 1) and, but for the
// first, once from the best point of the one before. `duration` each.
[[nodiscard]] tl::expected<std::vector<TunerPath>, std::string> follow_tuner(const SweepOptions& options,
                                                                             const std::string& system,
                                                                             Duration duration);

}  // namespace takt::tool
