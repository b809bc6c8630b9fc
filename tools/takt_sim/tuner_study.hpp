// How soon the tuner of sdrm3 finds good weights after a change of scenario, held against a grid of fixed ones.
#pragma once

#include <string>
#include <vector>

#include "sweep.hpp"

namespace takt::tool {

struct TunerStudyOptions {
  SweepOptions sweep;  // scenarios, their order; duration of the runs with fixed weights, whose rows go to its file
  std::string system = "os2k-2ws1k", family = "chain";
  double level = 0.95;
  std::vector<std::uint64_t> seeds{1, 2, 3};  // of the runs with fixed weights: a point's cost is their mean UXCost
  std::vector<std::uint64_t> tuner_seeds{11, 12, 13};  // of the runs that tune: others
  std::vector<std::string> tuners;                     // NAME or NAME/key=value/key=value
  unsigned windows = 40;                               // that a tuner gets
};

// Finds the best point of the grid for each scenario; then lets each tuner run on it from (1, 1), cold, and from where
// it ended on each of the other scenarios, warm, and runs its best point after each step with fixed weights. Returns
// the tables as text; progress on stderr; runs with fixed weights are not done again. An error says what is wrong.
[[nodiscard]] tl::expected<std::string, std::string> study_tuner(const TunerStudyOptions& options);

}  // namespace takt::tool
