// A scenario file, the tables and the trace it names, put together as a case that can be run.
#include "sim/case.hpp"

#include <utility>

#include "files/scenario_file.hpp"
#include "sim/arrivals.hpp"
#include "sim/cost_tables.hpp"
#include "sim/requests.hpp"
#include "sim/subnets.hpp"

namespace takt::sim {
namespace {

using files::Scenario;
using files::ScenarioSubnet;
using files::ScenarioTask;

tl::unexpected<InputError> refuse(const Scenario& scenario, int line, std::string key, std::string text) {
  return tl::unexpected<InputError>(InputError{scenario.file.string(), line, std::move(key), std::move(text)});
}

// A table that cannot be opened is a mistake of the line that names it; one that is wrong tells its own line.
InputError at_subnet(const Scenario& scenario, const ScenarioSubnet& subnet, const InputError& inner) {
  if (inner.line > 0) return inner;
  return {scenario.file.string(), subnet.line, "model", "'" + subnet.name + "': " + inner.file + " " + inner.text};
}

Parsed<std::vector<LayerOnPlatform>> layers_of(const Scenario& scenario, const ScenarioTask& task,
                                               const ScenarioSubnet& subnet, const CaseOptions& options,
                                               CostTables& tables) {
  if (subnet.cost > Duration{0}) return cut(subnet.cost, task.segment, scenario.accelerators.size());
  if (task.costs == files::CostSource::measured) {
    const auto table = tables.measured(options.measured, subnet.name);
    if (!table) return tl::unexpected<InputError>(at_subnet(scenario, subnet, table.error()));
    return place(**table, scenario);
  }
  const auto table = tables.layers(options.costs, subnet.name);
  if (!table) return tl::unexpected<InputError>(at_subnet(scenario, subnet, table.error()));
  return place(**table, scenario);
}

// Releases a second, the probabilities of a child and its parents multiplied in.
double rate_of(const ScenarioTask& task, const Case& result) {
  if (task.parent >= 0) return result.tasks[static_cast<std::size_t>(task.parent)].rate * task.probability;
  return task.arrivals == files::Arrivals::poisson ? task.rate : 1e9 / static_cast<double>(task.period.count());
}

Parsed<Task> make_task(const Scenario& scenario, const ScenarioTask& from, const CaseOptions& options,
                       CostTables& tables) {
  Task task;
  task.name = from.name;
  task.parent = from.parent;
  task.probability = from.probability;
  task.relative_deadline = from.relative_deadline;
  task.period = from.period;
  task.noise = from.noise.spread;
  task.skip = from.skip;
  task.criticality = from.criticality;
  task.weight = from.weight;
  for (const ScenarioSubnet& subnet : from.subnets) {
    const auto layers = layers_of(scenario, from, subnet, options, tables);
    if (!layers) return tl::unexpected<InputError>(layers.error());
    const bool factors = from.noise.measured && subnet.cost == Duration{0};
    task.subnets.push_back(make_subnet(subnet.name, subnet.accuracy, *layers, scenario.granularity, factors));
  }
  return task;
}

Parsed<void> load_tasks(const Scenario& scenario, const CaseOptions& options, CostTables& tables, Case& result) {
  for (const ScenarioTask& from : scenario.tasks) {
    auto task = make_task(scenario, from, options, tables);
    if (!task) return tl::unexpected<InputError>(task.error());
    task->rate = rate_of(from, result);
    result.load += task->rate * (1e-9 * static_cast<double>(least_time(task->subnets[0]).count()));
    const auto index = static_cast<std::uint32_t>(result.tasks.size());
    result.tasks.push_back(std::move(*task));
    if (from.parent < 0 && !append_releases(from, index, result.seed, result.duration, result.releases))
      return refuse(scenario, from.line, "task",
                    "comes too often for this duration: over " + std::to_string(kMaxReleases) + " frames");
  }
  result.load /= static_cast<double>(scenario.accelerators.size());
  sort_releases(result.releases);
  return {};
}

Platform platform_of(const Scenario& scenario) {
  Platform platform;
  for (const files::ScenarioAccelerator& a : scenario.accelerators)
    platform.accelerators.push_back({a.name, a.clock_ghz, a.bandwidth});
  platform.memory_bandwidth = scenario.memory_bandwidth;
  platform.switch_costs = !scenario.requests;
  for (const ScenarioTask& task : scenario.tasks)
    if (task.costs == files::CostSource::measured) platform.switch_costs = false;
  return platform;
}

}  // namespace

Parsed<Case> load_case(const std::filesystem::path& scenario, const CaseOptions& options, CostTables& tables) {
  const auto file = files::read_scenario(scenario);
  if (!file) return tl::unexpected<InputError>(file.error());
  return build_case(*file, options, tables);
}

Parsed<Case> build_case(const Scenario& scenario, const CaseOptions& options, CostTables& tables) {
  Case result;
  result.name = scenario.name;
  result.seed = options.seed.value_or(scenario.seed);
  result.duration = options.duration > Duration{0} ? options.duration : scenario.duration;
  result.late = scenario.late;
  result.admission = scenario.admission;
  result.platform = platform_of(scenario);
  const auto loaded =
      scenario.requests ? load_requests(scenario, options, tables, result) : load_tasks(scenario, options, tables, result);
  if (!loaded) return tl::unexpected<InputError>(loaded.error());
  return result;
}

Parsed<Case> load_case(const std::filesystem::path& scenario, const CaseOptions& options) {
  CostTables tables;
  return load_case(scenario, options, tables);
}

}  // namespace takt::sim
