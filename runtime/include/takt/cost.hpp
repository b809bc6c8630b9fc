// Predicted segment times: what admission budgets with and policies plan with. Filled at load from profiles.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "takt/ids.hpp"
#include "takt/model.hpp"
#include "takt/time.hpp"

namespace takt {

// `expected` is the median, `budget` the measured 99th percentile plus the margin of the configuration.
struct Cost {
  Duration expected = kForever;
  Duration budget = kForever;
  [[nodiscard]] bool runnable() const noexcept { return expected != kForever; }
};

// What a segment takes beside time; 0 where nobody measured it.
struct Effort {
  double energy_nj = 0;
  double dram_bytes = 0;
};

// What it costs when an accelerator changes jobs and activations are read and written; by default they stay where they are
// and it costs nothing.
struct SwitchCost {
  double bytes_per_cycle = 0, clock_ghz = 1;
  double nj_per_byte = 0;
  [[nodiscard]] Duration time(std::uint64_t bytes) const noexcept {
    if (bytes_per_cycle <= 0 || bytes == 0) return Duration{};
    const double exact = static_cast<double>(bytes) / bytes_per_cycle / clock_ghz;
    const auto whole = static_cast<std::int64_t>(exact);  // rounded up without a call: policies ask this often
    return Duration{whole + (static_cast<double>(whole) < exact ? 1 : 0)};
  }
};

// Times of batches 1, 2, 4, 8, 16 of every variant on every accelerator. A batch of n costs what the next profiled size costs.
// Missing entries are "cannot run there". Reading is lock-free and does not allocate.
class CostTable {
 public:
  static constexpr std::size_t kBatches = 5;

  CostTable() = default;
  CostTable(std::size_t accelerators, std::size_t variants)
      : accelerators_(accelerators), variants_(variants), rows_(accelerators * variants), efforts_(accelerators * variants) {}

  [[nodiscard]] static constexpr std::size_t batch_class(std::size_t n) noexcept {
    return n <= 1 ? 0 : static_cast<std::size_t>(std::bit_width(n - 1));
  }
  [[nodiscard]] const Cost& at(AcceleratorId a, VariantId v, std::size_t batch = 1) const noexcept {
    return rows_[a.value * variants_ + v.value][batch_class(batch)];
  }
  void set(AcceleratorId a, VariantId v, std::size_t batch, Cost cost) {
    rows_[a.value * variants_ + v.value][batch_class(batch)] = cost;
  }
  [[nodiscard]] const Effort& effort(AcceleratorId a, VariantId v) const noexcept { return efforts_[a.value * variants_ + v.value]; }
  // On its most energy-hungry accelerator.
  [[nodiscard]] double worst_energy(VariantId v) const noexcept {
    double most = 0;
    for (std::size_t a = 0; a < accelerators_; ++a) most = std::max(most, effort(AcceleratorId{a}, v).energy_nj);
    return most;
  }
  void set_effort(AcceleratorId a, VariantId v, Effort effort) { efforts_[a.value * variants_ + v.value] = effort; }
  [[nodiscard]] std::size_t accelerators() const noexcept { return accelerators_; }
  [[nodiscard]] std::size_t variants() const noexcept { return variants_; }

 private:
  std::size_t accelerators_ = 0, variants_ = 0;
  std::vector<std::array<Cost, kBatches>> rows_;
  std::vector<Effort> efforts_;
};

}  // namespace takt
