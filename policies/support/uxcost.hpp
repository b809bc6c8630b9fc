// UXCost (SDRM3, arXiv 2212.03414) over the jobs that ended since the last look.
#pragma once

#include <vector>

#include "takt/policy.hpp"

namespace takt {

// Sum over streams of the violation rate (1 / (2 frames) with no violation) times the sum of energy over worst-case energy.
class UxCostWindow {
 public:
  void prepare(std::size_t streams) { counts_.assign(streams, {}); }
  void observe(const Ended& e) noexcept {
    Count& c = counts_[e.stream.value];
    ++c.ended;
    c.violated += e.verdict != Verdict::done;
    c.energy_nj += e.energy_nj;
    c.worst_energy_nj = e.worst_energy_nj;
    any_ = true;
  }
  [[nodiscard]] bool empty() const noexcept { return !any_; }
  // The cost so far; then counts anew.
  [[nodiscard]] double close() noexcept {
    double rates = 0, energies = 0;
    for (Count& c : counts_) {
      if (c.ended > 0) {
        const double n = static_cast<double>(c.ended);
        rates += c.violated > 0 ? static_cast<double>(c.violated) / n : 1 / (2 * n);
        if (c.worst_energy_nj > 0) energies += c.energy_nj / (n * c.worst_energy_nj);
      }
      c = {};
    }
    any_ = false;
    return rates * energies;
  }

 private:
  struct Count {
    std::uint64_t ended = 0, violated = 0;
    double energy_nj = 0, worst_energy_nj = 0;
  };
  std::vector<Count> counts_;
  bool any_ = false;
};

}  // namespace takt
