// Comma-separated tables: plain cells without quotes, every line told by its number for messages.
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace takt::sim {

struct CsvLine {
  int number = 0;  // from 1
  std::vector<std::string_view> cells;
};

// The cells of one line; ends of lines of both kinds are taken off, spaces are not.
[[nodiscard]] inline std::vector<std::string_view> csv_cells(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  std::vector<std::string_view> cells;
  while (true) {
    const std::size_t comma = line.find(',');
    cells.push_back(line.substr(0, comma));
    if (comma == std::string_view::npos) return cells;
    line.remove_prefix(comma + 1);
  }
}

// Views into `text`. The end of the last line may be missing.
[[nodiscard]] inline std::vector<CsvLine> csv_lines(std::string_view text) {
  std::vector<CsvLine> lines;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    lines.push_back({number, csv_cells(text.substr(0, end))});
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

// The first column of that name.
[[nodiscard]] inline std::optional<std::size_t> csv_column(const CsvLine& header, std::string_view name) {
  for (std::size_t i = 0; i < header.cells.size(); ++i)
    if (header.cells[i] == name) return i;
  return std::nullopt;
}

// A finite number of the whole cell that is not negative.
[[nodiscard]] inline std::optional<double> csv_number(std::string_view cell) {
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc{} || end != cell.data() + cell.size() || !std::isfinite(value) || value < 0)
    return std::nullopt;
  return value;
}

}  // namespace takt::sim
