// The CSV of a sweep; see cells.hpp.
#include "cells.hpp"

#include <cstdio>
#include <fstream>
#include <sstream>

namespace takt::tool {
namespace {

constexpr const char* kHeader =
    "scenario,system,family,level,policy,seed,released,violated,violation_rate,uxcost,relative_energy,accuracy,"
    "decisions,wall_ms";
constexpr std::size_t kColumns = 14;

bool from_line(const std::string& line, Row& r) {
  const std::vector<std::string> f = split(line, ',');
  if (f.size() != kColumns) return false;
  try {
    r = {.cell = {f[0], f[1], f[2], f[3], f[4], std::stoull(f[5])},
         .released = std::stoull(f[6]),
         .violated = std::stoull(f[7]),
         .decisions = std::stoull(f[12]),
         .violation_rate = std::stod(f[8]),
         .uxcost = std::stod(f[9]),
         .relative_energy = std::stod(f[10]),
         .accuracy = std::stod(f[11]),
         .wall_ms = std::stod(f[13])};
  } catch (const std::exception&) {
    return false;  // the heading, or a line cut short
  }
  return true;
}

}  // namespace

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

std::string text_of(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.10g", value);
  return text;
}

std::string Cell::key() const {
  return place() + ',' + policy + ',' + std::to_string(seed);
}
std::string Cell::place() const {
  return scenario + ',' + system + ',' + family + ',' + level;
}
std::string Cell::base() const {
  return scenario.substr(0, scenario.find('/'));
}
std::string Cell::variation() const {
  const std::size_t slash = scenario.find('/');
  return slash == std::string::npos ? "" : scenario.substr(slash + 1);
}

std::string to_line(const Row& r) {
  return r.cell.key() + ',' + std::to_string(r.released) + ',' + std::to_string(r.violated) + ',' +
         text_of(r.violation_rate) + ',' + text_of(r.uxcost) + ',' + text_of(r.relative_energy) + ',' +
         text_of(r.accuracy) + ',' + std::to_string(r.decisions) + ',' + text_of(r.wall_ms);
}

std::map<std::string, Row> read_rows(const std::filesystem::path& csv) {
  std::map<std::string, Row> rows;
  std::ifstream file(csv);
  Row r;
  for (std::string line; std::getline(file, line);)
    if (from_line(line, r)) rows[r.cell.key()] = r;
  return rows;
}

bool write_rows(const std::filesystem::path& csv, const std::vector<Row>& first,
                const std::map<std::string, Row>& others) {
  const std::filesystem::path fresh = csv.string() + ".new";
  {
    std::ofstream file(fresh);
    file << kHeader << '\n';
    for (const Row& row : first) file << to_line(row) << '\n';
    for (const auto& [key, row] : others) file << to_line(row) << '\n';
    if (!file.flush()) return false;
  }
  std::error_code failed;
  std::filesystem::rename(fresh, csv, failed);
  return !failed;
}

}  // namespace takt::tool
