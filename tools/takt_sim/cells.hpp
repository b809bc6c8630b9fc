// Cells of a sweep and their rows in a CSV file, which is read back to go on where a run was stopped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace takt::tool {

// What was run. A scenario that was varied is called NAME/key=value, as a policy with settings is.
struct Cell {
  std::string scenario, system, family, level, policy;
  std::uint64_t seed = 0;
  [[nodiscard]] std::string key() const;        // the first columns of its row
  [[nodiscard]] std::string place() const;      // all but policy and seed
  [[nodiscard]] std::string base() const;       // the scenario's own name
  [[nodiscard]] std::string variation() const;  // key=value, or nothing
};

struct Row {
  Cell cell;
  std::uint64_t released = 0, violated = 0, decisions = 0;
  double violation_rate = 0, uxcost = 0;
  double relative_energy = 0;  // energy over worst-case energy
  double accuracy = 0;         // of tasks with more than one subnet; 0: there is none
  double wall_ms = 0;
};

[[nodiscard]] std::vector<std::string> split(const std::string& text, char separator);
[[nodiscard]] std::string text_of(double value);  // short: 0.6

[[nodiscard]] std::string to_line(const Row& row);
// By key. Lines that were cut short by an interruption are left out. Blocks on the disk; no file: no rows.
[[nodiscard]] std::map<std::string, Row> read_rows(const std::filesystem::path& csv);
// Replaces the file at once: `first` and then the `others`. False if it cannot be written.
[[nodiscard]] bool write_rows(const std::filesystem::path& csv, const std::vector<Row>& first,
                              const std::map<std::string, Row>& others);

}  // namespace takt::tool
