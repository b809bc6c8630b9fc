// From the layers of a network to the segments of a scenario's granularity.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "files/scenario_file.hpp"
#include "sim/case.hpp"
#include "sim/cost_tables.hpp"

namespace takt::sim {

// A layer on the scenario's accelerators, times rounded.
struct LayerOnPlatform {
  std::vector<SegmentCost> on;  // by accelerator
  std::uint32_t run = 0;        // number of its run of layers of equal block
  bool skippable = false;
  std::int64_t live_bytes = 0;
  std::array<double, kRepeats> repeat{};  // measured; zeros where nothing was
  double mean = 0;
};

// Layers of a cost table, of a measured one, and of a time that is cut in pieces. A type that the table does not have
// is refused with the accelerator's line.
[[nodiscard]] Parsed<std::vector<LayerOnPlatform>> place(const LayerTable& table, const files::Scenario& scenario);
[[nodiscard]] Parsed<std::vector<LayerOnPlatform>> place(const MeasuredTable& table, const files::Scenario& scenario);
[[nodiscard]] std::vector<LayerOnPlatform> cut(Duration cost, Duration piece, std::size_t accelerators);

// Times, energies and traffic of a segment are the sums over its layers. With `measured_noise` segments get the factors
// of their repeats: sum of repeats over sum of means.
[[nodiscard]] Subnet make_subnet(std::string name, double accuracy, const std::vector<LayerOnPlatform>& layers,
                                 files::Granularity granularity, bool measured_noise);

// Sum over segments of the least time of any accelerator.
[[nodiscard]] Duration least_time(const Subnet& subnet);

}  // namespace takt::sim
