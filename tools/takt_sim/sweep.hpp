// The sweep: scenarios x systems x loads x policies x seeds on all cores, one CSV row each, resumable.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sim/families.hpp"

namespace takt::tool {

struct SweepOptions {
  std::vector<std::filesystem::path> scenarios;
  std::vector<std::string> systems;   // names; empty: all
  std::vector<std::string> families;  // chain, users; empty: both
  std::vector<double> levels;         // empty: the family's own
  std::vector<std::string> policies;  // NAME or NAME/key=value/key=value
  std::vector<std::uint64_t> seeds;
  Duration duration{};
  unsigned jobs = 1;
  sim::CaseOptions costs;  // folders of the tables
  std::filesystem::path csv;
};

// A row of the CSV file.
struct Cell {
  std::string scenario, system, family, level, policy;
  std::uint64_t seed = 0;
  [[nodiscard]] std::string key() const;
};
struct Row {
  Cell cell;
  std::uint64_t released = 0, violated = 0, decisions = 0;
  double violation_rate = 0, uxcost = 0, relative_energy = 0, accuracy = 0, wall_ms = 0;
};

// Runs what the file does not have yet, with progress on stderr; then rewrites it in the order of the cells and returns all rows.
// An error says what is wrong with which argument or file. Ctrl-C loses at most the runs in progress.
[[nodiscard]] tl::expected<std::vector<Row>, std::string> sweep(const SweepOptions& options);

// One line a policy: geometric mean and median of UXCost, mean violation rate, relative energy, accuracy, segments a second.
[[nodiscard]] std::string table(const std::vector<Row>& rows);

}  // namespace takt::tool
