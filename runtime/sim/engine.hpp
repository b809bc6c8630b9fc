// Virtual time: plays a case to the scheduler and is its executors. Same core, same policies as the live engine.
#pragma once

#include <iosfwd>
#include <string>

#include "sim/case.hpp"
#include "sim/outcome.hpp"
#include "takt/policy.hpp"

namespace takt::sim {

class Playback;

struct RunOptions {
  std::uint8_t ahead = 0;         // entries posted ahead of the running one; the semantics of scenarios have none
  std::ostream* trace = nullptr;  // one line an event
  const Playback* playback = nullptr;  // times and triggers as they were recorded, in place of costs, noise and draws; borrowed
};

// Runs until every job has ended. Pure: equal arguments, equal outcome and trace. `policy` must be fresh; it is prepared here.
// Events of one instant: completions in the order of accelerators, deadlines, releases; then the policy decides.
[[nodiscard]] Outcome simulate(const Case& scenario, Policy& policy, const std::string& policy_name, const RunOptions& options = {});

}  // namespace takt::sim
