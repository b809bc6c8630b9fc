// Small cases made by hand for tests of the engine: times in microseconds.
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "policies/support/compose.hpp"
#include "sim/engine.hpp"

namespace takt::sim::testing {

struct Piece {
  std::vector<double> us;       // by accelerator; one entry: the same everywhere
  std::int64_t live_bytes = 0;  // its output
  double bytes_per_ns = 0;      // demand of memory bandwidth
};

inline Subnet subnet(std::size_t accelerators, const std::vector<Piece>& pieces, const std::string& name = "net") {
  Subnet s{.name = name, .accuracy = 0, .segments = {}, .worst_energy_nj = 0};
  for (std::size_t k = 0; k < pieces.size(); ++k) {
    Segment segment;
    for (std::size_t a = 0; a < accelerators; ++a) {
      const double us = pieces[k].us[std::min(a, pieces[k].us.size() - 1)];
      segment.on.push_back({.time = Duration{static_cast<std::int64_t>(us * 1000)}, .energy_nj = us * 1000, .dram_bytes = pieces[k].bytes_per_ns * us * 1000});
    }
    segment.first_layer = static_cast<std::uint32_t>(k);
    segment.live_bytes = pieces[k].live_bytes;
    segment.run.block = static_cast<std::uint32_t>(k);
    s.worst_energy_nj += segment.on.back().energy_nj;
    s.segments.push_back(std::move(segment));
  }
  return s;
}

class Builder {
 public:
  explicit Builder(std::size_t accelerators) {
    for (std::size_t a = 0; a < accelerators; ++a) {
      case_.platform.accelerators.push_back({.name = std::string("x").append(std::to_string(a)), .clock_ghz = 1, .bandwidth = 1});
    }
    case_.name = "by hand";
    case_.platform.switch_costs = false;
  }
  // A root task that is released at these times; deadlines in microseconds from the release.
  Builder& task(const std::string& name, const std::vector<Piece>& pieces, double deadline_us, const std::vector<double>& releases_us) {
    Task t;
    t.name = name;
    t.relative_deadline = us(deadline_us);
    t.period = t.relative_deadline;
    t.subnets.push_back(subnet(case_.platform.accelerators.size(), pieces));
    case_.tasks.push_back(std::move(t));
    const auto n = static_cast<std::uint32_t>(case_.tasks.size() - 1);
    for (std::uint32_t f = 0; f < releases_us.size(); ++f)
      case_.releases.push_back({.at = Instant{us(releases_us[f])}, .task = n, .frame = f, .deadline = Instant{us(releases_us[f] + deadline_us)}});
    return *this;
  }
  Builder& child(const std::string& name, std::int32_t parent, const std::vector<Piece>& pieces, double deadline_us, double probability = 1) {
    Task t;
    t.name = name;
    t.parent = parent;
    t.probability = probability;
    t.relative_deadline = us(deadline_us);
    t.subnets.push_back(subnet(case_.platform.accelerators.size(), pieces));
    case_.tasks.push_back(std::move(t));
    return *this;
  }
  [[nodiscard]] Case& edit() { return case_; }
  [[nodiscard]] static Duration us(double n) { return Duration{static_cast<std::int64_t>(n * 1000)}; }

 private:
  Case case_;
};

struct Played {
  Outcome outcome;
  std::string trace;
  [[nodiscard]] bool has(const std::string& line) const { return ("\n" + trace).find("\n" + line + "\n") != std::string::npos; }
};

inline Played play(Case c, const std::string& policy = "edf") {
  std::sort(c.releases.begin(), c.releases.end(), [](const Release& a, const Release& b) {
    return a.at != b.at ? a.at < b.at : a.task != b.task ? a.task < b.task : a.frame < b.frame;
  });
  auto made = compose_policy(policy);
  std::ostringstream trace;
  Outcome outcome = simulate(c, **made, policy, {.trace = &trace});
  return {std::move(outcome), trace.str()};
}

}  // namespace takt::sim::testing
