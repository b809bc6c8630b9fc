// Sections about sdrm3 itself: the search for its strongest form, ablations, sensitivity, the tuner's path.
#include <algorithm>
#include <map>

#include "report.hpp"
#include "svg.hpp"

namespace takt::tool {
namespace {

constexpr std::size_t kShown = 12;

// The best points of one stage by one criterion.
Table steps_table(const SearchResult& s, const std::string& stage, double SearchStep::*criterion,
                  const std::string& name) {
  std::vector<SearchStep> steps;
  std::copy_if(s.steps.begin(), s.steps.end(), std::back_inserter(steps),
               [&](const SearchStep& x) { return x.stage == stage; });
  const std::size_t all = steps.size();
  std::stable_sort(steps.begin(), steps.end(),
                   [&](const auto& x, const auto& y) { return x.*criterion < y.*criterion; });
  steps.resize(std::min(steps.size(), kShown));
  Table t{.caption = "Stage " + stage + ", " + std::to_string(all) + " points, the first by " + name,
          .head = {"point", "runs", "violations, %", "UXCost, geometric mean"},
          .rows = {}};
  for (const SearchStep& x : steps)
    t.rows.push_back({x.policy, std::to_string(x.runs), percent(x.violation_rate, 3), fixed(x.uxcost, 4)});
  return t;
}

Table ablation_table(const Evidence& e, const std::string& caption, const std::vector<std::string>& policies,
                     std::string_view variation, const Rows& like) {
  Table t{
      .caption = caption,
      .head = {"policy", "runs", "UXCost, geometric mean", "median", "violations, %", "relative energy", "accuracy, %"},
      .rows = {}};
  for (const std::string& p : policies) {
    const Summary s = summarise(e.side(p, variation, like));
    t.rows.push_back({p, std::to_string(s.runs), fixed(s.uxcost, 4), fixed(s.median, 4), percent(s.violation_rate),
                      fixed(s.relative_energy, 4), fixed(s.accuracy, 2)});
  }
  return t;
}

Figure ablation_figure(const Evidence& e, const std::string& title, const std::vector<std::string>& policies,
                       std::string_view variation, const Rows& like) {
  std::vector<Bar> bars;
  for (const std::string& p : policies) {
    const Summary s = summarise(e.side(p, variation, like));
    bars.push_back({p.substr(p.find('/') == std::string::npos ? 0 : p.find('/') + 1), 100 * s.violation_rate,
                    percent(s.violation_rate) + " %, UXCost " + fixed(s.uxcost, 3), 2});
  }
  return {.title = title, .note = "", .svg = bar_plot(bars, "violations, %", 420)};
}

// "noise=0.05": 0.05.
double value_of(std::string_view variation) {
  return std::stod(std::string(variation.substr(variation.find('=') + 1)));
}

Table sensitivity_table(const Evidence& e) {
  Table t{.caption = "Each variation beside the same cells as they are",
          .head = {"variation", "policy", "runs", "UXCost as is", "varied", "violations as is, %", "varied, %"},
          .rows = {}};
  for (const std::string_view variation : kVariations)
    for (const std::string& p : sensitive(e.plan)) {
      const Rows varied = e.side(p, variation, {});
      const Summary before = summarise(e.side(p, "", varied)), after = summarise(varied);
      t.rows.push_back({std::string(variation), e.plan.label(p), std::to_string(after.runs), fixed(before.uxcost, 4),
                        fixed(after.uxcost, 4), percent(before.violation_rate), percent(after.violation_rate)});
    }
  return t;
}

// One key's values over a plot, the scenarios as they are at `as_is`.
Figure sensitivity_figure(const Evidence& e, std::string_view key, double as_is, const std::string& axis) {
  std::vector<Series> all;
  std::vector<double> ticks{as_is};
  for (const std::string_view v : kVariations)
    if (v.starts_with(key)) ticks.push_back(value_of(v));
  for (const std::string& p : sensitive(e.plan)) {
    Series s{.name = e.plan.label(p), .colour = colour_of(e.plan, p), .points = {}};
    for (const std::string_view v : kVariations) {
      if (!v.starts_with(key)) continue;
      const Rows varied = e.side(p, v, {});
      if (varied.empty()) continue;
      if (s.points.empty()) s.points.emplace_back(as_is, 100 * summarise(e.side(p, "", varied)).violation_rate);
      s.points.emplace_back(value_of(v), 100 * summarise(varied).violation_rate);
    }
    if (!s.points.empty()) all.push_back(std::move(s));
  }
  if (all.empty()) return {};
  return {.title = "Violations by " + axis + ".",
          .note = "",
          .svg = line_plot(all, {.title = axis, .ticks = ticks}, {.title = "violations, % of frames"}, 520, 260)};
}

// Cost by window, cold and warm.
Figure cost_figure(const std::vector<TunerPath>& paths, const std::string& scenario) {
  std::vector<Series> all;
  for (const TunerPath& p : paths) {
    if (p.scenario != scenario) continue;
    Series s{.name = p.warm ? "warm" : "cold", .colour = p.warm ? 1 : 0, .points = {}};
    for (std::size_t w = 0; w < p.windows.size(); ++w)
      if (p.windows[w].cost > 0) s.points.emplace_back(static_cast<double>(w + 1), p.windows[w].cost);
    all.push_back(std::move(s));
  }
  return {.title = scenario + ", UXCost of each window.",
          .note = "",
          .svg = line_plot(all, {.title = "window of 500 ms"}, {.title = "UXCost"}, 460, 240)};
}

Figure weights_figure(const std::vector<TunerPath>& paths, const std::string& scenario) {
  std::vector<Series> all;
  for (const TunerPath& p : paths) {
    if (p.scenario != scenario) continue;
    Series s{.name = p.warm ? "warm" : "cold", .colour = p.warm ? 1 : 0, .points = {}, .dashed = p.warm};
    for (const TunerWindow& w : p.windows) s.points.emplace_back(w.alpha, w.beta);
    all.push_back(std::move(s));
  }
  return {.title = scenario + ", weights.",
          .note = "Open circle: first window; full: last.",
          .svg = path_plot(all, {.title = "alpha", .ticks = {0, 0.5, 1, 1.5, 2}},
                           {.title = "beta", .ticks = {0, 0.5, 1, 1.5, 2}}, 280)};
}

}  // namespace

Section search_section(const Evidence& e) {
  Section s =
      section(Heading{"The strongest sdrm3"},
              Paragraph{"No strawman: a search on seeds of its own (101, 102) for the point with the least mean "
                        "violation rate, and for the one "
                        "with the least geometric UXCost; where they differ both are rivals. Weights first on a grid "
                        "of 36, with drop and "
                        "supernet switching, as by default, with urgency not capped, and with no ceiling of starvation "
                        "(half of the systems, one load of each family, one seed); the best three on all "
                        "systems, two loads of each family and both seeds; from the best, one switch after the other "
                        "(drop, supernet, capped, "
                        "drop_any, ceiling of starvation, late rule, tuning); then weights by 1, 0.5 and 0.25 as long "
                        "as that is better by a thousandth, twice over."},
              Items{{"least violations: `" + e.plan.sdrm3_by_violations + "`",
                     "least UXCost: `" + e.plan.sdrm3_by_uxcost + "`"}});
  if (!e.search) {
    s.push_back(Paragraph{
        "Recorded winners (`takt_sim/plan.hpp` names the command that found them); this run did not search again."});
    return s;
  }
  for (const char* stage : {"weights", "switches"}) {
    s.push_back(steps_table(*e.search, stage, &SearchStep::violation_rate, "violations"));
    s.push_back(steps_table(*e.search, stage, &SearchStep::uxcost, "UXCost"));
  }
  return s;
}

Section ablation_section(const Evidence& e) {
  const Rows like = e.side(ceiling_ablation()[0], "", {});
  return section(
      Heading{"Ablations of sdrm3"},
      Paragraph{"Weights alpha = beta = 1 throughout. With late=abort no job waits past its deadline, so the rule for "
                "late jobs decides "
                "nothing there; it is shown where late frames run on. With urgency capped, clamp is the same as cap."},
      ablation_figure(e, "Score only, with drop, with supernet switching, with tuning.", switch_ablation(), "", like),
      ablation_figure(e, "Ceiling of starvation (0: none).", ceiling_ablation(), "", like),
      ablation_figure(e, "Late-job rule, late=finish.", late_rule_ablation(), kLateFinish, {}),
      ablation_table(e, "Score only, + drop, + supernet, + tuning", switch_ablation(), "", like),
      ablation_table(e, "Ceiling of starvation, 0: none", ceiling_ablation(), "", like),
      ablation_table(e, "Late-job rule, late=finish", late_rule_ablation(), kLateFinish, {}));
}

Section sensitivity_section(const Evidence& e) {
  Section s = section(
      Heading{"Sensitivity"},
      Paragraph{"Probability is that of every cascade's trigger (0.5 in the files; scenarios with cascades only), "
                "noise the spread of "
                "segment times, which no policy knows before; the clock is chosen anew, so that the level stays what "
                "it is. late=finish lets late frames run on. Load is in the section by family and level."});
  for (Figure f : {sensitivity_figure(e, "probability=", 0.5, "trigger probability"),
                   sensitivity_figure(e, "noise=", 0, "noise of segment times")})
    if (!f.svg.empty()) s.push_back(std::move(f));
  s.push_back(sensitivity_table(e));
  return s;
}

Section tuner_section(const Evidence& e) {
  if (e.tuner.empty()) return {};
  Section s = section(
      Heading{"The tuner after a change of workload"},
      Paragraph{
          "`sdrm3:full` with many users at load 1. Cold: from (1, 1). Warm: the scenarios follow one another in this "
          "order, and the "
          "search begins at the best point of the one before. A step is an accepted move or a halving of the radius."});
  Table t{.caption = "",
          .head = {"scenario", "start", "windows", "steps", "window of the fifth step", "first cost", "best cost",
                   "alpha", "beta"},
          .rows = {}};
  std::vector<std::string> scenarios;
  for (const TunerPath& p : e.tuner) {
    if (p.windows.empty()) continue;
    const std::size_t fifth = window_of_step(p, 5);
    t.rows.push_back({p.scenario, p.warm ? "warm" : "cold", std::to_string(p.windows.size()),
                      fixed(p.windows.back().steps, 0), fifth > 0 ? std::to_string(fifth) : "-",
                      fixed(p.windows[0].cost, 3), fixed(p.best_cost, 3), fixed(p.best_alpha, 2),
                      fixed(p.best_beta, 2)});
    if (std::find(scenarios.begin(), scenarios.end(), p.scenario) == scenarios.end()) scenarios.push_back(p.scenario);
  }
  for (const std::string& scenario : scenarios) {
    s.push_back(weights_figure(e.tuner, scenario));
    s.push_back(cost_figure(e.tuner, scenario));
  }
  s.push_back(t);
  return s;
}

}  // namespace takt::tool
