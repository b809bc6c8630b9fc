// Cost tables of the simulator: what each layer of a network takes on each type of accelerator, read from CSV.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "takt/result.hpp"

namespace takt::sim {

// One layer on one type of accelerator, as the table says.
struct LayerCost {
  double cycles = 0;
  double energy_nj = 0;
  double dram_bytes = 0;
};

struct Layer {
  std::string block;
  bool skippable = false;
  std::int64_t output_bytes = 0;
  std::vector<LayerCost> on;  // parallel to LayerTable::types
};

// A file <model>.csv.
struct LayerTable {
  std::filesystem::path file;
  std::vector<std::string> types;  // the prefixes of its columns
  std::vector<Layer> layers;       // in order of execution, at least one

  [[nodiscard]] std::optional<std::size_t> find_type(std::string_view type) const;
};

inline constexpr std::size_t kTileGroups = 4;
inline constexpr std::array<int, kTileGroups> kTileGroupSizes{1, 2, 4, 8};
inline constexpr std::size_t kRepeats = 7;

// A row of <net>.csv and what was measured of it in <net>_1.csv.
struct MeasuredLayer {
  std::array<double, kTileGroups> cycles{};  // by kTileGroupSizes, predicted, at 1 GHz
  double dram_lines = 0;                     // of 16 bytes
  std::array<double, kRepeats> repeat{};     // cycles on one core
  double mean = 0;
};

struct MeasuredTable {
  std::filesystem::path file;
  std::vector<MeasuredLayer> layers;  // at least one
};

// A row of a request trace.
struct Request {
  std::string network;
  std::int64_t priority = 0;
  std::int64_t arrival_ns = 0;  // the trace's cycles at 1 GHz
};

// Reads each file once and keeps it: share one between the runs of a sweep. Not for several threads at a time; returned
// tables live as long as this object. Blocks on the disk.
class CostTables {
 public:
  [[nodiscard]] Parsed<const LayerTable*> layers(const std::filesystem::path& folder, const std::string& model);
  // Reads <net>.csv and <net>_1.csv, whose rows must match.
  [[nodiscard]] Parsed<const MeasuredTable*> measured(const std::filesystem::path& folder, const std::string& net);

 private:
  std::map<std::filesystem::path, LayerTable> layers_;
  std::map<std::filesystem::path, MeasuredTable> measured_;
};

// The same from memory; `file` is for messages.
[[nodiscard]] Parsed<LayerTable> parse_layer_table(std::string_view csv, const std::filesystem::path& file);
[[nodiscard]] Parsed<MeasuredTable> parse_measured_table(std::string_view csv, const std::filesystem::path& file);
// Fills repeat and mean of the table's layers from the rows conv and matmul.
[[nodiscard]] Parsed<void> parse_repeats(std::string_view csv, const std::filesystem::path& file, MeasuredTable& table);
[[nodiscard]] Parsed<std::vector<Request>> parse_request_trace(std::string_view csv, const std::filesystem::path& file);
[[nodiscard]] Parsed<std::vector<Request>> read_request_trace(const std::filesystem::path& file);

}  // namespace takt::sim
