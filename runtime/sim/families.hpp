// The systems and loads that schedulers are compared on: a scenario's tasks on other accelerators, the clock chosen for a load.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "files/scenario_file.hpp"
#include "sim/case.hpp"
#include "sim/cost_tables.hpp"

namespace takt::sim {

// Weight-stationary and output-stationary accelerators of 1,024 or 2,048 units, 4K or 8K units in all. That there are such
// systems is published (SDRM3), which ones is our choice. 64 bytes a cycle for 2,048 units, 32 for 1,024.
struct System {
  std::string_view name;
  struct Part {
    std::string_view type;
    unsigned count;
  };
  std::array<Part, 2> parts;
};
[[nodiscard]] std::span<const System> systems();

// Both choose the clock; both release roots with 2 ms of jitter.
// chain: one user; the chain of tasks that is longest for its deadline, each layer on its best accelerator, takes `level` of it.
// users: as many users as make every chain take at most 0.6 of its deadline at load 1, their offsets spread over the period;
//   `level` is the load: work of the best accelerator a layer, over all accelerators.
enum class Family : std::uint8_t { chain, users };
inline constexpr std::array<double, 4> kChainLevels{0.4, 0.6, 0.8, 0.95};
inline constexpr std::array<double, 4> kUserLevels{0.5, 0.75, 1.0, 1.25};

struct Load {
  Family family = Family::chain;
  double level = 0.6;
};

// `base` gives the tasks; its platform is replaced. Blocks on the disk for tables not read yet.
[[nodiscard]] Parsed<Case> make_case(const files::Scenario& base, const System& system, const Load& load, const CaseOptions& options,
                                     CostTables& tables);

}  // namespace takt::sim
