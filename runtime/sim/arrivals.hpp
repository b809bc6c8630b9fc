// Releases of root tasks: periodic with jitter, and Poisson. They depend on the seed, never on the schedule.
#pragma once

#include <cstdint>
#include <vector>

#include "files/scenario_file.hpp"
#include "sim/case.hpp"

namespace takt::sim {

inline constexpr std::size_t kMaxReleases = 20'000'000;

// Appends the releases of a root at position `task` that are before `duration`, in the order of frames, to `releases`.
// False if there would be more than kMaxReleases; `releases` is then of no use.
[[nodiscard]] bool append_releases(const files::ScenarioTask& root, std::uint32_t task, std::uint64_t seed,
                                   Duration duration, std::vector<Release>& releases);

// By time, then task, then frame.
void sort_releases(std::vector<Release>& releases);

}  // namespace takt::sim
