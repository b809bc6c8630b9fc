// A scenario made ready to run: what every segment takes on every accelerator, and all releases of root tasks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "takt/job.hpp"
#include "takt/result.hpp"
#include "takt/time.hpp"

namespace takt::sim {

// One segment on one accelerator, alone: without noise, context switch and contention.
struct SegmentCost {
  Duration time{};
  double energy_nj = 0;
  double dram_bytes = 0;
};

// A run of layers of equal `block`, by its zero-based number in the network.
struct Run {
  std::uint32_t block = 0;
  bool skippable = false;         // its first layer is
  std::vector<SegmentCost> on;    // by accelerator; only where the segment is the whole network
};

struct Segment {
  std::vector<SegmentCost> on;        // by accelerator
  std::uint32_t first_layer = 0;      // k of its noise
  std::int64_t live_bytes = 0;        // output of its last layer: what a context switch reads or writes
  Run run;                            // the run it belongs to, by its first layer
  std::vector<Run> runs;              // granularity "model": all of them, to leave out what is skipped; else empty
  std::vector<double> noise_factors;  // noise "measured": chosen by floor(size * u); else empty
};

struct Subnet {
  std::string name;
  double accuracy = 0;  // as the file says
  std::vector<Segment> segments;
  double worst_energy_nj = 0;  // every layer on its most energy-hungry accelerator
};

struct Task {
  std::string name;
  std::int32_t parent = -1;     // position of an earlier task; -1: a root
  double probability = 1;       // of being released when the parent's job completes
  Duration relative_deadline{}; // from the root frame's release
  Duration period{};            // root task's; zero: Poisson arrivals or requests
  double noise = 0;             // segment times are multiplied by 1 + noise * (2u - 1)
  double skip = 0;              // probability that a skippable run is left out
  Criticality criticality = Criticality::soft;
  std::optional<LateRule> late;        // none: the case's
  QueueRule queue = QueueRule::keep;
  std::uint32_t queue_depth = 8;       // of drop-oldest
  double weight = 1;
  double rate = 0;              // releases a second, the parents' probabilities multiplied in
  std::vector<Subnet> subnets;  // as listed
};

struct Release {
  Instant at{};
  std::uint32_t task = 0;
  std::uint32_t frame = 0;
  Instant deadline{};
  double weight = 1;  // its task's; requests have one each
};

struct Platform {
  struct Accelerator {
    std::string name;
    double clock_ghz = 1;
    double bandwidth = 64;  // bytes a cycle: what a context switch is paid with
  };
  std::vector<Accelerator> accelerators;
  double memory_bandwidth = 0;    // bytes a second that all share; 0: not shared
  bool switch_costs = true;       // measured tile groups have none
};

struct Case {
  std::string name;
  std::uint64_t seed = 1;
  Duration duration{};
  LateRule late = LateRule::abort;
  bool admission = false;
  Platform platform;
  std::vector<Task> tasks;
  std::vector<Release> releases;  // of root tasks, by time, then task, then frame
  double load = 0;
};

struct CaseOptions {
  std::optional<std::uint64_t> seed;  // none: as the file says
  Duration duration{};                // zero: as the file says
  std::filesystem::path costs;        // folder of the cost tables
  std::filesystem::path measured;     // folder of the MoCA tables and traces
};

class CostTables;

}  // namespace takt::sim

namespace takt::files {
struct Scenario;
}

namespace takt::sim {

// Reads a scenario file and the tables it names. Blocks on the disk. Errors name file, line and key.
[[nodiscard]] Parsed<Case> load_case(const std::filesystem::path& scenario, const CaseOptions& options);
// The same with tables that were read before: a sweep reads each file once.
[[nodiscard]] Parsed<Case> load_case(const std::filesystem::path& scenario, const CaseOptions& options,
                                     CostTables& tables);
// Of a scenario that was read or made before.
[[nodiscard]] Parsed<Case> build_case(const files::Scenario& scenario, const CaseOptions& options, CostTables& tables);

}  // namespace takt::sim
