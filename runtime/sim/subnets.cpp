// Layer times on a platform and their sums over segments. Roundings are per layer, as SCENARIOS says, then integers
// add.
#include "sim/subnets.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

namespace takt::sim {
namespace {

using files::Granularity;

constexpr double kBytesOfLine = 16;
constexpr double kSyntheticEnergyNj = 1;  // a nanosecond

Duration whole_ns(double ns) {
  return Duration{static_cast<Duration::rep>(std::ceil(ns))};
}

SegmentCost cost_of(const LayerCost& layer, const files::ScenarioAccelerator& accelerator) {
  const double cycles = std::max(layer.cycles, layer.dram_bytes / accelerator.bandwidth);
  return {whole_ns(cycles / accelerator.clock_ghz), layer.energy_nj, layer.dram_bytes};
}

tl::unexpected<InputError> no_type(const files::Scenario& scenario, std::size_t accelerator, const std::string& text) {
  const files::ScenarioAccelerator& a = scenario.accelerators[accelerator];
  return tl::unexpected<InputError>(
      InputError{scenario.file.string(), a.line, "accelerator type", "'" + a.type + "' " + text});
}

std::optional<std::size_t> find_tile_group(std::string_view type) {
  for (std::size_t k = 0; k < kTileGroups; ++k)
    if (type == "tiles_" + std::to_string(kTileGroupSizes[k])) return k;
  return std::nullopt;
}

void add(SegmentCost& sum, const SegmentCost& cost) {
  sum.time += cost.time;
  sum.energy_nj += cost.energy_nj;
  sum.dram_bytes += cost.dram_bytes;
}

void add(std::vector<SegmentCost>& sums, const std::vector<SegmentCost>& costs) {
  sums.resize(costs.size());
  for (std::size_t a = 0; a < costs.size(); ++a) add(sums[a], costs[a]);
}

using Layers = std::vector<LayerOnPlatform>;

// One past the last layer of the segment that begins at `first`.
std::size_t end_of_segment(const Layers& layers, std::size_t first, Granularity granularity) {
  if (granularity == Granularity::layer) return first + 1;
  if (granularity == Granularity::model) return layers.size();
  std::size_t end = first;
  while (end < layers.size() && layers[end].run == layers[first].run) ++end;
  return end;
}

std::vector<double> factors_of(const Layers& layers, std::size_t first, std::size_t end) {
  std::vector<double> factors;
  for (std::size_t r = 0; r < kRepeats; ++r) {
    double repeat = 0, mean = 0;
    for (std::size_t i = first; i < end; ++i) repeat += layers[i].repeat[r], mean += layers[i].mean;
    factors.push_back(repeat / mean);
  }
  return factors;
}

std::vector<Run> runs_of(const Layers& layers) {
  std::vector<Run> runs;
  for (const LayerOnPlatform& layer : layers) {
    if (runs.empty() || runs.back().block != layer.run) runs.push_back({layer.run, layer.skippable, {}});
    add(runs.back().on, layer.on);
  }
  return runs;
}

double worst_energy(const Layers& layers) {
  double sum = 0;
  for (const LayerOnPlatform& layer : layers) {
    double most = 0;
    for (const SegmentCost& cost : layer.on) most = std::max(most, cost.energy_nj);
    sum += most;
  }
  return sum;
}

}  // namespace

Parsed<Layers> place(const LayerTable& table, const files::Scenario& scenario) {
  std::vector<std::size_t> column;
  for (std::size_t a = 0; a < scenario.accelerators.size(); ++a) {
    const auto type = table.find_type(scenario.accelerators[a].type);
    if (!type) return no_type(scenario, a, "has no columns in " + table.file.string());
    column.push_back(*type);
  }
  Layers layers;
  for (std::size_t i = 0; i < table.layers.size(); ++i) {
    const Layer& row = table.layers[i];
    const bool same_run = i > 0 && row.block == table.layers[i - 1].block;
    LayerOnPlatform layer;
    layer.run = i == 0 ? 0 : layers.back().run + (same_run ? 0 : 1);
    layer.skippable = same_run ? layers.back().skippable : row.skippable;  // as the run's first row is
    layer.live_bytes = row.output_bytes;
    for (std::size_t a = 0; a < column.size(); ++a)
      layer.on.push_back(cost_of(row.on[column[a]], scenario.accelerators[a]));
    layers.push_back(std::move(layer));
  }
  return layers;
}

Parsed<Layers> place(const MeasuredTable& table, const files::Scenario& scenario) {
  std::vector<std::size_t> group;
  for (std::size_t a = 0; a < scenario.accelerators.size(); ++a) {
    const auto found = find_tile_group(scenario.accelerators[a].type);
    if (!found) return no_type(scenario, a, "is no tile group: tiles_1, tiles_2, tiles_4 or tiles_8");
    group.push_back(*found);
  }
  Layers layers;
  for (const MeasuredLayer& row : table.layers) {
    LayerOnPlatform layer;
    layer.run = static_cast<std::uint32_t>(layers.size());
    layer.repeat = row.repeat;
    layer.mean = row.mean;
    for (const std::size_t g : group) layer.on.push_back({whole_ns(row.cycles[g]), 0, row.dram_lines * kBytesOfLine});
    layers.push_back(std::move(layer));
  }
  return layers;
}

Layers cut(Duration cost, Duration piece, std::size_t accelerators) {
  if (piece == Duration{0}) piece = cost;
  Layers layers;
  for (Duration rest = cost; rest > Duration{0}; rest -= std::min(rest, piece)) {
    const Duration time = std::min(rest, piece);
    const SegmentCost one{time, static_cast<double>(time.count()) * kSyntheticEnergyNj, 0};
    LayerOnPlatform layer;
    layer.run = static_cast<std::uint32_t>(layers.size());
    layer.on.assign(accelerators, one);
    layers.push_back(std::move(layer));
  }
  return layers;
}

Subnet make_subnet(std::string name, double accuracy, const Layers& layers, Granularity granularity,
                   bool measured_noise) {
  Subnet subnet;
  subnet.name = std::move(name);
  subnet.accuracy = accuracy;
  subnet.worst_energy_nj = worst_energy(layers);
  for (std::size_t first = 0, end = 0; first < layers.size(); first = end) {
    end = end_of_segment(layers, first, granularity);
    Segment segment;
    segment.first_layer = static_cast<std::uint32_t>(first);
    for (std::size_t i = first; i < end; ++i) add(segment.on, layers[i].on);
    segment.live_bytes = layers[end - 1].live_bytes;
    segment.run = {layers[first].run, layers[first].skippable, {}};
    if (granularity == Granularity::model) segment.runs = runs_of(layers);
    if (measured_noise) segment.noise_factors = factors_of(layers, first, end);
    subnet.segments.push_back(std::move(segment));
  }
  return subnet;
}

Duration least_time(const Subnet& subnet) {
  Duration sum{};
  for (const Segment& segment : subnet.segments) {
    const auto least = std::min_element(segment.on.begin(), segment.on.end(),
                                        [](const SegmentCost& a, const SegmentCost& b) { return a.time < b.time; });
    sum += least->time;
  }
  return sum;
}

}  // namespace takt::sim
