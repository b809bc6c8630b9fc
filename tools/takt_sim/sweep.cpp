// Work list, threads, CSV; see sweep.hpp.
#include "sweep.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "files/scenario_file.hpp"
#include "policies/support/compose.hpp"
#include "progress.hpp"
#include "results.hpp"
#include "sim/bound.hpp"
#include "sim/engine.hpp"
#include "vary.hpp"

namespace takt::tool {
namespace {

struct Work {
  Cell cell;
  const files::Scenario* scenario = nullptr;
  const sim::System* system = nullptr;
  sim::Load load;
};

tl::expected<std::unique_ptr<Policy>, std::string> make_policy(const std::string& spec) {
  std::vector<std::string> parts = split(spec, '/');
  if (parts.empty()) return tl::unexpected(std::string("an empty policy"));
  const std::string name = parts[0];
  parts.erase(parts.begin());
  return compose_policy(name, parts);
}

bool is_bound(const std::string& policy) {
  return policy == kFluidBound || policy == kHopeless;
}

bool wanted(const std::vector<std::string>& names, std::string_view name) {
  return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
}

// One scenario's part of a grid.
void list_work(const Grid& g, const files::Scenario& scenario, std::vector<Work>& all) {
  for (const sim::System& system : sim::systems()) {
    if (!wanted(g.systems, system.name)) continue;
    for (const sim::Family family : {sim::Family::chain, sim::Family::users}) {
      const std::string name = family == sim::Family::chain ? "chain" : "users";
      if (!wanted(g.families, name)) continue;
      const auto& own = family == sim::Family::chain ? sim::kChainLevels : sim::kUserLevels;
      const std::vector<double> levels = g.levels.empty() ? std::vector<double>(own.begin(), own.end()) : g.levels;
      for (const double level : levels)
        for (const std::string& policy : g.policies)
          for (const std::uint64_t seed : g.seeds)
            all.push_back({{scenario.name, std::string(system.name), name, text_of(level), policy, seed},
                           &scenario,
                           &system,
                           {family, level}});
    }
  }
}

// Empty, or what is wrong with a grid's names.
std::string wrong_name(const Grid& g) {
  for (const std::string& policy : g.policies)
    if (!is_bound(policy))
      if (const auto made = make_policy(policy); !made) return policy + ": " + made.error();
  for (const std::string& name : g.systems) {
    const auto all = sim::systems();
    if (std::any_of(all.begin(), all.end(), [&](const sim::System& s) { return s.name == name; })) continue;
    std::string known;
    for (const sim::System& s : all) known += ' ' + std::string(s.name);
    return "no system '" + name + "'; there are:" + known;
  }
  return {};
}

// Scenarios as read and as varied; a deque, because work points into it.
class Scenarios {
 public:
  [[nodiscard]] tl::expected<void, std::string> read(const std::vector<std::filesystem::path>& files) {
    for (const auto& path : files) {
      auto scenario = files::read_scenario(path);
      if (!scenario) return tl::unexpected(scenario.error().to_string());
      if (scenario->name.find_first_of(",/\n") != std::string::npos)
        return tl::unexpected(path.string() + ": a sweep needs a name without commas and slashes");
      read_.push_back(std::move(*scenario));
    }
    return {};
  }
  [[nodiscard]] tl::expected<std::vector<Work>, std::string> list(const std::vector<Grid>& grids) {
    std::vector<Work> all;
    for (const Grid& g : grids)
      for (const std::string& variation : g.variations)
        for (const files::Scenario& scenario : read_) {
          if (!applies(scenario, variation)) continue;
          auto varied = vary(scenario, variation);
          if (!varied) return tl::unexpected(varied.error());
          list_work(g, varied_.emplace_back(std::move(*varied)), all);
        }
    std::set<std::string> keys;  // grids may overlap
    std::erase_if(all, [&](const Work& w) { return !keys.insert(w.cell.key()).second; });
    if (all.empty()) return tl::unexpected(std::string("nothing to run"));
    return all;
  }

