// Named variations of a scenario: what a sweep changes in it before it is put on a system.
#pragma once

#include <string>

#include "files/scenario_file.hpp"
#include "takt/result.hpp"

namespace takt::tool {

// "" leaves all as it is. "probability=P": of every cascade's trigger; "noise=X": spread of segment times;
// "late=abort|finish". The scenario is then called NAME/key=value. An error lists what there is.
[[nodiscard]] tl::expected<files::Scenario, std::string> vary(const files::Scenario& scenario,
                                                              const std::string& variation);

// Whether it could change anything: a scenario without cascades has no triggers.
[[nodiscard]] bool applies(const files::Scenario& scenario, const std::string& variation);

}  // namespace takt::tool
