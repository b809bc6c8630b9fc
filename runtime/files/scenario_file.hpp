// Scenario files of the simulator: a platform of accelerators and the tasks, or the trace of requests, that it serves.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "takt/job.hpp"
#include "takt/result.hpp"
#include "takt/time.hpp"

namespace takt::files {

// What a segment is made of: one layer, a run of layers of one block, or the whole network.
enum class Granularity : std::uint8_t { layer, block, model };
enum class Arrivals : std::uint8_t { periodic, poisson };
enum class CostSource : std::uint8_t { tables, measured };  // cost tables by accelerator type; measured tile groups

struct ScenarioAccelerator {
  std::string name, type;
  double clock_ghz = 1;
  double bandwidth = 64;  // bytes a cycle of its own
  int line = 0;
};

// A model of the cost tables, or synthetic: `cost` > 0, and the name is its text.
struct ScenarioSubnet {
  std::string name;
  Duration cost{};
  double accuracy = 0;
  int line = 0;
};

struct ScenarioNoise {
  double spread = 0;      // times are multiplied by 1 + spread * (2u - 1)
  bool measured = false;  // by a measured repeat instead
};

struct ScenarioTask {
  std::string name;
  std::int32_t parent = -1;  // position of an earlier task; -1: a root
  double probability = 1;    // of following the parent
  Arrivals arrivals = Arrivals::periodic;
  Duration period{};             // the root's; zero with Poisson arrivals
  double rate = 0;               // Poisson: arrivals a second, the root's
  Duration relative_deadline{};  // from the release of the root's frame
  Duration offset{}, jitter{};   // of a root
  ScenarioNoise noise;
  double skip = 0;  // probability that a skippable block is left out
  Criticality criticality = Criticality::soft;
  double weight = 1;
  Duration segment{};  // synthetic subnets are cut in pieces of it; zero: whole
  CostSource costs = CostSource::tables;
  std::vector<ScenarioSubnet> subnets;  // at least one
  int line = 0;
};

struct ScenarioRequests {
  std::string trace;   // its path as written
  double quality = 1;  // factor of the base latency targets
  ScenarioNoise noise;
  int line = 0;
};

// Either tasks or requests.
struct Scenario {
  std::filesystem::path file;  // as it was named; for messages
  std::string name;
  Duration duration{};
  LateRule late = LateRule::abort;
  Granularity granularity = Granularity::layer;
  bool admission = false;
  std::uint64_t seed = 1;
  double memory_bandwidth = 0;  // bytes a second that all share; 0: not shared
  std::vector<ScenarioAccelerator> accelerators;
  std::vector<ScenarioTask> tasks;
  std::optional<ScenarioRequests> requests;
};

// Everything that can be told without the tables and traces it names. Blocks on the disk.
[[nodiscard]] Parsed<Scenario> read_scenario(const std::filesystem::path& path);
[[nodiscard]] Parsed<Scenario> parse_scenario(std::string_view xml, const std::filesystem::path& path);

}  // namespace takt::files
