// A trace of requests as tasks and releases: each request is one job, each network a task.
#pragma once

#include "files/scenario_file.hpp"
#include "sim/case.hpp"
#include "sim/cost_tables.hpp"

namespace takt::sim {

// Fills tasks, releases and load of `result`, whose duration is set. Blocks on the disk.
[[nodiscard]] Parsed<void> load_requests(const files::Scenario& scenario, const CaseOptions& options,
                                         CostTables& tables, Case& result);

}  // namespace takt::sim
