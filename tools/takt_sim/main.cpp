// takt-sim: one scenario with one policy, its result as JSON and its trace; many of them, as a table; or the whole comparison
// with SDRM3, as a report.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <thread>

#include "files/xml.hpp"
#include "policies/support/compose.hpp"
#include "reproduce.hpp"
#include "sim/case.hpp"
#include "sim/engine.hpp"
#include "replay.hpp"
#include "sweep.hpp"
#include "tuner_study.hpp"

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

// Of commands that run many cells.
struct ManyArguments {
  takt::tool::SweepOptions sweep;
  std::string duration = "10s";
};

void add_many(CLI::App& command, ManyArguments& arguments) {
  takt::tool::SweepOptions& o = arguments.sweep;
  o.costs.costs = TAKT_COSTS;
  o.costs.measured = TAKT_MEASURED;
  o.jobs = std::max(1u, std::thread::hardware_concurrency());
  command.add_option("--duration", arguments.duration, "of each run")->capture_default_str();
  command.add_option("--jobs", o.jobs, "runs at a time")->capture_default_str();
  command.add_option("--costs", o.costs.costs, "folder of the cost tables")->capture_default_str();
}

bool read_duration(ManyArguments& arguments) {
  const auto duration = takt::files::parse_duration(arguments.duration);
  if (!duration || *duration <= takt::Duration::zero()) return false;
  arguments.sweep.duration = *duration;
  return true;
}
constexpr const char* kWrongDuration = "--duration must be a time such as 10s, 500ms";

struct SweepArguments : ManyArguments {
  takt::tool::Grid grid;
};

CLI::App* add_sweep(CLI::App& app, SweepArguments& arguments) {
  takt::tool::Grid& g = arguments.grid;
  g.seeds = {1, 2, 3, 4, 5};
  CLI::App* many = app.add_subcommand("sweep", "scenarios x systems x loads x policies x seeds, one CSV row each; goes on where it was stopped");
  add_many(*many, arguments);
  many->add_option("--scenario", arguments.sweep.scenarios, "scenario files; their tasks count, their platform does not")->required();
  many->add_option("--policy", g.policies, "NAME or NAME/key=value/key=value")->required();
  many->add_option("--system", g.systems, "of the eight; default: all");
  many->add_option("--family", g.families, "chain, users; default: both")->check(CLI::IsMember({"chain", "users"}));
  many->add_option("--level", g.levels, "loads; default: four of each family")->check(CLI::PositiveNumber);
  many->add_option("--seed", g.seeds, "seeds")->capture_default_str();
  many->add_option("--vary", g.variations, "probability=P, noise=X, late=abort|finish, each beside nothing else; default: as the files say");
  many->add_option("--csv", arguments.sweep.csv, "the file that rows go to")->required();
  return many;
}

int run_sweep(SweepArguments& arguments) {
  if (!read_duration(arguments)) return wrong(kWrongDuration);
  arguments.sweep.title = "sweep";
  const auto rows = takt::tool::sweep(arguments.sweep, {arguments.grid});
  if (!rows) return wrong(rows.error());
  std::fputs(takt::tool::table(*rows).c_str(), stdout);
  return 0;
}

struct ReproduceArguments : ManyArguments {
  takt::tool::ReproduceOptions options;
  std::string what;
  bool search_only = false;
};

CLI::App* add_reproduce(CLI::App& app, ReproduceArguments& arguments) {
  takt::tool::ReproduceOptions& o = arguments.options;
  CLI::App* all = app.add_subcommand("reproduce", "the comparison with a published scheduler and its rivals, as a report; goes on where it was stopped");
  add_many(*all, arguments);
  all->add_option("what", arguments.what, "sdrm3")->required()->check(CLI::IsMember({"sdrm3"}));
  all->add_option("--out", o.out, "folder of the report")->required();
  all->add_flag("--quick", o.plan.quick, "one seed, two loads a family, the recorded strongest sdrm3");
  all->add_flag("--search", o.search, "search for the strongest sdrm3; the default without --quick");
  all->add_flag("--search-only", arguments.search_only, "nothing but that search");
  all->add_option("--scenario", arguments.sweep.scenarios, "scenario files; default: the five of SDRM3");
  all->add_option("--system", o.plan.systems, "of the eight; default: all");
  all->add_option("--seed", o.plan.seeds, "default: 1 to 5; quick: 1");
  all->add_option("--own", o.plan.own, "the policy that is compared with the others")->capture_default_str();
  all->add_option("--rival", o.plan.rivals, "more policies to compare it with");
  return all;
}

// The five of SDRM3 where none are named.
void name_scenarios(takt::tool::SweepOptions& o) {
  if (!o.scenarios.empty()) return;
  for (const char* name : {"vr_gaming", "ar_call", "drone_outdoor", "drone_indoor", "ar_social"})
    o.scenarios.push_back(std::string(TAKT_SCENARIOS "/") + name + ".xml");
}