 private:
  std::vector<files::Scenario> read_;
  std::deque<files::Scenario> varied_;
};

void fill(const sim::Outcome& outcome, const sim::Case& scenario, Row& r) {
  double worst = 0, accuracy = 0, answered = 0;
  for (std::size_t t = 0; t < outcome.tasks.size(); ++t) {
    const sim::TaskOutcome& task = outcome.tasks[t];
    r.released += task.released;
    r.violated += task.violated();
    worst += task.worst_energy_nj;
    if (scenario.tasks[t].subnets.size() < 2) continue;  // nothing to choose: its accuracy says nothing
    const double n = static_cast<double>(task.on_time + task.late);
    accuracy += n * task.accuracy;
    answered += n;
  }
  r.violation_rate = outcome.violation_rate;
  r.uxcost = outcome.uxcost;
  r.relative_energy = worst > 0 ? outcome.energy_nj / worst : 0;
  r.accuracy = answered > 0 ? accuracy / answered : 0;
  r.decisions = outcome.decisions;
}

void fill(const sim::Bound& bound, Row& r) {
  r.released = bound.released;
  r.violated = r.cell.policy == kHopeless ? bound.hopeless : bound.released - bound.served;
  r.violation_rate = r.released > 0 ? static_cast<double>(r.violated) / static_cast<double>(r.released) : 0;
}

tl::expected<Row, std::string> run(const Work& w, const SweepOptions& o, sim::CostTables& tables) {
  sim::CaseOptions options = o.costs;
  options.seed = w.cell.seed;
  options.duration = o.duration;
  const auto scenario = sim::make_case(*w.scenario, *w.system, w.load, options, tables);
  if (!scenario) return tl::unexpected(scenario.error().to_string());
  Row r{.cell = w.cell};
  const bool bound = is_bound(w.cell.policy);
  auto policy = bound ? std::unique_ptr<Policy>() : make_policy(w.cell.policy);
  if (!policy) return tl::unexpected(policy.error());
  const auto from = std::chrono::steady_clock::now();
  if (bound)
    fill(sim::fluid_bound(*scenario), r);
  else
    fill(sim::simulate(*scenario, **policy, w.cell.policy), *scenario, r);
  r.wall_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - from).count();
  return r;
}

// Runs the list on o.jobs threads; each row goes to the file as soon as it is there.
tl::expected<void, std::string> run_all(const std::vector<const Work*>& todo, const SweepOptions& o, Progress& progress,
                                        std::map<std::string, Row>& rows) {
  std::ofstream csv(o.csv, std::ios::app);
  if (!csv) return tl::unexpected("cannot write " + o.csv.string());
  if (!todo.empty()) csv << '\n';  // behind a line that was cut short
  std::mutex mutex;
  std::string error;
  std::atomic<std::size_t> next{0};
  const auto worker = [&] {
    sim::CostTables tables;
    for (std::size_t i = next++; i < todo.size(); i = next++) {
      const auto row = run(*todo[i], o, tables);
      const std::lock_guard lock(mutex);
      if (row) csv << to_line(*row) << std::endl;  // flushed: an interruption loses no finished run
      if (!row || !csv) {
        if (error.empty()) error = row ? "cannot write " + o.csv.string() : row.error();
        next = todo.size();
        return;
      }
      rows[row->cell.key()] = *row;
      progress.step();
    }
  };
  std::vector<std::thread> threads;
  for (unsigned j = 1; j < std::max(o.jobs, 1u); ++j) threads.emplace_back(worker);
  worker();
  for (std::thread& t : threads) t.join();
  if (!error.empty()) return tl::unexpected(error);
  return {};
}

}  // namespace

tl::expected<std::vector<Row>, std::string> sweep(const SweepOptions& o, const std::vector<Grid>& grids) {
  Scenarios scenarios;
  if (const auto read = scenarios.read(o.scenarios); !read) return tl::unexpected(read.error());
  for (const Grid& g : grids)
    if (std::string wrong = wrong_name(g); !wrong.empty()) return tl::unexpected(std::move(wrong));
  const auto work = scenarios.list(grids);
  if (!work) return tl::unexpected(work.error());

  std::map<std::string, Row> rows = read_rows(o.csv);
  std::vector<const Work*> todo;
  for (const Work& w : *work)
    if (!rows.contains(w.cell.key())) todo.push_back(&w);
  // In any order but the list's: long and short runs mixed, so that the time left can be told.
  std::shuffle(todo.begin(), todo.end(), std::mt19937_64(1));
  {
    Progress progress(o.title, work->size() - todo.size(), work->size());
    if (const auto done = run_all(todo, o, progress, rows); !done) return tl::unexpected(done.error());
  }
  std::vector<Row> mine;
  for (const Work& w : *work) mine.push_back(std::move(rows.extract(w.cell.key()).mapped()));
  if (!write_rows(o.csv, mine, rows)) return tl::unexpected("cannot write " + o.csv.string());
  return mine;
}

std::string table(const std::vector<Row>& rows) {
  std::string out =
      "policy                                    runs  uxcost geo  median  violated  energy  accuracy  segments/s\n";
  for (const auto& [policy, of] : by_policy(rows)) {
    const Summary s = summarise(of);
    char line[256];
    std::snprintf(line, sizeof line, "%-40s %5zu %11.5f %7.4f %7.2f %% %7.4f %9.2f %11.0f\n", policy.c_str(), s.runs,
                  s.uxcost, s.median, 100 * s.violation_rate, s.relative_energy, s.accuracy, s.segments_per_s);
    out += line;
  }
  return out;
}

}  // namespace takt::tool
