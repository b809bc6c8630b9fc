// A trace of requests as tasks and releases. Deadlines are multiples of base latency targets by network.
#include "sim/requests.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include "sim/arrivals.hpp"
#include "sim/subnets.hpp"

namespace takt::sim {
namespace {

// Of the MoCA artefact (see configs/moca).
constexpr std::array<std::pair<std::string_view, double>, 7> kBaseTargetsMs{{{"resnet", 50},
                                                                             {"alexnet", 33.3},
                                                                             {"googlenet", 33.3},
                                                                             {"squeezenet", 10},
                                                                             {"kwsnet", 33.3},
                                                                             {"yolonet", 16.7},
                                                                             {"yololitenet", 10}}};

std::optional<Duration> relative_deadline(std::string_view network, double quality) {
  for (const auto& [name, base_ms] : kBaseTargetsMs)
    if (name == network) return Duration{std::llround(quality * base_ms * 1e6)};
  return std::nullopt;
}

// Beside the scenario, else among the measured tables.
std::filesystem::path find_trace(const files::Scenario& scenario, const CaseOptions& options) {
  const std::filesystem::path beside = scenario.file.parent_path() / scenario.requests->trace;
  std::error_code ignored;
  return std::filesystem::exists(beside, ignored) ? beside : options.measured / scenario.requests->trace;
}

InputError at_requests(const files::Scenario& scenario, const InputError& inner) {
  if (inner.line > 0) return inner;
  return {scenario.file.string(), scenario.requests->line, "requests trace", inner.file + " " + inner.text};
}

Parsed<Task> make_task(const files::Scenario& scenario, const std::string& network, const CaseOptions& options,
                       CostTables& tables) {
  const auto table = tables.measured(options.measured, network);
  if (!table) return tl::unexpected<InputError>(at_requests(scenario, table.error()));
  const auto layers = place(**table, scenario);
  if (!layers) return tl::unexpected<InputError>(layers.error());
  Task task;
  task.name = network;
  task.noise = scenario.requests->noise.spread;
  task.subnets.push_back(make_subnet(network, 0, *layers, scenario.granularity, scenario.requests->noise.measured));
  return task;
}

// Rates are counted over the span of arrivals, so that their loads add up to work over that span.
void set_load(Case& result) {
  if (result.releases.empty()) return;
  const Duration span = result.releases.back().at - result.releases.front().at;
  if (span == Duration{0}) return;
  const double seconds = static_cast<double>(span.count()) * 1e-9;
  Duration work{};
  for (const Release& release : result.releases) {
    result.tasks[release.task].rate += 1;
    work += least_time(result.tasks[release.task].subnets[0]);
  }
  for (Task& task : result.tasks) task.rate /= seconds;
  result.load = static_cast<double>(work.count()) / static_cast<double>(span.count()) /
                static_cast<double>(result.platform.accelerators.size());
}

}  // namespace

Parsed<void> load_requests(const files::Scenario& scenario, const CaseOptions& options, CostTables& tables,
                           Case& result) {
  const std::filesystem::path file = find_trace(scenario, options);
  const auto requests = read_request_trace(file);
  if (!requests) return tl::unexpected<InputError>(at_requests(scenario, requests.error()));
  for (std::size_t row = 0; row < requests->size(); ++row) {
    const Request& request = (*requests)[row];
    const auto known = std::find_if(result.tasks.begin(), result.tasks.end(),
                                    [&](const Task& task) { return task.name == request.network; });
    const auto index = static_cast<std::uint32_t>(known - result.tasks.begin());
    if (known == result.tasks.end()) {
      const auto deadline = relative_deadline(request.network, scenario.requests->quality);
      const int line = static_cast<int>(row) + 2;  // under the header
      if (!deadline)
        return tl::unexpected<InputError>(
            InputError{file.string(), line, "model", "'" + request.network + "' has no base latency target"});
      auto task = make_task(scenario, request.network, options, tables);
      if (!task) return tl::unexpected<InputError>(task.error());
      task->relative_deadline = *deadline;
      result.tasks.push_back(std::move(*task));
    }
    const Instant at = instant_ns(request.arrival_ns);
    if (at >= Instant{result.duration}) continue;
    result.releases.push_back({at, index, static_cast<std::uint32_t>(row), at + result.tasks[index].relative_deadline,
                               static_cast<double>(request.priority + 1)});
  }
  sort_releases(result.releases);
  set_load(result);
  return {};
}

}  // namespace takt::sim