int run_reproduce(ReproduceArguments& arguments) {
  if (!read_duration(arguments)) return wrong(kWrongDuration);
  takt::tool::ReproduceOptions& o = arguments.options;
  o.sweep = arguments.sweep;
  o.search |= !o.plan.quick;
  o.report = !arguments.search_only;
  name_scenarios(o.sweep);
  const auto done = takt::tool::reproduce_sdrm3(o);
  if (!done) return wrong(done.error());
  std::fputs(done->c_str(), stdout);
  return 0;
}

struct TunerArguments : ManyArguments {
  takt::tool::TunerStudyOptions options;
  std::string out = "-";
};

CLI::App* add_tuner(CLI::App& app, TunerArguments& arguments) {
  takt::tool::TunerStudyOptions& o = arguments.options;
  arguments.duration = "60s";
  o.tuners = {"sdrm3:full"};
  CLI::App* study = app.add_subcommand("tuner", "how soon sdrm3's tuner finds good weights after a change of scenario, against a grid of fixed ones; goes on where it was stopped");
  add_many(*study, arguments);
  study->add_option("--tuner", o.tuners, "NAME or NAME/key=value/key=value")->capture_default_str();
  study->add_option("--scenario", arguments.sweep.scenarios, "scenario files; default: the five of SDRM3");
  study->add_option("--system", o.system, "of the eight")->capture_default_str();
  study->add_option("--family", o.family, "of the load")->check(CLI::IsMember({"chain", "users"}))->capture_default_str();
  study->add_option("--level", o.level, "the load")->check(CLI::PositiveNumber)->capture_default_str();
  study->add_option("--seed", o.seeds, "of runs with fixed weights")->capture_default_str();
  study->add_option("--tuner-seed", o.tuner_seeds, "of runs that tune")->capture_default_str();
  study->add_option("--windows", o.windows, "that a tuner gets")->check(CLI::Range(1, 1'000'000))->capture_default_str();
  study->add_option("--csv", arguments.sweep.csv, "the file that rows of runs with fixed weights go to")->required();
  study->add_option("--out", arguments.out, "write the tables to this file, - for the output")->capture_default_str();
  return study;
}

int run_tuner(TunerArguments& arguments) {
  if (!read_duration(arguments)) return wrong(kWrongDuration);
  arguments.options.sweep = arguments.sweep;
  name_scenarios(arguments.options.sweep);
  const auto text = takt::tool::study_tuner(arguments.options);
  if (!text) return wrong(text.error());
  return write(arguments.out, *text) ? 0 : wrong("--out: cannot write " + arguments.out);
}

struct ReplayArguments {
  takt::tool::ReplayOptions options;
  std::string json = "-";
};

CLI::App* add_replay(CLI::App& app, ReplayArguments& arguments) {
  takt::tool::ReplayOptions& o = arguments.options;
  CLI::App* again = app.add_subcommand("replay", "a trace that taktd wrote, through any policy: what it would have done");
  again->add_option("--recorded", o.recorded, "the trace")->required();
  again->add_option("--config", o.configuration, "the takt.xml it was recorded with: accelerators, models, profiles")->required();
  again->add_option("--policy", o.policy, "such as edf, edf+drop, sdrm3:full")->required();
  again->add_option("--set", o.settings, "key=value for the policy; may be repeated");
  again->add_option("--ahead", o.ahead, "segments posted ahead of the running one; default: the configuration's most")->check(CLI::Range(0, 3));
  again->add_option("--trace", o.trace, "write one line an event of the replay to this file");
  again->add_option("--json", arguments.json, "write the result to this file, - for the output")->capture_default_str();
  return again;
}

int run_replay(const ReplayArguments& arguments) {
  const auto json = takt::tool::replay(arguments.options);
  if (!json) return wrong(json.error());
  return write(arguments.json, *json) ? 0 : wrong("--json: cannot write " + arguments.json);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Runs scenarios in virtual time with takt's scheduler and policies.");
  app.require_subcommand(1);
  Options o;
  add_run(app, o);
  SweepArguments sweep;
  const CLI::App* many = add_sweep(app, sweep);
  ReproduceArguments reproduce;
  const CLI::App* all = add_reproduce(app, reproduce);
  TunerArguments tuner;
  const CLI::App* study = add_tuner(app, tuner);
  ReplayArguments replay;
  const CLI::App* again = add_replay(app, replay);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : kWrong;
  }
  if (many->parsed()) return run_sweep(sweep);
  if (study->parsed()) return run_tuner(tuner);
  if (again->parsed()) return run_replay(replay);
  return all->parsed() ? run_reproduce(reproduce) : run(o);
}
