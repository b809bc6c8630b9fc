// Work list, threads, CSV; see sweep.hpp.
#include "sweep.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>

#include "files/scenario_file.hpp"
#include "policies/support/compose.hpp"
#include "sim/engine.hpp"

namespace takt::tool {
namespace {

constexpr const char* kHeader =
    "scenario,system,family,level,policy,seed,released,violated,violation_rate,uxcost,relative_energy,accuracy,decisions,wall_ms";

struct Work {
  Cell cell;
  const files::Scenario* scenario = nullptr;
  const sim::System* system = nullptr;
  sim::Load load;
};

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

std::string text_of(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.10g", value);
  return text;
}

std::string to_line(const Row& r) {
  return r.cell.key() + ',' + std::to_string(r.released) + ',' + std::to_string(r.violated) + ',' + text_of(r.violation_rate) + ',' +
         text_of(r.uxcost) + ',' + text_of(r.relative_energy) + ',' + text_of(r.accuracy) + ',' + std::to_string(r.decisions) + ',' +
         text_of(r.wall_ms);
}

// A line that was cut short by an interruption is not a row.
bool from_line(const std::string& line, Row& r) {
  const std::vector<std::string> f = split(line, ',');
  if (f.size() != 14) return false;
  try {
    r = {.cell = {f[0], f[1], f[2], f[3], f[4], std::stoull(f[5])},
         .released = std::stoull(f[6]),
         .violated = std::stoull(f[7]),
         .decisions = std::stoull(f[12]),
         .violation_rate = std::stod(f[8]),
         .uxcost = std::stod(f[9]),
         .relative_energy = std::stod(f[10]),
         .accuracy = std::stod(f[11]),
         .wall_ms = std::stod(f[13])};
  } catch (const std::exception&) {
    return false;
  }
  return true;
}

tl::expected<std::unique_ptr<Policy>, std::string> make_policy(const std::string& spec) {
  std::vector<std::string> parts = split(spec, '/');
  if (parts.empty()) return tl::unexpected(std::string("an empty policy"));
  const std::string name = parts[0];
  parts.erase(parts.begin());
  return compose_policy(name, parts);
}

tl::expected<std::vector<Work>, std::string> list_work(const SweepOptions& o, const std::vector<files::Scenario>& scenarios) {
  std::vector<Work> all;
  for (const files::Scenario& scenario : scenarios)
    for (const sim::System& system : sim::systems()) {
      if (!o.systems.empty() && std::find(o.systems.begin(), o.systems.end(), system.name) == o.systems.end()) continue;
      for (const sim::Family family : {sim::Family::chain, sim::Family::users}) {
        const std::string name = family == sim::Family::chain ? "chain" : "users";
        if (!o.families.empty() && std::find(o.families.begin(), o.families.end(), name) == o.families.end()) continue;
        const auto& own = family == sim::Family::chain ? sim::kChainLevels : sim::kUserLevels;
        const std::vector<double> levels = o.levels.empty() ? std::vector<double>(own.begin(), own.end()) : o.levels;
        for (const double level : levels)
          for (const std::string& policy : o.policies)
            for (const std::uint64_t seed : o.seeds)
              all.push_back({{scenario.name, std::string(system.name), name, text_of(level), policy, seed}, &scenario, &system, {family, level}});
      }
    }
  if (all.empty()) return tl::unexpected(std::string("nothing to run: no system or family of that name"));
  return all;
}

tl::expected<Row, std::string> run(const Work& w, const SweepOptions& o, sim::CostTables& tables) {
  sim::CaseOptions options = o.costs;
  options.seed = w.cell.seed;
  options.duration = o.duration;
  const auto scenario = sim::make_case(*w.scenario, *w.system, w.load, options, tables);
  if (!scenario) return tl::unexpected(scenario.error().to_string());
  auto policy = make_policy(w.cell.policy);
  if (!policy) return tl::unexpected(policy.error());
  const auto from = std::chrono::steady_clock::now();
  const sim::Outcome outcome = sim::simulate(*scenario, **policy, w.cell.policy);
  Row r{.cell = w.cell};
  r.wall_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - from).count();
  double worst = 0, accuracy = 0, answered = 0;
  for (std::size_t t = 0; t < outcome.tasks.size(); ++t) {
    const sim::TaskOutcome& task = outcome.tasks[t];
    r.released += task.released;
    r.violated += task.violated();
    worst += task.worst_energy_nj;
    if (scenario->tasks[t].subnets.size() < 2) continue;  // nothing to choose: its accuracy says nothing
    const double n = static_cast<double>(task.on_time + task.late);
    accuracy += n * task.accuracy;
    answered += n;
  }
  r.violation_rate = outcome.violation_rate;
  r.uxcost = outcome.uxcost;
  r.relative_energy = worst > 0 ? outcome.energy_nj / worst : 0;
  r.accuracy = answered > 0 ? accuracy / answered : 0;
  r.decisions = outcome.decisions;
  return r;
}

class Progress {
 public:
  Progress(std::size_t done, std::size_t all) : done_(done), before_(done), all_(all) { show(); }
  ~Progress() { std::fputc('\n', stderr); }
  void step() {
    ++done_;
    show();
  }

