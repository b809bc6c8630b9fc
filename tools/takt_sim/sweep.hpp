// The sweep: scenarios x systems x loads x policies x seeds on all cores, one CSV row each, resumable.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cells.hpp"
#include "sim/families.hpp"

namespace takt::tool {

// Every scenario with everything below, in all combinations.
struct Grid {
  std::vector<std::string> systems;   // names; empty: all
  std::vector<std::string> families;  // chain, users; empty: both
  std::vector<double> levels;         // empty: the family's own
  std::vector<std::string> policies;  // NAME or NAME/key=value/key=value, or one of the two below
  std::vector<std::uint64_t> seeds;
  std::vector<std::string> variations{""};  // see vary.hpp; scenarios that one cannot change are left out
};

// Not policies, but rows like theirs: the violations that no scheduler can avoid, by the fluid bound of sim/bound.hpp,
// and those of frames that cannot be in time even alone.
inline constexpr const char* kFluidBound = "bound:fluid";
inline constexpr const char* kHopeless = "bound:alone";

struct SweepOptions {
  std::vector<std::filesystem::path> scenarios;
  Duration duration{};
  unsigned jobs = 1;
  sim::CaseOptions costs;  // folders of the tables
  std::filesystem::path csv;
  std::string title;  // of the progress bar
};

// Runs what the file does not have yet, with progress on stderr; then rewrites it, the cells of these grids first and
// in order, and returns their rows. An error says what is wrong with which argument or file. Ctrl-C loses at most the
// runs in progress. Rows do not tell the duration, nor which version made them: another file for another duration or
// version.
[[nodiscard]] tl::expected<std::vector<Row>, std::string> sweep(const SweepOptions& options,
                                                                const std::vector<Grid>& grids);

// One line a policy: geometric mean and median of UXCost, mean violation rate, relative energy, accuracy, segments a
// second.
[[nodiscard]] std::string table(const std::vector<Row>& rows);

}  // namespace takt::tool
