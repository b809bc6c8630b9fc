// The replay: a trace recorded by taktd, through any policy in virtual time, with what really came of it beside.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "takt/result.hpp"

namespace takt::tool {

struct ReplayOptions {
  std::filesystem::path recorded, configuration;  // the trace; the takt.xml it was recorded with
  std::string policy;
  std::vector<std::string> settings;
  std::optional<unsigned> ahead;  // none: the most that the configuration lets an accelerator post ahead
  std::filesystem::path trace;    // of the replay; empty: none
};

// The result of `takt-sim run`, and under "recorded" the hit rates of the recording. An error is one line: file, line,
// what.
[[nodiscard]] tl::expected<std::string, std::string> replay(const ReplayOptions& options);

}  // namespace takt::tool
