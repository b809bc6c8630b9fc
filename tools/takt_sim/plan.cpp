// Grids and policies of the report; see plan.hpp.
#include "plan.hpp"

#include <algorithm>

namespace takt::tool {
namespace {

// Both families, each with its levels.
std::vector<Grid> both_families(const Plan& plan, bool side, const Grid& common) {
  std::vector<Grid> grids;
  for (const sim::Family family : {sim::Family::chain, sim::Family::users}) {
    Grid g = common;
    g.families = {family == sim::Family::chain ? "chain" : "users"};
    g.levels = plan.levels(family, side);
    grids.push_back(std::move(g));
  }
  return grids;
}

void append(std::vector<Grid>& to, const std::vector<Grid>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

std::vector<std::string> Plan::strongest_sdrm3() const {
  if (sdrm3_by_violations == sdrm3_by_uxcost) return {sdrm3_by_uxcost};
  return {sdrm3_by_violations, sdrm3_by_uxcost};
}

std::vector<std::string> Plan::opponents() const {
  std::vector<std::string> all(kRivals.begin(), kRivals.end());
  all.insert(all.end(), rivals.begin(), rivals.end());
  const auto strongest = strongest_sdrm3();
  all.insert(all.end(), strongest.begin(), strongest.end());
  std::erase(all, own);
  return all;
}

std::string Plan::label(const std::string& policy) const {
  if (policy == kFluidBound) return "fluid bound";
  if (policy == kHopeless) return "hopeless even alone";
  if (strongest_sdrm3().size() == 1 && policy == sdrm3_by_uxcost) return "sdrm3, strongest";
  if (policy == sdrm3_by_violations) return "sdrm3, least violations";
  if (policy == sdrm3_by_uxcost) return "sdrm3, least UXCost";
  return policy;
}

std::vector<std::uint64_t> Plan::main_seeds() const {
  if (!seeds.empty()) return seeds;
  return quick ? std::vector<std::uint64_t>{1} : std::vector<std::uint64_t>{1, 2, 3, 4, 5};
}

std::vector<std::uint64_t> Plan::side_seeds() const {
  std::vector<std::uint64_t> few = main_seeds();
  few.resize(std::min<std::size_t>(few.size(), 2));
  return few;
}

std::vector<std::string> Plan::side_systems() const {
  if (!systems.empty() || !quick) return systems;
  return {"2os2k", "ws2k-2os1k"};
}

std::vector<double> Plan::levels(sim::Family family, bool side) const {
  const bool chain = family == sim::Family::chain;
  if (quick || side) return chain ? std::vector<double>{0.6, 0.95} : std::vector<double>{0.75, 1.25};
  const auto& own_levels = chain ? sim::kChainLevels : sim::kUserLevels;
  return {own_levels.begin(), own_levels.end()};
}

std::vector<Grid> Plan::main_grids() const {
  Grid g{.systems = systems, .policies = {own}, .seeds = main_seeds()};
  const auto others = opponents();
  g.policies.insert(g.policies.end(), others.begin(), others.end());
  g.policies.insert(g.policies.end(), {kFluidBound, kHopeless});
  return both_families(*this, false, g);
}

std::vector<Grid> Plan::ablation_grids() const {
  Grid g{.systems = side_systems(), .seeds = side_seeds()};
  for (const auto& specs : {switch_ablation(), ceiling_ablation()})
    g.policies.insert(g.policies.end(), specs.begin(), specs.end());
  std::vector<Grid> grids = both_families(*this, true, g);
  g.policies = late_rule_ablation();
  g.variations = {std::string(kLateFinish)};
  append(grids, both_families(*this, true, g));
  return grids;
}

std::vector<Grid> Plan::sensitivity_grids() const {
  Grid g{.systems = side_systems(), .policies = sensitive(*this), .seeds = side_seeds(), .variations = {""}};
  g.variations.insert(g.variations.end(), kVariations.begin(), kVariations.end());
  return both_families(*this, true, g);
}

std::vector<Grid> Plan::all() const {
  std::vector<Grid> grids = main_grids();
  append(grids, ablation_grids());
  append(grids, sensitivity_grids());
  return grids;
}

std::vector<std::string> switch_ablation() {
  return {"sdrm3", "sdrm3:drop", "sdrm3:drop+supernet", "sdrm3:full"};
}

std::vector<std::string> ceiling_ablation() {
  return {"sdrm3:drop+supernet/starv=0", "sdrm3:drop+supernet/starv=1", "sdrm3:drop+supernet/starv=10",
          "sdrm3:drop+supernet/starv=100"};
}

std::vector<std::string> late_rule_ablation() {
  const std::string base = "sdrm3:drop+supernet/";
  return {base + "capped=1/late_rule=cap", base + "capped=1/late_rule=negative", base + "capped=0/late_rule=cap",
          base + "capped=0/late_rule=clamp", base + "capped=0/late_rule=negative"};
}

std::vector<std::string> sensitive(const Plan& plan) {
  std::vector<std::string> all{plan.own};
  for (const std::string& s : plan.strongest_sdrm3()) all.push_back(s);
  all.push_back("edf+drop");
  return all;
}

}  // namespace takt::tool
