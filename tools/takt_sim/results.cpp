// Summaries and comparisons of rows; see results.hpp.
#include "results.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

namespace takt::tool {
namespace {

constexpr std::uint64_t kBootstrapSeed = 20230325;

// Name of a run without policy and variation.
std::string run_of(const Row& r) {
  return r.cell.base() + ',' + r.cell.system + ',' + r.cell.family + ',' + r.cell.level + ',' +
         std::to_string(r.cell.seed);
}

// Sums over the runs of one scenario on one system.
struct Group {
  double logs_a = 0, logs_b = 0, rates_a = 0, rates_b = 0, runs = 0;
};

double log_of(const Row& r) {
  return std::log(std::max(r.uxcost, 1e-12));
}

double ratio(double a, double b) {
  return b > 0 ? a / b : a > 0 ? std::numeric_limits<double>::infinity() : 1;
}

double uxcost_ratio(const std::vector<Group>& groups, std::span<const std::size_t> drawn) {
  double logs = 0, runs = 0;
  for (const std::size_t g : drawn) logs += groups[g].logs_a - groups[g].logs_b, runs += groups[g].runs;
  return std::exp(logs / runs);
}

double violation_ratio(const std::vector<Group>& groups, std::span<const std::size_t> drawn) {
  double a = 0, b = 0;
  for (const std::size_t g : drawn) a += groups[g].rates_a, b += groups[g].rates_b;
  return ratio(a, b);
}

// Violation points of each cell's seeds, by place in the order of first rows.
struct ByCell {
  std::vector<Cell> cells;
  std::map<std::string, std::vector<double>> points;
  explicit ByCell(const Rows& rows) {
    for (const Row& r : rows) {
      std::vector<double>& p = points[r.cell.place()];
      if (p.empty()) cells.push_back(r.cell);
      p.push_back(100 * r.violation_rate);
    }
  }
};

}  // namespace

Summary summarise(const Rows& rows) {
  Summary s{.runs = rows.size()};
  std::vector<double> costs, rates, energies, accuracies;
  double decisions = 0, ms = 0;
  for (const Row& r : rows) {
    costs.push_back(r.uxcost);
    rates.push_back(r.violation_rate);
    energies.push_back(r.relative_energy);
    if (r.accuracy > 0) accuracies.push_back(r.accuracy);
    decisions += static_cast<double>(r.decisions);
    ms += r.wall_ms;
  }
  s.uxcost = geometric_mean(costs);
  s.best_uxcost = costs.empty() ? 0 : *std::min_element(costs.begin(), costs.end());
  s.median = median(std::move(costs));
  s.violation_rate = mean(rates);
  s.relative_energy = mean(energies);
  s.accuracy = mean(accuracies);
  s.segments_per_s = ms > 0 ? 1000 * decisions / ms : 0;
  return s;
}

std::vector<std::pair<std::string, Rows>> by_policy(const Rows& rows) {
  std::vector<std::pair<std::string, Rows>> all;
  std::map<std::string, std::size_t> place;
  for (const Row& r : rows) {
    const auto [found, fresh] = place.try_emplace(r.cell.policy, all.size());
    if (fresh) all.emplace_back(r.cell.policy, Rows{});
    all[found->second].second.push_back(r);
  }
  return all;
}

Rows filter(const Rows& rows, const std::function<bool(const Row&)>& keep) {
  Rows kept;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(kept), keep);
  return kept;
}

Rows of_policy(const Rows& rows, const std::string& policy) {
  return filter(rows, [&](const Row& r) { return r.cell.policy == policy; });
}

std::vector<std::pair<const Row*, const Row*>> match(const Rows& a, const Rows& b) {
  std::map<std::string, const Row*> others;
  for (const Row& r : b) others[run_of(r)] = &r;
  std::vector<std::pair<const Row*, const Row*>> pairs;
  for (const Row& r : a)
    if (const auto found = others.find(run_of(r)); found != others.end()) pairs.emplace_back(&r, found->second);
  return pairs;
}

Comparison compare(const Rows& a, const Rows& b) {
  const auto pairs = match(a, b);
  std::map<std::string, Group> by_name;
  std::vector<double> accuracies;
  for (const auto& [x, y] : pairs) {
    Group& g = by_name[x->cell.base() + ',' + x->cell.system];
    g.logs_a += log_of(*x), g.logs_b += log_of(*y);
    g.rates_a += x->violation_rate, g.rates_b += y->violation_rate;
    g.runs += 1;
    if (x->accuracy > 0 && y->accuracy > 0) accuracies.push_back(x->accuracy - y->accuracy);
  }
  std::vector<Group> groups;
  for (const auto& [name, g] : by_name) groups.push_back(g);
  Comparison c{.runs = pairs.size(), .groups = groups.size()};
  if (groups.empty()) return c;
  std::vector<std::size_t> all(groups.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  const auto uxcost = [&](std::span<const std::size_t> drawn) { return uxcost_ratio(groups, drawn); };
  const auto violations = [&](std::span<const std::size_t> drawn) { return violation_ratio(groups, drawn); };
  c.uxcost = uxcost(all);
  c.violations = violations(all);
  c.uxcost_95 = bootstrap(groups.size(), kResamples, kBootstrapSeed, uxcost);
  c.violations_95 = bootstrap(groups.size(), kResamples, kBootstrapSeed, violations);
  c.best_uxcost = std::numeric_limits<double>::infinity();
  for (std::size_t g = 0; g < groups.size(); ++g) c.best_uxcost = std::min(c.best_uxcost, uxcost(std::span(&g, 1)));
  c.accuracy = mean(accuracies);
  return c;
}

std::vector<CellDifference> differences(const Rows& a, const Rows& b) {
  struct Pair {
    Cell cell;
    std::vector<double> a, b;
  };
  std::vector<Pair> all;
  std::map<std::string, std::size_t> place;
  for (const auto& [x, y] : match(a, b)) {
    const auto [found, fresh] = place.try_emplace(x->cell.place(), all.size());
    if (fresh) all.push_back({x->cell, {}, {}});
    all[found->second].a.push_back(100 * x->violation_rate);
    all[found->second].b.push_back(100 * y->violation_rate);
  }
  std::vector<CellDifference> found;
  for (const Pair& p : all) found.push_back({p.cell, paired_difference(p.a, p.b)});
  return found;
}

Regret regret_of(const Rows& own, const std::vector<Rows>& rivals, std::vector<Cell>& cells) {
  const ByCell mine(own);
  cells = mine.cells;
  std::vector<double> own_points;
  for (const Cell& c : cells) own_points.push_back(mean(mine.points.at(c.place())));
  std::vector<std::vector<double>> points;
  for (const Rows& rows : rivals) {
    const ByCell theirs(rows);
    points.emplace_back();
    for (const Cell& c : cells) points.back().push_back(mean(theirs.points.at(c.place())));
  }
  return regret(own_points, points);
}

}  // namespace takt::tool
