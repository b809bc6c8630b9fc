// Search, sweep, report; see reproduce.hpp.
#include "reproduce.hpp"

#include <chrono>
#include <fstream>

#include "report.hpp"
#include "search.hpp"

namespace takt::tool {
namespace {

constexpr std::string_view kTunerSystem = "2os2k-4ws1k";
constexpr int kTunerDurations = 6;  // the tuner needs longer runs

std::string cells_name(Duration duration) {
  return "cells-" + std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()) + "ms.csv";
}

bool write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  return static_cast<bool>(file << text << std::flush);
}

std::string text_of(const SearchResult& s) {
  std::string text =
      "strongest sdrm3 by violations: " + s.by_violations + "\nstrongest sdrm3 by UXCost:     " + s.by_uxcost + '\n';
  char line[256];
  for (const SearchStep& step : s.steps) {
    std::snprintf(line, sizeof line, "%-9s %4zu runs %7.3f %% %9.5f  %s\n", step.stage.c_str(), step.runs,
                  100 * step.violation_rate, step.uxcost, step.policy.c_str());
    text += line;
  }
  return text;
}

}  // namespace

tl::expected<std::string, std::string> reproduce_sdrm3(const ReproduceOptions& options) {
  const auto begin = std::chrono::steady_clock::now();
  std::error_code failed;
  std::filesystem::create_directories(options.out, failed);
  if (failed) return tl::unexpected("cannot make " + options.out.string());
  SweepOptions sweeping = options.sweep;
  sweeping.csv = options.out / cells_name(sweeping.duration);
  Evidence evidence{.plan = options.plan, .duration = sweeping.duration, .jobs = sweeping.jobs};
  if (options.search || !options.report) {
    auto found = search_sdrm3(sweeping, options.plan.systems);
    if (!found) return tl::unexpected(found.error());
    evidence.plan.sdrm3_by_violations = found->by_violations;
    evidence.plan.sdrm3_by_uxcost = found->by_uxcost;
    if (!options.report) return text_of(*found);
    evidence.search = std::move(*found);
  }
  sweeping.title = "reproduce sdrm3";
  auto rows = sweep(sweeping, evidence.plan.all());
  if (!rows) return tl::unexpected(rows.error());
  evidence.rows = std::move(*rows);
  const std::string system = options.plan.systems.empty() ? std::string(kTunerSystem) : options.plan.systems[0];
  auto paths = follow_tuner(sweeping, system, sweeping.duration * kTunerDurations);
  if (!paths) return tl::unexpected(paths.error());
  evidence.tuner = std::move(*paths);
  evidence.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const Document report = report_of(evidence);
  const auto page = options.out / "report.html";
  for (const auto& [path, text] : {std::pair{options.out / "report.md", to_markdown(report)},
                                   {options.out / "summary.md", to_markdown(summary_of(evidence))},
                                   {page, to_html(report)}})
    if (!write(path, text)) return tl::unexpected("cannot write " + path.string());
  return headline(evidence) + '\n' + page.string() + '\n';
}

}  // namespace takt::tool
