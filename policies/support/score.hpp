// SDRM3's score of starting a waiting job on an accelerator, and the best pair by it, one pair after the other: the
// reference with which support/score_columns.hpp agrees to the last bit. The order of operations is that of the
// scenario semantics.
#pragma once

#include <algorithm>
#include <cstdint>

#include "takt/policy.hpp"

namespace takt {

// The urgency of a job at or past its deadline.
enum class LateUrgency : std::uint8_t { cap, clamp, negative };

struct ScoreRule {
  double starvation_ceiling = 10;  // 0: none
  bool capped = true;              // urgency at most 1
  LateUrgency late = LateUrgency::cap;
};
struct ScoreWeights {
  double alpha = 1, beta = 1;  // of starvation and of energy
};

// A waiting job and an accelerator by their places; none: the number of waiting jobs.
struct ScoredPair {
  std::size_t job = 0, accelerator = 0;
};

// Jobs in the order that breaks ties.
[[nodiscard]] inline bool older(const Rank& x, const Rank& y) noexcept {
  if (x.release != y.release) return x.release < y.release;
  return x.stream != y.stream ? x.stream < y.stream : x.frame < y.frame;
}

namespace score {

[[nodiscard]] inline double real(Duration d) noexcept {
  return static_cast<double>(d.count());
}

// Sums over the accelerators that can run the next segment of waiting job i.
struct Sums {
  double latencies = 0, energies = 0;
};
[[nodiscard]] inline Sums sums(const Snapshot& s, std::size_t i) noexcept {
  Duration latencies{};
  double energies = 0;
  for (std::size_t a = 0; a < s.accelerators.size(); ++a) {
    const Cost& cost = s.costs->at(AcceleratorId{a}, s.waiting.next[i]);
    if (!cost.runnable()) continue;
    latencies += cost.expected;
    energies += s.costs->effort(AcceleratorId{a}, s.waiting.next[i]).energy_nj;
  }
  return {real(latencies), energies};
}
// Mean remaining work and mean time of the next segment over all accelerators.
[[nodiscard]] inline double mean_togo(const Snapshot& s, std::size_t i) noexcept {
  return real(s.waiting.rank[i].togo_sum) / static_cast<double>(s.accelerators.size());
}
[[nodiscard]] inline double mean_latency(const Snapshot& s, const Sums& sums) noexcept {
  return sums.latencies / static_cast<double>(s.accelerators.size());
}

[[nodiscard]] inline double urgency(const ScoreRule& rule, double togo, double left) noexcept {
  if (left <= 0) {
    if (rule.late == LateUrgency::cap) return 1;
    if (rule.late == LateUrgency::clamp) left = 1;
    if (left == 0) left = -1;  // at the deadline, under rule "negative"
  }
  const double ratio = togo / left;
  return rule.capped ? std::min(ratio, 1.0) : ratio;
}
[[nodiscard]] inline double starvation(const ScoreRule& rule, double waited, double mean) noexcept {
  const double ratio = mean > 0 ? waited / mean : 0;
  return rule.starvation_ceiling > 0 ? std::min(ratio, rule.starvation_ceiling) : ratio;
}
[[nodiscard]] inline double preference(const Snapshot& s, std::size_t i, std::size_t a, const Sums& sums) noexcept {
  const double latency = real(s.costs->at(AcceleratorId{a}, s.waiting.next[i]).expected);
  return latency > 0 ? sums.latencies / latency : 1;
}
[[nodiscard]] inline double energy(const Snapshot& s, std::size_t i, std::size_t a, const Sums& sums) noexcept {
  const double here = s.costs->effort(AcceleratorId{a}, s.waiting.next[i]).energy_nj;
  const double exchange = s.accelerators[a].exchange.nj_per_byte * static_cast<double>(s.switch_bytes(i, a));
  return here > 0 ? (sums.energies - exchange) / here : 0;
}
[[nodiscard]] inline double total(const ScoreWeights& w, double urgency, double preference, double starvation,
                                  double energy) noexcept {
  return urgency * preference + w.alpha * starvation + w.beta * energy;
}

}  // namespace score

// The pair of the highest score among those that may start; of equals the oldest job, then the first accelerator.
[[nodiscard]] inline ScoredPair best_pair(const Snapshot& s, const ScoreRule& rule,
                                          const ScoreWeights& weights) noexcept {
  ScoredPair best{s.waiting.size, 0};
  double most = 0;
  for (std::size_t i = 0; i < s.waiting.size; ++i) {
    const Rank& r = s.waiting.rank[i];
    const score::Sums sums = score::sums(s, i);
    const double urgency = score::urgency(rule, score::mean_togo(s, i), score::real(r.deadline - s.now));
    const double starvation =
        score::starvation(rule, score::real(s.now - s.waiting.trail[i].since), score::mean_latency(s, sums));
    for (std::size_t a = 0; a < s.accelerators.size(); ++a) {
      if (!s.can_start(i, a)) continue;
      const double value =
          score::total(weights, urgency, score::preference(s, i, a, sums), starvation, score::energy(s, i, a, sums));
      const bool better = best.job == s.waiting.size || value > most ||
                          (value == most && best.job != i && older(r, s.waiting.rank[best.job]));
      if (better) best = {i, a}, most = value;
    }
  }
  return best;
}

}  // namespace takt
