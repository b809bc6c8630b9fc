// Grid, tuner runs, tables; see tuner_study.hpp.
#include "tuner_study.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <deque>
#include <map>

#include "convergence.hpp"
#include "files/scenario_file.hpp"
#include "progress.hpp"
#include "results.hpp"

namespace takt::tool {
namespace {

constexpr const char* kFixed = "sdrm3:drop+supernet";  // sdrm3:full without its tuner
constexpr double kStandardWindow_ms = 500;

std::string policy_of(const Weights& w) {
  return std::string(kFixed) + "/alpha=" + text_of(w.alpha) + "/beta=" + text_of(w.beta);
}

std::string point_of(const Weights& w) {
  return '(' + text_of(w.alpha) + ", " + text_of(w.beta) + ')';
}

template <class... Values>
std::string line(const char* format, Values... values) {
  char text[256];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

// 0.05: "+5.0"; in per cent.
std::string over(double cost, double best) {
  return line("%+.1f", 100 * (cost / best - 1));
}

double window_ms(const std::string& tuner) {
  double value = kStandardWindow_ms;
  constexpr std::string_view kKey = "window_ms=";
  for (const std::string& part : split(tuner, '/'))
    if (part.starts_with(kKey)) std::from_chars(part.data() + kKey.size(), part.data() + part.size(), value);
  return value;
}

struct FixedCost {
  double uxcost = 0, violation_rate = 0;  // means over seeds
};

// One scenario: what fixed weights cost, and what tuners did.
struct Site {
  std::filesystem::path file;
  files::Scenario scenario;
  std::map<std::string, FixedCost> costs;  // by policy
  Weights best;                            // of the grid

  [[nodiscard]] double cost(const Weights& w) const { return costs.at(policy_of(w)).uxcost; }
};

// A run of a tuner; `from` is the scenario it was tuned on before, none if it is cold.
struct TunerRun {
  std::size_t site = 0;
  std::optional<std::size_t> from;
  std::uint64_t seed = 0;
  TunerPath path;
};

class Study {
 public:
  explicit Study(const TunerStudyOptions& options) : o_(options) {}

  tl::expected<std::string, std::string> run() {
    if (auto ready = read(); !ready) return tl::unexpected(ready.error());
    std::vector<std::string> all;
    for (const Weights& w : weight_grid()) all.push_back(policy_of(w));
    for (Site& site : sites_)
      if (auto done = run_fixed(site, all); !done) return tl::unexpected(done.error());
    std::string text = grid_text();
    for (const std::string& tuner : o_.tuners) {
      auto runs = run_tuner(tuner);
      if (!runs) return tl::unexpected(runs.error());
      for (std::size_t s = 0; s < sites_.size(); ++s)
        if (auto done = run_fixed(sites_[s], points_of(*runs, s)); !done) return tl::unexpected(done.error());
      text += tuner_text(tuner, *runs);
    }
    return text;
  }

 private:
  tl::expected<void, std::string> read() {
    for (const auto& file : o_.sweep.scenarios) {
      auto scenario = files::read_scenario(file);
      if (!scenario) return tl::unexpected(scenario.error().to_string());
      sites_.push_back({.file = file, .scenario = std::move(*scenario), .costs = {}, .best = {}});
    }
    for (const sim::System& s : sim::systems())
      if (s.name == o_.system) system_ = &s;
    if (system_ == nullptr) return tl::unexpected("no system '" + o_.system + "'");
    return {};
  }

  // Runs the policies on the site's scenario and adds what they cost.
  tl::expected<void, std::string> run_fixed(Site& site, const std::vector<std::string>& policies) {
    if (policies.empty()) return {};
    SweepOptions sweeping = o_.sweep;
    sweeping.scenarios = {site.file};
    sweeping.title = site.scenario.name + ", fixed weights";
    const auto rows = sweep(sweeping, {{.systems = {o_.system},
                                        .families = {o_.family},
                                        .levels = {o_.level},
                                        .policies = policies,
                                        .seeds = o_.seeds}});
    if (!rows) return tl::unexpected(rows.error());
    for (const auto& [policy, of] : by_policy(*rows)) {
      FixedCost mean_of;
      for (const Row& r : of) mean_of.uxcost += r.uxcost, mean_of.violation_rate += r.violation_rate;
      const auto n = static_cast<double>(of.size());
      site.costs[policy] = {mean_of.uxcost / n, mean_of.violation_rate / n};
    }
    const std::vector<Weights> grid = weight_grid();
    site.best = *std::min_element(grid.begin(), grid.end(),
                                  [&](const Weights& a, const Weights& b) { return site.cost(a) < site.cost(b); });
    return {};
  }

  // Cold on every scenario first: warm runs begin where those ended.
  tl::expected<std::vector<TunerRun>, std::string> run_tuner(const std::string& tuner) {
    const std::size_t n = sites_.size();
    std::vector<TunerRun> runs;
    Progress progress(tuner, 0, n * n * o_.tuner_seeds.size());
    for (const std::uint64_t seed : o_.tuner_seeds) {
      const std::size_t cold = runs.size();
      std::vector<sim::Case> cases;
      for (std::size_t s = 0; s < n; ++s) {
        auto made = make(sites_[s], seed, window_ms(tuner) * o_.windows);
        if (!made) return tl::unexpected(made.error());
        cases.push_back(std::move(*made));
        auto path = follow_tuner(cases[s], tuner, 1, 1);
        if (!path) return tl::unexpected(tuner + ": " + path.error());
        if (path->windows.empty()) return tl::unexpected(tuner + ": not a tuner, or the run is shorter than a window");
        runs.push_back({s, std::nullopt, seed, std::move(*path)});
        progress.step();
      }
      for (std::size_t s = 0; s < n; ++s)
        for (std::size_t from = 0; from < n; ++from) {
          if (from == s) continue;
          const TunerPath& before = runs[cold + from].path;
          auto path = follow_tuner(cases[s], tuner, before.best_alpha, before.best_beta);
          if (!path) return tl::unexpected(path.error());
          runs.push_back({s, from, seed, std::move(*path)});
          progress.step();
        }
    }
    return runs;
  }

  tl::expected<sim::Case, std::string> make(const Site& site, std::uint64_t seed, double duration_ms) {
    sim::CaseOptions options = o_.sweep.costs;
    options.seed = seed;
    options.duration = Duration{static_cast<std::int64_t>(duration_ms * 1e6)};
    const sim::Load load{o_.family == "chain" ? sim::Family::chain : sim::Family::users, o_.level};
    auto made = sim::make_case(site.scenario, *system_, load, options, tables_);
    if (!made) return tl::unexpected(made.error().to_string());
    return std::move(*made);
  }

  // Where tuners were on one scenario, as policies that have not run yet.
  [[nodiscard]] std::vector<std::string> points_of(const std::vector<TunerRun>& runs, std::size_t site) const {
    std::vector<std::string> policies;
    const auto add = [&](const Weights& w) {
      const std::string policy = policy_of(w);
      if (sites_[site].costs.contains(policy)) return;
      if (std::find(policies.begin(), policies.end(), policy) == policies.end()) policies.push_back(policy);
    };
    for (const TunerRun& r : runs) {
      if (r.site != site) continue;
      for (const Weights& w : points_by_step(r.path, kStepsAllowed)) add(w);
      add({r.path.best_alpha, r.path.best_beta});
    }
    return policies;
  }

  [[nodiscard]] std::string grid_text() const {
    std::string text = line("%s, %s %s: %zu points of fixed weights, runs of %.3g s, mean UXCost over %zu seed(s)\n\n",
                            o_.system.c_str(), o_.family.c_str(), text_of(o_.level).c_str(), weight_grid().size(),
                            std::chrono::duration<double>(o_.sweep.duration).count(), o_.seeds.size());
    text += "scenario        best point     UXCost  violated  over it, %: (1, 1)  median   worst  points within 5 %\n";
    for (const Site& site : sites_) {
      std::vector<double> costs;
      for (const Weights& w : weight_grid()) costs.push_back(site.cost(w));
      const FixedCost& best = site.costs.at(policy_of(site.best));
      const auto within =
          std::count_if(costs.begin(), costs.end(), [&](double c) { return c <= (1 + kTolerance) * best.uxcost; });
      text += line("%-15s %-13s %7.3f %7.2f %% %18s %7s %7s %18td\n", site.scenario.name.c_str(),
                   point_of(site.best).c_str(), best.uxcost, 100 * best.violation_rate,
                   over(site.cost({1, 1}), best.uxcost).c_str(), over(median(costs), best.uxcost).c_str(),
                   over(*std::max_element(costs.begin(), costs.end()), best.uxcost).c_str(), within);
    }
    return text;
  }

  // One scenario's runs, cold or warm.
  struct Tally {
    std::size_t runs = 0, reached = 0, at_end = 0;
    std::string steps;                       // of each run
    std::vector<std::vector<double>> costs;  // by step, then run
    std::vector<double> windows;             // to the fifth step, or to where it settled before
    [[nodiscard]] bool most() const { return 2 * reached > runs; }
    [[nodiscard]] bool all() const { return reached == runs; }
  };

  [[nodiscard]] Tally tally(const std::vector<TunerRun>& runs, std::size_t s, bool warm) const {
    const Site& site = sites_[s];
    const double best = site.cost(site.best);
    Tally t{.steps = {}, .costs = std::vector<std::vector<double>>(kStepsAllowed + 1), .windows = {}};
    for (const TunerRun& r : runs) {
      if (r.site != s || r.from.has_value() != warm) continue;
      std::vector<double> costs;
      for (const Weights& w : points_by_step(r.path, kStepsAllowed)) costs.push_back(site.cost(w));
      const auto needed = steps_needed(costs, best);
      ++t.runs;
      t.reached += needed.has_value() ? 1 : 0;
      t.at_end += site.cost({r.path.best_alpha, r.path.best_beta}) <= (1 + kTolerance) * best ? 1 : 0;
      t.steps += needed ? static_cast<char>('0' + *needed) : '-';
      for (std::size_t k = 0; k < costs.size(); ++k) t.costs[k].push_back(costs[k] / best - 1);
      const std::size_t window = window_of_step(r.path, std::min<double>(kStepsAllowed, r.path.windows.back().steps));
      t.windows.push_back(static_cast<double>(window));
    }
    return t;
  }

  [[nodiscard]] std::string tuner_text(const std::string& tuner, const std::vector<TunerRun>& runs) const {
    std::string text = '\n' + tuner + line(", windows of %.4g s, %u of them\n\n", window_ms(tuner) / 1000, o_.windows);
    text +=
        "scenario        start  within 5 steps  steps of each run           "
        "over the best after 0 .. 5 steps, median %      at the end  windows\n";
    for (const bool warm : {false, true}) {
      if (warm && sites_.size() < 2) continue;
      std::size_t most = 0, all = 0;
      for (std::size_t s = 0; s < sites_.size(); ++s) {
        const Tally t = tally(runs, s, warm);
        most += t.most() ? 1 : 0;
        all += t.all() ? 1 : 0;
        text += line("%-15s %-5s %7zu of %2zu    %-27s", sites_[s].scenario.name.c_str(), warm ? "warm" : "cold",
                     t.reached, t.runs, t.steps.c_str());
        for (const auto& at_step : t.costs) text += line(" %+7.1f", 100 * median(at_step));
        text += line(" %6zu of %2zu %8.0f\n", t.at_end, t.runs, median(t.windows));
      }
      text += line("%s: within five steps in most runs in %zu, in every run in %zu of %zu scenarios\n",
                   warm ? "warm" : "cold", most, all, sites_.size());
    }
    return text;
  }

  const TunerStudyOptions& o_;
  const sim::System* system_ = nullptr;
  sim::CostTables tables_;
  std::deque<Site> sites_;
};

}  // namespace

tl::expected<std::string, std::string> study_tuner(const TunerStudyOptions& options) {
  return Study(options).run();
}

}  // namespace takt::tool
