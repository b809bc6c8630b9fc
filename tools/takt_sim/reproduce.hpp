// `takt-sim reproduce sdrm3`: runs the plan and writes its report.
#pragma once

#include <filesystem>
#include <string>

#include "plan.hpp"
#include "sweep.hpp"

namespace takt::tool {

struct ReproduceOptions {
  Plan plan;
  SweepOptions sweep;  // csv and title are set here
  std::filesystem::path out;
  bool search = false;  // for the strongest sdrm3, instead of taking the recorded one
  bool report = true;   // false: only the search
};

// Writes out/cells-DURATION.csv, resumable, out/report.md, out/summary.md and out/report.html. Returns a short text for
// the terminal.
[[nodiscard]] tl::expected<std::string, std::string> reproduce_sdrm3(const ReproduceOptions& options);

}  // namespace takt::tool
