// takt-sim: one scenario with one policy, its result as JSON and its trace; or many of them, as a table.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <thread>

#include "files/xml.hpp"
#include "policies/support/compose.hpp"
#include "sim/case.hpp"
#include "sim/engine.hpp"
#include "sweep.hpp"

namespace {

// Wrong arguments and wrong files end with this status, as for every tool of takt.
constexpr int kWrong = 2;

struct Options {
  std::string scenario, policy, duration, costs = TAKT_COSTS, measured = TAKT_MEASURED, trace, json;
  std::vector<std::string> settings;
  std::optional<std::uint64_t> seed;
  unsigned ahead = 0;
};

int wrong(const std::string& what) {
  std::fprintf(stderr, "takt-sim: %s\n", what.c_str());
  return kWrong;
}

bool write(const std::string& where, const std::string& text) {
  if (where == "-") return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  std::ofstream file(where, std::ios::binary);
  return static_cast<bool>(file << text);
}

int run(const Options& o) {
  takt::sim::CaseOptions c{.seed = o.seed, .costs = o.costs, .measured = o.measured};
  if (!o.duration.empty()) {
    const auto duration = takt::files::parse_duration(o.duration);
    if (!duration || *duration <= takt::Duration::zero()) return wrong("--duration must be a time such as 10s, 500ms");
    c.duration = *duration;
  }
  const auto scenario = takt::sim::load_case(o.scenario, c);
  if (!scenario) return wrong(scenario.error().to_string());
  auto policy = takt::compose_policy(o.policy, o.settings);
  if (!policy) return wrong("--policy: " + policy.error());
  std::ofstream trace;
  if (!o.trace.empty()) {
    trace.open(o.trace, std::ios::binary);
    if (!trace) return wrong("--trace: cannot write " + o.trace);
  }
  const takt::sim::Outcome outcome = takt::sim::simulate(*scenario, **policy, o.policy,
                                                         {.ahead = static_cast<std::uint8_t>(o.ahead), .trace = o.trace.empty() ? nullptr : &trace});
  if (!o.trace.empty() && !trace.flush()) return wrong("--trace: cannot write " + o.trace);
  if (!write(o.json, takt::sim::to_json(outcome))) return wrong("--json: cannot write " + o.json);
  return 0;
}

void add_run(CLI::App& app, Options& o) {
  CLI::App* one = app.add_subcommand("run", "one scenario with one policy");
  one->add_option("--scenario", o.scenario, "scenario file")->required();
  one->add_option("--policy", o.policy, "such as edf, edf+drop, sdrm3:full")->required();
  one->add_option("--seed", o.seed, "of the random numbers; default: the file's");
  one->add_option("--duration", o.duration, "frames are released until then; default: the file's");
  one->add_option("--set", o.settings, "key=value for the policy; may be repeated");
  one->add_option("--costs", o.costs, "folder of the cost tables")->capture_default_str();
  one->add_option("--measured", o.measured, "folder of the measured tile groups and request traces")->capture_default_str();
  one->add_option("--ahead", o.ahead, "segments posted ahead of the running one")->check(CLI::Range(0, 3));
  one->add_option("--trace", o.trace, "write one line an event to this file");
  one->add_option("--json", o.json, "write the result to this file, - for the output")->default_str("-")->force_callback();
}

struct SweepArguments {
  takt::tool::SweepOptions options;
  std::string duration = "10s";
};

CLI::App* add_sweep(CLI::App& app, SweepArguments& arguments) {
  takt::tool::SweepOptions& o = arguments.options;
  o.costs.costs = TAKT_COSTS;
  o.costs.measured = TAKT_MEASURED;
  o.seeds = {1, 2, 3, 4, 5};
  o.jobs = std::max(1u, std::thread::hardware_concurrency());
  CLI::App* many = app.add_subcommand("sweep", "scenarios x systems x loads x policies x seeds, one CSV row each; goes on where it was stopped");
  many->add_option("--scenario", o.scenarios, "scenario files; their tasks count, their platform does not")->required();
  many->add_option("--policy", o.policies, "NAME or NAME/key=value/key=value")->required();
  many->add_option("--system", o.systems, "of the eight; default: all");
  many->add_option("--family", o.families, "chain, users; default: both")->check(CLI::IsMember({"chain", "users"}));
  many->add_option("--level", o.levels, "loads; default: four of each family")->check(CLI::PositiveNumber);
  many->add_option("--seed", o.seeds, "seeds")->capture_default_str();
  many->add_option("--duration", arguments.duration, "of each run")->capture_default_str();
  many->add_option("--jobs", o.jobs, "runs at a time")->capture_default_str();
  many->add_option("--costs", o.costs.costs, "folder of the cost tables")->capture_default_str();
  many->add_option("--csv", o.csv, "the file that rows go to")->required();
  return many;
}

int run_sweep(SweepArguments& arguments) {
  const auto duration = takt::files::parse_duration(arguments.duration);
  if (!duration || *duration <= takt::Duration::zero()) return wrong("--duration must be a time such as 10s, 500ms");
  arguments.options.duration = *duration;
  const auto rows = takt::tool::sweep(arguments.options);
  if (!rows) return wrong(rows.error());
  std::fputs(takt::tool::table(*rows).c_str(), stdout);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Runs scenarios in virtual time with takt's scheduler and policies.");
  app.require_subcommand(1);
  Options o;
  add_run(app, o);
  SweepArguments sweep;
  const CLI::App* many = add_sweep(app, sweep);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : kWrong;
  }
  return many->parsed() ? run_sweep(sweep) : run(o);
}
