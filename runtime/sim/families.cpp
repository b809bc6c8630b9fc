// Systems, clocks and users; see families.hpp.
#include "sim/families.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "sim/subnets.hpp"

namespace takt::sim {
namespace {

constexpr std::array<System, 8> kSystems{{{"2ws2k", {{{"ws_2048", 2}, {"", 0}}}},
                                          {"2os2k", {{{"os_2048", 2}, {"", 0}}}},
                                          {"ws2k-2os1k", {{{"ws_2048", 1}, {"os_1024", 2}}}},
                                          {"os2k-2ws1k", {{{"os_2048", 1}, {"ws_1024", 2}}}},
                                          {"4ws2k", {{{"ws_2048", 4}, {"", 0}}}},
                                          {"4os2k", {{{"os_2048", 4}, {"", 0}}}},
                                          {"2ws2k-4os1k", {{{"ws_2048", 2}, {"os_1024", 4}}}},
                                          {"2os2k-4ws1k", {{{"os_2048", 2}, {"ws_1024", 4}}}}}};

constexpr Duration kJitter = std::chrono::milliseconds(2);
constexpr double kLongestChain = 0.6;  // family users: of its deadline at load 1

void put_platform(files::Scenario& scenario, const System& system, double clock_ghz) {
  scenario.accelerators.clear();
  for (const System::Part& part : system.parts) {
    for (unsigned i = 0; i < part.count; ++i) {
      const double bandwidth = part.type.ends_with("2048") ? 64 : 32;
      scenario.accelerators.push_back({.name = std::string(part.type.substr(0, 2)) + std::to_string(i),
                                       .type = std::string(part.type),
                                       .clock_ghz = clock_ghz,
                                       .bandwidth = bandwidth});
    }
  }
}

struct Demand {
  double chain = 0;  // most of its deadline that a task and its parents take, each layer on its best accelerator
  double load = 0;
};

Demand demand_of(const Case& c) {
  Demand d{.load = c.load};
  std::vector<double> chains;
  for (const Task& task : c.tasks) {
    const double before = task.parent >= 0 ? chains[static_cast<std::size_t>(task.parent)] : 0;
    chains.push_back(before + static_cast<double>(least_time(task.subnets[0]).count()));
    d.chain = std::max(d.chain, chains.back() / static_cast<double>(task.relative_deadline.count()));
  }
  return d;
}

// The same tasks once for each user, offsets spread over the period.
void multiply(files::Scenario& scenario, unsigned users) {
  const std::vector<files::ScenarioTask> one = std::move(scenario.tasks);
  scenario.tasks.clear();
  for (unsigned user = 0; user < users; ++user) {
    for (files::ScenarioTask task : one) {
      if (users > 1) task.name += "." + std::to_string(user + 1);
      if (task.parent >= 0) {
        task.parent += static_cast<std::int32_t>(user * one.size());
      } else {
        task.offset += task.period * user / users;
      }
      scenario.tasks.push_back(std::move(task));
    }
  }
}

}  // namespace

std::span<const System> systems() { return kSystems; }

Parsed<Case> make_case(const files::Scenario& base, const System& system, const Load& load, const CaseOptions& options,
                       CostTables& tables) {
  files::Scenario scenario = base;
  for (files::ScenarioTask& task : scenario.tasks)
    if (task.parent < 0) task.jitter = kJitter;
  put_platform(scenario, system, 1);
  CaseOptions look = options;
  look.duration = Duration{1};  // costs only
  const auto at_one_ghz = build_case(scenario, look, tables);
  if (!at_one_ghz) return at_one_ghz;
  const Demand d = demand_of(*at_one_ghz);
  double clock = d.chain / load.level;
  if (load.family == Family::users) {
    const auto users = static_cast<unsigned>(std::max(1.0, std::ceil(d.chain / (kLongestChain * d.load) - 1e-9)));
    multiply(scenario, users);
    clock = users * d.load / load.level;
  }
  put_platform(scenario, system, clock);
  return build_case(scenario, options, tables);
}

}  // namespace takt::sim