 private:
  void show() const {
    using namespace std::chrono;
    const double seconds = duration<double>(steady_clock::now() - start_).count();
    const double left = done_ > before_ ? seconds / static_cast<double>(done_ - before_) * static_cast<double>(all_ - done_) : 0;
    constexpr std::size_t kWidth = 30;
    const std::size_t filled = kWidth * done_ / std::max<std::size_t>(all_, 1);
    std::fprintf(stderr, "\r[%.*s%*s] %zu of %zu runs, %.0f s, %.0f s left ", static_cast<int>(filled), "##############################",
                 static_cast<int>(kWidth - filled), "", done_, all_, seconds, left);
    std::fflush(stderr);
  }
  std::size_t done_, before_, all_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::map<std::string, Row> read_rows(const std::filesystem::path& csv) {
  std::map<std::string, Row> rows;
  std::ifstream file(csv);
  Row r;
  for (std::string line; std::getline(file, line);)
    if (from_line(line, r)) rows[r.cell.key()] = r;
  return rows;
}

// What was run for other arguments stays in the file, behind this sweep's rows.
bool write_rows(const std::filesystem::path& csv, const std::vector<Work>& work, std::map<std::string, Row> rows, std::vector<Row>& mine) {
  const std::filesystem::path fresh = csv.string() + ".new";
  {
    std::ofstream file(fresh);
    file << kHeader << '\n';
    for (const Work& w : work) {
      const auto row = rows.extract(w.cell.key());
      if (row.empty()) continue;
      mine.push_back(row.mapped());
      file << to_line(mine.back()) << '\n';
    }
    for (const auto& [key, row] : rows) file << to_line(row) << '\n';
    if (!file.flush()) return false;
  }
  std::error_code failed;
  std::filesystem::rename(fresh, csv, failed);
  return !failed;
}

}  // namespace

std::string Cell::key() const {
  return scenario + ',' + system + ',' + family + ',' + level + ',' + policy + ',' + std::to_string(seed);
}

tl::expected<std::vector<Row>, std::string> sweep(const SweepOptions& o) {
  std::vector<files::Scenario> scenarios;
  for (const auto& path : o.scenarios) {
    auto scenario = files::read_scenario(path);
    if (!scenario) return tl::unexpected(scenario.error().to_string());
    scenarios.push_back(std::move(*scenario));
  }
  for (const std::string& policy : o.policies)
    if (const auto made = make_policy(policy); !made) return tl::unexpected(policy + ": " + made.error());
  const auto work = list_work(o, scenarios);
  if (!work) return tl::unexpected(work.error());

  std::map<std::string, Row> rows = read_rows(o.csv);
  std::vector<const Work*> todo;
  for (const Work& w : *work)
    if (!rows.contains(w.cell.key())) todo.push_back(&w);
  std::ofstream csv(o.csv, std::ios::app);
  if (!csv) return tl::unexpected("cannot write " + o.csv.string());
  std::mutex mutex;
  std::string error;
  std::atomic<std::size_t> next{0};
  {
    Progress progress(work->size() - todo.size(), work->size());
    const auto worker = [&] {
      sim::CostTables tables;
      for (std::size_t i = next++; i < todo.size(); i = next++) {
        const auto row = run(*todo[i], o, tables);
        const std::lock_guard lock(mutex);
        if (!row) {
          if (error.empty()) error = row.error();
          next = todo.size();
          return;
        }
        csv << to_line(*row) << std::endl;  // flushed: an interruption loses no finished run
        rows[row->cell.key()] = *row;
        progress.step();
      }
    };
    std::vector<std::thread> threads;
    for (unsigned j = 1; j < std::max(o.jobs, 1u); ++j) threads.emplace_back(worker);
    worker();
    for (std::thread& t : threads) t.join();
  }
  if (!error.empty()) return tl::unexpected(error);
  csv.close();
  std::vector<Row> mine;
  if (!write_rows(o.csv, *work, std::move(rows), mine)) return tl::unexpected("cannot write " + o.csv.string());
  return mine;
}

std::string table(const std::vector<Row>& rows) {
  std::vector<std::string> order;
  std::map<std::string, std::vector<const Row*>> of;
  for (const Row& r : rows) {
    if (!of.contains(r.cell.policy)) order.push_back(r.cell.policy);
    of[r.cell.policy].push_back(&r);
  }
  std::string out = "policy                                    runs  uxcost geo  median  violated  energy  accuracy  segments/s\n";
  for (const std::string& policy : order) {
    std::vector<double> costs;
    double logs = 0, rate = 0, energy = 0, accuracy = 0, with_choice = 0, decisions = 0, ms = 0;
    for (const Row* r : of[policy]) {
      costs.push_back(r->uxcost);
      logs += std::log(std::max(r->uxcost, 1e-12));
      rate += r->violation_rate;
      energy += r->relative_energy;
      if (r->accuracy > 0) accuracy += r->accuracy, ++with_choice;
      decisions += static_cast<double>(r->decisions);
      ms += r->wall_ms;
    }
    std::sort(costs.begin(), costs.end());
    const double n = static_cast<double>(costs.size());
    char line[256];
    std::snprintf(line, sizeof line, "%-40s %5.0f %11.5f %7.4f %7.2f %% %7.4f %9.2f %11.0f\n", policy.c_str(), n, std::exp(logs / n),
                  costs[costs.size() / 2], 100 * rate / n, energy / n, with_choice > 0 ? accuracy / with_choice : 0,
                  ms > 0 ? 1000 * decisions / ms : 0);
    out += line;
  }
  return out;
}

}  // namespace takt::tool
