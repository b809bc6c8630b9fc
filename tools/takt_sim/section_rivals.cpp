// Sections: the targets, the rivals one by one, what was published of sdrm3.
#include <algorithm>
#include <cmath>

#include "report.hpp"
#include "svg.hpp"

namespace takt::tool {
namespace {

constexpr double kCellPoints = 2, kRegretMean = 1, kRegretWorst = 5, kAccuracyPoints = 2;
constexpr std::size_t kListed = 10;

// At least this much less UXCost and violations than a rival.
struct Gain {
  std::string rival;
  double uxcost = 0, violations = 0;
};

std::vector<Gain> wanted_gains(const Plan& plan) {
  std::vector<Gain> all;
  for (const std::string& s : plan.strongest_sdrm3()) all.push_back({s, 0.50, 0.60});
  all.push_back({"edf+drop", 0.40, 0.55});
  all.push_back({"terastal", 0.50, 0.60});
  return all;
}

std::string verdict(bool reached) {
  return reached ? "reached" : "not reached";
}

std::string less(double ratio) {
  return fixed(100 * (1 - ratio), 1) + " % less";
}
std::string less(const Interval& ratio) {
  return fixed(100 * (1 - ratio.high), 1) + " to " + fixed(100 * (1 - ratio.low), 1) + " %";
}

void add_gains(const Evidence& e, Table& t) {
  const Rows own = e.main(e.plan.own);
  for (const Gain& g : wanted_gains(e.plan)) {
    if (g.rival == e.plan.own) continue;
    const Comparison c = compare(own, e.main(g.rival));
    const std::string name = e.plan.label(g.rival);
    t.rows.push_back({"UXCost against " + name, percent(g.uxcost, 0) + " % less", less(c.uxcost), less(c.uxcost_95),
                      verdict(c.uxcost <= 1 - g.uxcost)});
    t.rows.push_back({"violations against " + name, percent(g.violations, 0) + " % less", less(c.violations),
                      less(c.violations_95), verdict(c.violations <= 1 - g.violations)});
  }
}

// Cells where the difference is certainly over the limit; with one seed there is no interval, and the mean is taken.
std::size_t count_worse(const std::vector<CellDifference>& cells, bool one_seed) {
  return static_cast<std::size_t>(std::count_if(cells.begin(), cells.end(), [&](const CellDifference& d) {
    return (one_seed ? d.points.mean : d.points.low) > kCellPoints;
  }));
}

void add_cells(const Evidence& e, Table& t) {
  const auto cells = differences(e.main(e.plan.own), e.main("edf+drop"));
  const bool one_seed = e.plan.main_seeds().size() < 2;
  const std::size_t worse = count_worse(cells, one_seed);
  t.rows.push_back({std::string("cells ") + (one_seed ? "" : "significantly (paired 95 %) ") +
                        "more than 2 points of violations over edf+drop",
                    "0", std::to_string(worse) + " of " + std::to_string(cells.size()),
                    one_seed ? "one seed: no interval" : "", verdict(worse == 0)});
}

Regret regret_of(const Evidence& e, std::vector<Cell>& cells) {
  std::vector<Rows> rivals;
  for (const std::string& p : e.plan.opponents()) rivals.push_back(e.main(p));
  return regret_of(e.main(e.plan.own), rivals, cells);
}

std::string name_of(const Cell& c) {
  return c.scenario + ", " + c.system + ", " + c.family + ' ' + c.level;
}

void add_regret(const Evidence& e, Table& t) {
  std::vector<Cell> cells;
  const Regret r = regret_of(e, cells);
  t.rows.push_back({"regret to the best rival of each cell, mean, points", "at most 1", fixed(r.mean, 2),
                    "not cut at 0: " + fixed(r.mean_difference, 2), verdict(r.mean <= kRegretMean)});
  t.rows.push_back({"the same, worst cell", "at most 5", fixed(r.worst, 2),
                    r.worst > 0 ? name_of(cells[r.worst_cell]) : "", verdict(r.worst <= kRegretWorst)});
}

Table rivals_table(const Evidence& e) {
  Table t{.caption = e.plan.own + " over each rival; 95 % of " + std::to_string(kResamples) +
                     " resamples of the groups of scenario and system",
          .head = {"rival", "UXCost", "95 %", "best group", "violations", "95 %", "accuracy, points"},
          .rows = {}};
  for (const std::string& p : e.plan.opponents()) {
    const Comparison c = compare(e.main(e.plan.own), e.main(p));
    t.rows.push_back({e.plan.label(p), fixed(c.uxcost, 3), between(c.uxcost_95), fixed(c.best_uxcost, 3),
                      fixed(c.violations, 3), between(c.violations_95), fixed(c.accuracy, 2)});
  }
  return t;
}

Figure rivals_figure(const Evidence& e, bool uxcost) {
  std::vector<Range> all;
  for (const std::string& p : e.plan.opponents()) {
    const Comparison c = compare(e.main(e.plan.own), e.main(p));
    const double value = uxcost ? c.uxcost : c.violations;
    const Interval i = uxcost ? c.uxcost_95 : c.violations_95;
    if (!std::isfinite(value) || !std::isfinite(i.high)) continue;
    all.push_back({e.plan.label(p), value, i.low, i.high, fixed(value, 2), colour_of(e.plan, p)});
  }
  std::stable_sort(all.begin(), all.end(), [](const Range& x, const Range& y) { return x.value > y.value; });
  const std::string what = uxcost ? "UXCost" : "violations";
  return {.title = "Ratio of " + what + " to each rival.",
          .note = "Left of 1 is better; lines are 95 % intervals.",
          .svg = range_plot(all, {.title = what + ", " + e.plan.own + " over rival"}, 1, 560)};
}

Table worst_cells(const Evidence& e) {
  auto cells = differences(e.main(e.plan.own), e.main("edf+drop"));
  std::stable_sort(cells.begin(), cells.end(),
                   [](const auto& x, const auto& y) { return x.points.mean > y.points.mean; });
  cells.resize(std::min(cells.size(), kListed));
  Table t{.caption = "The cells where it is worst against edf+drop, violation points",
          .head = {"cell", "difference", "95 % over seeds"},
          .rows = {}};
  for (const CellDifference& d : cells)
    t.rows.push_back({name_of(d.cell), fixed(d.points.mean, 2),
                      std::isfinite(d.points.low) ? between({d.points.low, d.points.high}) : "-"});
  return t;
}

Table published_table(const Evidence& e) {
  std::vector<std::string> forms{"sdrm3:full"};
  for (const std::string& s : e.plan.strongest_sdrm3()) forms.push_back(s);
  Table t{
      .caption =
          "UXCost of sdrm3 under its rivals', in %: geometric mean over all, the best group of scenario and system, "
          "one user, many users",
      .head = {"sdrm3", "rival", "UXCost less", "95 %", "best group", "chain only", "users only", "violations less"},
      .rows = {}};
  for (const std::string& form : forms)
    for (const char* rival : {"fcfs", "planaria", "planaria+drop", "veltair", "veltair+drop"}) {
      const Rows a = e.main(form), b = e.main(rival);
      const auto within = [&](const char* family) {
        return compare(filter(a, [&](const Row& r) { return r.cell.family == family; }),
                       filter(b, [&](const Row& r) { return r.cell.family == family; }))
            .uxcost;
      };
      const Comparison c = compare(a, b);
      const auto points = [](double ratio) { return fixed(100 * (1 - ratio), 1); };
      t.rows.push_back({e.plan.label(form), rival, points(c.uxcost),
                        points(c.uxcost_95.high) + " to " + points(c.uxcost_95.low), points(c.best_uxcost),
                        points(within("chain")), points(within("users")), points(c.violations)});
    }
  return t;
}

}  // namespace

Section targets_section(const Evidence& e) {
  Table t{.caption = "", .head = {"figure", "target", "measured", "95 %", ""}, .rows = {}};
  add_gains(e, t);
  add_cells(e, t);
  add_regret(e, t);
  for (const std::string& s : e.plan.strongest_sdrm3()) {
    const double points = compare(e.main(e.plan.own), e.main(s)).accuracy;
    t.rows.push_back({"accuracy against " + e.plan.label(s) + ", points", "at least -2", fixed(points, 2), "",
                      verdict(points >= -kAccuracyPoints)});
  }
  Section s = section(Heading{"Against the targets"}, t);
  if (e.plan.quick) s.push_back(Paragraph{"A quick run: one seed and half of the loads. The full one decides."});
  return s;
}

Section rivals_section(const Evidence& e) {
  return section(Heading{"Against each rival"}, rivals_figure(e, true), rivals_figure(e, false), rivals_table(e),
                 worst_cells(e));
}

Section published_section(const Evidence& e) {
  return section(Heading{"What was published of sdrm3"},
                 Paragraph{"Published: UXCost 37.7 % and 53.2 % under two state-of-the-art baselines in geometric mean "
                           "(v1 of the paper), 32.2 % "
                           "and 50.0 % (v2). The baselines' programs, rates and systems are not at hand; these are our "
                           "reconstructions of Planaria "
                           "and Veltair, and first come first served. A minus is more cost, not less."},
                 published_table(e), Paragraph{"Why it need not agree, whatever the figures are:"},
                 Items{{"Only the abstract is at hand. The score's skeleton is published; the terms' exact form, the "
                        "late-job rule, the conditions of a "
                        "drop, the subnet rule, rates, dependencies and the eight systems are our reconstruction.",
                        "The rivals here may wait for a busy accelerator and, as `+drop`, give up what cannot be in "
                        "time. The score only ever starts "
                        "work on idle accelerators, so a layer takes a slow one rather than wait for a fast one, and "
                        "its drop rule spares frames "
                        "that others depend on and acts on one job an instant. A rival without both, `fcfs`, is nearer "
                        "to the baselines of a paper "
                        "on dynamic scheduling.",
                        "Starvation and a capped urgency make many users take turns, layer by layer: all of them end "
                        "late. With one user (family "
                        "chain), as in the paper, there is little to take turns between.",
                        "UXCost multiplies sums over models: with many users both sums grow with the number of models, "
                        "and a geometric mean over "
                        "cells is decided by those where one policy has no violation and the other a few."}});
}

}  // namespace takt::tool
