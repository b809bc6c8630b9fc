// Sections: the main comparison, by family and level, by scenario and system.
#include <algorithm>
#include <cmath>

#include "report.hpp"
#include "svg.hpp"

namespace takt::tool {
namespace {

std::vector<std::string> main_policies(const Plan& plan) {
  std::vector<std::string> all{plan.own};
  const auto others = plan.opponents();
  all.insert(all.end(), others.begin(), others.end());
  return all;
}

// Those that have lines in plots.
std::vector<std::string> drawn_policies(const Plan& plan) {
  std::vector<std::string> all{plan.own, "edf+drop", "terastal", "veltair+drop"};
  for (const std::string& s : plan.strongest_sdrm3()) all.push_back(s);
  std::vector<std::string> once;
  for (const std::string& p : all)
    if (std::find(once.begin(), once.end(), p) == once.end()) once.push_back(p);
  return once;
}

const char* name_of(sim::Family family) {
  return family == sim::Family::chain ? "chain" : "users";
}

Rows at_level(const Rows& rows, sim::Family family, double level) {
  return filter(rows, [&](const Row& r) { return r.cell.family == name_of(family) && r.cell.level == text_of(level); });
}

Figure bars(const Evidence& e, const std::string& title, double Summary::*value, double factor, int digits) {
  std::vector<Bar> all;
  for (const std::string& p : main_policies(e.plan)) {
    const double v = factor * (summarise(e.main(p)).*value);
    all.push_back({e.plan.label(p), v, fixed(v, digits), colour_of(e.plan, p)});
  }
  std::stable_sort(all.begin(), all.end(), [](const Bar& x, const Bar& y) { return x.value < y.value; });
  return {.title = title + ".", .note = "", .svg = bar_plot(all, "")};
}

Table levels_table(const Evidence& e, sim::Family family, const std::string& caption, bool bounds,
                   const std::function<std::string(const Summary&)>& cell) {
  Table t{.caption = caption, .head = {"policy"}, .rows = {}, .emphasised = 0};
  const std::vector<double> levels = e.plan.levels(family, false);
  for (const double level : levels) t.head.push_back(text_of(level));
  std::vector<std::string> policies = main_policies(e.plan);
  if (bounds) policies.insert(policies.end(), {kFluidBound, kHopeless});
  for (const std::string& p : policies) {
    std::vector<std::string> row{e.plan.label(p)};
    const Rows rows = e.main(p);
    for (const double level : levels) row.push_back(cell(summarise(at_level(rows, family, level))));
    t.rows.push_back(std::move(row));
  }
  return t;
}

Figure levels_figure(const Evidence& e, sim::Family family) {
  std::vector<Series> all;
  std::vector<std::string> policies = drawn_policies(e.plan);
  policies.push_back(kFluidBound);
  for (const std::string& p : policies) {
    Series s{.name = e.plan.label(p), .colour = colour_of(e.plan, p), .points = {}, .dashed = p == kFluidBound};
    const Rows rows = e.main(p);
    for (const double level : e.plan.levels(family, false))
      s.points.emplace_back(level, 100 * summarise(at_level(rows, family, level)).violation_rate);
    all.push_back(std::move(s));
  }
  const std::string what =
      family == sim::Family::chain ? "longest chain over its deadline, one user" : "load, many users";
  return {.title = std::string("Violations by level, family ") + name_of(family) + ".",
          .note = "Dashed: no scheduler can do better.",
          .svg = line_plot(all, {.title = what, .ticks = e.plan.levels(family, false)},
                           {.title = "violations, % of frames"}, 560, 300)};
}

Table system_table(const Evidence& e, const std::string& scenario, const std::vector<std::string>& systems) {
  Table t{.caption = "UXCost on " + scenario + ", geometric mean over levels and seeds",
          .head = {"policy"},
          .rows = {},
          .emphasised = 0};
  t.head.insert(t.head.end(), systems.begin(), systems.end());
  for (const std::string& p : main_policies(e.plan)) {
    std::vector<std::string> row{e.plan.label(p)};
    const Rows rows = e.main(p);
    for (const std::string& system : systems)
      row.push_back(fixed(
          summarise(filter(rows, [&](const Row& r) { return r.cell.scenario == scenario && r.cell.system == system; }))
              .uxcost,
          3));
    t.rows.push_back(std::move(row));
  }
  return t;
}

// UXCost over that of the strongest sdrm3, by system.
std::vector<Bar> system_bars(const Evidence& e, const std::string& scenario, const std::vector<std::string>& systems) {
  std::vector<Bar> all;
  const Rows own = e.main(e.plan.own), rival = e.main(e.plan.sdrm3_by_uxcost);
  for (const std::string& system : systems) {
    const auto here = [&](const Row& r) { return r.cell.scenario == scenario && r.cell.system == system; };
    const double ratio = compare(filter(own, here), filter(rival, here)).uxcost;
    all.push_back({system, ratio, fixed(ratio, 2), ratio <= 1 ? 0 : 1});
  }
  return all;
}

template <class Name>
std::vector<std::string> names(const Rows& rows, const Name& name) {
  std::vector<std::string> all;
  for (const Row& r : rows)
    if (std::find(all.begin(), all.end(), name(r)) == all.end()) all.push_back(name(r));
  return all;
}

}  // namespace

Section main_section(const Evidence& e) {
  Table t{.caption = "All cells. The best cell is what a single flattering run would show.",
          .head = {"policy", "UXCost, geometric mean", "median", "best cell", "violations, %", "relative energy",
                   "accuracy, %", "million segments/s"},
          .rows = {},
          .emphasised = 0};
  std::vector<std::string> long_names;
  for (const std::string& p : main_policies(e.plan)) {
    const Summary s = summarise(e.main(p));
    t.rows.push_back({e.plan.label(p), fixed(s.uxcost, 4), fixed(s.median, 4), fixed(s.best_uxcost, 4),
                      percent(s.violation_rate), fixed(s.relative_energy, 4), fixed(s.accuracy, 2),
                      fixed(1e-6 * s.segments_per_s, 2)});
    if (e.plan.label(p) != p) long_names.push_back(e.plan.label(p) + ": `" + p + "`");
  }
  return section(
      Heading{"Main comparison"}, bars(e, "Mean violation rate, %", &Summary::violation_rate, 100, 2),
      bars(e, "UXCost, geometric mean", &Summary::uxcost, 1, 3), t, Items{long_names},
      Paragraph{
          "Energy is over the worst case, every layer on its most energy-hungry accelerator. Accuracy is the mean over "
          "answered "
          "frames of tasks that have a choice of subnets. Segments a second are of the simulation on one core, beside "
          "whatever else ran."});
}

Section levels_section(const Evidence& e) {
  Section s = section(Heading{"By family and level"});
  for (const sim::Family family : {sim::Family::chain, sim::Family::users}) s.push_back(levels_figure(e, family));
  for (const sim::Family family : {sim::Family::chain, sim::Family::users}) {
    const std::string name = name_of(family);
    s.push_back(levels_table(e, family, "Violations in %, family " + name + ", by level", true,
                             [](const Summary& x) { return percent(x.violation_rate); }));
    s.push_back(levels_table(e, family, "UXCost, geometric mean, family " + name + ", by level", false,
                             [](const Summary& x) { return fixed(x.uxcost, 3); }));
  }
  s.push_back(Paragraph{
      "Fluid bound: layers split freely over accelerators, nothing is paid for switches, work fits anywhere between "
      "the "
      "first release and the last deadline, and what will be drawn is known; no scheduler violates less. Hopeless: "
      "frames whose chain cannot meet its deadline even alone, on the lightest subnets and the best accelerators."});
  return s;
}

Section systems_section(const Evidence& e) {
  const Rows rows = e.main(e.plan.own);
  const auto scenarios = names(rows, [](const Row& r) { return r.cell.scenario; });
  const auto systems = names(rows, [](const Row& r) { return r.cell.system; });
  Section s = section(Heading{"By scenario and system"},
                      Paragraph{"Ratio of UXCost, " + e.plan.own + " over " + e.plan.label(e.plan.sdrm3_by_uxcost) +
                                ", by system; under 1 is better."});
  std::vector<std::vector<Bar>> bars;
  double most = 1;
  for (const std::string& scenario : scenarios)
    for (const Bar& b : bars.emplace_back(system_bars(e, scenario, systems))) most = std::max(most, b.value);
  for (std::size_t k = 0; k < bars.size(); ++k)
    s.push_back(Figure{scenarios[k] + ".", "", bar_plot(bars[k], "", 350, most)});
  for (const std::string& scenario : scenarios) s.push_back(system_table(e, scenario, systems));
  return s;
}

}  // namespace takt::tool
